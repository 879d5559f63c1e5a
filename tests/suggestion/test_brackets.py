from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.bounds import LINE
from jupyter_turbopilot.suggestion.brackets import (
    balanced_length,
    closers_behind,
    leaves_open,
    open_quote,
    outside,
)

from ..twins import golden

CODE = st.text(alphabet="a ()[]{}'\"`", max_size=20)
QUOTE = st.sampled_from(["", "'", '"', "`"])


@pytest.mark.parametrize(("line", "quote"), golden("brackets", "open_quote"))
def test_the_quote_that_is_open_at_the_end_of_a_line(line: str, quote: str) -> None:
    assert open_quote(line) == quote


@pytest.mark.parametrize(("line", "quotes", "quote"), golden("brackets", "open_quote/of some"))
def test_only_the_quotes_asked_for_count(line: str, quotes: str, quote: str) -> None:
    assert open_quote(line, quotes) == quote


def test_a_line_that_is_too_long_for_code_is_not_read() -> None:
    assert open_quote("'" + " " * (LINE - 1)) == "'"
    assert open_quote("'" + " " * LINE) == ""
    assert closers_behind("f(" + " " * LINE, ")") == ""


@pytest.mark.parametrize(("text", "quote", "marks"), golden("brackets", "outside"))
def test_what_a_text_opens_is_not_outside(text: str, quote: str, marks: str) -> None:
    assert "".join("-+"[place] for place in outside(text, quote)) == marks


@pytest.mark.parametrize(("text", "quote", "open_"), golden("brackets", "leaves_open"))
def test_a_text_may_leave_something_open(text: str, quote: str, open_: bool) -> None:
    assert leaves_open(text, quote) is open_


@given(CODE, CODE, QUOTE)
def test_where_a_text_leaves_nothing_open_what_follows_is_outside(text: str, more: str, quote: str) -> None:
    assert outside(f"{text}a{more}", quote)[len(text)] is not leaves_open(text, quote)


@pytest.mark.parametrize(("text", "closed", "length"), golden("brackets", "balanced_length"))
def test_a_bracket_that_is_closed_behind_a_text_is_not_closed_in_it(
    text: str, closed: str, length: int
) -> None:
    assert balanced_length(text, closed) == length


@given(CODE, st.text(alphabet=")]}", max_size=3))
def test_a_longer_text_never_has_a_shorter_balanced_beginning(text: str, closed: str) -> None:
    lengths = [balanced_length(text[:end], closed) for end in range(len(text) + 1)]
    assert lengths == sorted(lengths)
    assert all(length <= end for end, length in enumerate(lengths))


@pytest.mark.parametrize(("line", "rest", "closed"), golden("brackets", "closers_behind"))
def test_brackets_right_behind_the_cursor_that_close_all_of_the_line(
    line: str, rest: str, closed: str
) -> None:
    assert closers_behind(line, rest) == closed
