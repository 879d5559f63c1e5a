from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.suggestion.surroundings import first_line, indentation, surroundings_of

from ..shared_cases import golden


def around(prefix: str, suffix: str = "", *more: object) -> dict[str, object]:
    return asdict(surroundings_of(prefix, suffix, *more))  # type: ignore[arg-type]


PARTS = ("several lines", "as asked for", "indentation", "lines", "lines (server only)", "indented", "open")


@pytest.mark.parametrize("case", golden("surroundings", *(f"surroundings_of/{part}" for part in PARTS)))
def test_surroundings_of_describes_the_text_around_the_cursor(case: tuple[Any, ...]) -> None:
    *given, expected = case
    assert around(*given) | expected == around(*given)


@pytest.mark.parametrize(("line", "width"), golden("surroundings", "indentation"))
def test_indentation_counts_a_tab_as_four(line: str, width: int) -> None:
    assert indentation(line) == width


@pytest.mark.parametrize(("text", "line"), golden("surroundings", "first_line"))
def test_first_line_returns_the_first_nonblank_line(text: str, line: str) -> None:
    assert first_line(text) == line


@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from(["auto", "single", "multi"]))
def test_surroundings_are_single_line_before_text_after_the_cursor(
    prefix: str, suffix: str, lines: Any
) -> None:
    found = surroundings_of(prefix, suffix, lines)
    assert not (found.multi and (found.rest.strip() or lines == "single"))
