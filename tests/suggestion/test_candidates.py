from __future__ import annotations

import pytest

from jupyter_turbopilot.generation import Token
from jupyter_turbopilot.suggestion.candidates import branches

from ..twins import golden


# The least sure tokens first, what is sure not at all; in the first line that holds anything, at no white space.
@pytest.mark.parametrize(("texts", "chances", "count", "expected"), golden("candidates", "branches"))
def test_an_answer_branches_where_its_first_line_was_least_sure(
    texts: list[str], chances: list[float], count: int, expected: list[list[int]]
) -> None:
    pairs = enumerate(zip(texts, chances, strict=True))
    tokens = [Token(text.encode(), chance, number) for number, (text, chance) in pairs]
    found = branches(tokens, count)
    assert [[len(branch.kept), branch.banned] for branch in found] == expected
    assert all(tokens[: len(branch.kept)] == [*branch.kept] for branch in found)
