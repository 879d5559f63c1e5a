from __future__ import annotations

from jupyter_turbopilot.generation import Token
from jupyter_turbopilot.suggestion.candidates import Branch, branches


def tokens(*chances: float, texts: str = "abcdefgh") -> list[Token]:
    pairs = enumerate(zip(texts, chances, strict=False))
    return [Token(text.encode(), chance, name) for name, (text, chance) in pairs]


def test_the_least_certain_token_comes_first() -> None:
    answer = tokens(0.8, 0.3, 0.99, 0.5)
    assert branches(answer, 2) == [Branch(answer[:1], 1), Branch(answer[:3], 3)]


def test_what_is_sure_is_left_alone() -> None:
    assert branches(tokens(0.95, 0.99), 3) == []


def test_only_the_first_line_branches() -> None:
    answer = tokens(0.6, 0.99, 0.1, texts="a\nb")
    assert branches(answer, 3) == [Branch([], 0)]


def test_a_line_break_before_the_first_line_is_none_of_its_end() -> None:
    answer = tokens(0.99, 0.2, texts="\nb")
    assert branches(answer, 3) == [Branch(answer[:1], 1)]


def test_no_answer_branches_at_white_space() -> None:
    answer = tokens(0.3, 0.5, texts=" b")
    assert branches(answer, 3) == [Branch(answer[:1], 1)]
