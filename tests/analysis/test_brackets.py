import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.analysis.brackets import (
    balanced_length,
    closers_after,
    closing_length,
    open_quote,
    outside,
)
from jupyter_turbopilot.util.bounds import LINE

from ..shared_cases import golden

CODE = st.text(alphabet="a ()[]{}'\"`", max_size=20)
QUOTE = st.sampled_from(["", "'", '"', "`"])


@pytest.mark.parametrize(("line", "quote"), golden("brackets", "open_quote"))
def test_open_quote_returns_the_quote_open_at_the_end(line: str, quote: str) -> None:
    assert open_quote(line) == quote


@pytest.mark.parametrize(("line", "quotes", "quote"), golden("brackets", "open_quote/of some"))
def test_open_quote_considers_only_the_given_quotes(line: str, quotes: str, quote: str) -> None:
    assert open_quote(line, quotes) == quote


def test_open_quote_ignores_too_long_lines() -> None:
    assert open_quote("'" + " " * (LINE - 1)) == "'"
    assert open_quote("'" + " " * LINE) == ""
    assert closers_after("f(" + " " * LINE, ")") == ""


@pytest.mark.parametrize(("text", "quote", "marks"), golden("brackets", "outside"))
def test_outside_excludes_opened_brackets(text: str, quote: str, marks: str) -> None:
    assert "".join("-+"[place] for place in outside(text, quote)) == marks


@pytest.mark.parametrize(("text", "closed", "length"), golden("brackets", "balanced_length"))
def test_balanced_length_excludes_brackets_closed_behind(text: str, closed: str, length: int) -> None:
    assert balanced_length(text, closed) == length


@given(CODE, st.text(alphabet=")]}", max_size=3))
def test_balanced_length_never_shrinks_for_a_longer_text(text: str, closed: str) -> None:
    lengths = [balanced_length(text[:end], closed) for end in range(len(text) + 1)]
    assert lengths == sorted(lengths)
    assert all(length <= end for end, length in enumerate(lengths))


@pytest.mark.parametrize(("before", "after", "length"), golden("brackets", "closing_length"))
def test_closing_length_counts_what_closes_open_brackets_and_quotes(
    before: str, after: str, length: int
) -> None:
    assert closing_length(before, after) == length


@pytest.mark.parametrize(("line", "rest", "closed"), golden("brackets", "closers_after"))
def test_closers_after_returns_brackets_that_close_the_line(line: str, rest: str, closed: str) -> None:
    assert closers_after(line, rest) == closed
