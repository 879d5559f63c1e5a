from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.suggestion.surroundings import Surroundings, first_line, indentation, surroundings_of


def around(prefix: str, suffix: str = "", **more: object) -> Surroundings:
    return surroundings_of(prefix, suffix, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("prefix", "suffix", "multi"),
    [
        ("x = ", "", False),
        ("x = ", "\ny = 1", False),
        ("def f(x):", "", True),
        ("def f(x):\n    ", "", True),
        ("", "", True),
        ("x = 1\n", "", True),
        ("for i in range(3):", "  # note", False),
        ("foo(", ")", False),
        ("    ", ")", False),
    ],
)
def test_several_lines_after_a_colon_and_on_an_empty_line_only(prefix: str, suffix: str, multi: bool) -> None:
    assert around(prefix, suffix).multi is multi


def test_one_line_or_several_can_be_asked_for() -> None:
    assert not around("def f():", lines="single").multi
    assert around("x = ", lines="multi").multi
    assert not around("foo(", ")", lines="multi").multi


@pytest.mark.parametrize(("line", "width"), [("", 0), ("  x", 2), ("\tx", 4), ("    ", 4)])
def test_tabs_count_four(line: str, width: int) -> None:
    assert indentation(line) == width


@pytest.mark.parametrize(
    ("prefix", "indent"),
    [
        ("", 0),
        ("    x", 4),
        ("def f():", 1),
        ("    if x:", 5),
        ("if x:\n", 1),
        ("if x:\n    ", 4),
        ("x = 1\n  ", 2),
    ],
)
def test_a_block_that_a_colon_opens_stands_further_right(prefix: str, indent: int) -> None:
    assert around(prefix).indent == indent


@pytest.mark.parametrize(
    ("text", "line"), [("", ""), ("\n \n", ""), ("a\nb", "a"), ("\n\n  a\nb", "  a"), (" \n\tb", "\tb")]
)
def test_the_first_line_that_holds_anything(text: str, line: str) -> None:
    assert first_line(text) == line


def test_the_lines_around_the_cursor_are_known() -> None:
    found = around("a = f(\n\n  b\n    ", " # rest\n\n  below\nfurther", max_lines=3)
    assert (found.above, found.rest, found.next_line, found.max_lines) == ("  b", " # rest", "  below", 3)
    assert around("a = 1\nb = ").above == ""  # only an empty line can repeat the one above


@pytest.mark.parametrize(
    ("prefix", "indented"), [("", False), ("x\n", False), ("x:\n    ", True), ("x\n\t", True), ("  x", False)]
)
def test_a_line_is_indented_where_only_white_space_stands_before_the_cursor(
    prefix: str, indented: bool
) -> None:
    assert around(prefix).indented is indented


def test_what_is_open_at_the_cursor_is_known() -> None:
    assert around("f('a\ng(\"b").quote == '"'
    assert around("f(g(", "))").closed == "))"


@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from(["auto", "single", "multi"]))
def test_several_lines_never_stand_before_the_rest_of_a_line(prefix: str, suffix: str, lines: str) -> None:
    found = around(prefix, suffix, lines=lines)
    assert not (found.multi and (found.rest.strip() or lines == "single"))
