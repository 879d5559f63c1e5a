from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jupyter_turbopilot.suggestion.surroundings import Surroundings, surroundings_of
from jupyter_turbopilot.suggestion.trim import FILTERS, MOST, trim


def around(prefix: str, suffix: str = "", **more: object) -> Surroundings:
    return surroundings_of(prefix, suffix, **more)  # type: ignore[arg-type]


def final(text: str, prefix: str, suffix: str = "", **more: object) -> str:
    return trim(text, around(prefix, suffix, **more), final=True).text


def test_a_line_ends_at_its_end() -> None:
    assert final("1 + 2\ny = 3", "x = ") == "1 + 2"


def test_a_block_ends_where_a_line_stands_further_left() -> None:
    assert final("return 1\n\nprint(f())", "def f():\n    ") == "return 1"


def test_a_body_ends_at_the_level_of_its_header() -> None:
    assert final("\n    return 1\nx = 2", "def f():") == "\n    return 1"


def test_a_nested_body_keeps_its_deeper_lines() -> None:
    body = "\n        if n:\n            return 1\n        return 2"
    assert final(body + "\n    def g(self): ...", "class A:\n    def f(self, n):") == body


def test_code_at_the_outermost_level_ends_at_a_blank_line() -> None:
    assert final("a = 1\nb = 2\n\nc = 3", "") == "a = 1\nb = 2"


def test_a_blank_line_inside_a_body_does_not_end_it() -> None:
    body = "\n    a = 1\n\n    return a"
    assert final(body, "def f():") == body


def test_no_more_lines_than_asked_for() -> None:
    assert final("a\nb\nc\nd", "", max_lines=2) == "a\nb"


def test_a_fence_is_where_chatting_begins() -> None:
    assert final("a = 1\n```\nThis code", "") == "a = 1"


def test_the_line_below_is_not_written_again() -> None:
    assert final("a = 1\nprint(a)\nb", "", "\nprint(a)\n") == "a = 1"


def test_three_equal_lines_are_too_many() -> None:
    assert final("x()\nx()\nx()\nx()", "") == "x()\nx()"


@pytest.mark.parametrize(
    ("text", "prefix", "suffix", "kept"),
    [
        ("a, b)", "f(", ")", "a, b"),
        ("g(a)", "f(", ")", "g(a)"),
        ("g(a))", "f(", ")", "g(a)"),
        ("[1, 2])", "f(", ")", "[1, 2]"),
        ('key"]', 'd["', '"]', "key"),
        ("hello'", "s = '", "'", "hello"),
        ("'a' + 'b'", "s = ", "'", "'a' + 'b'"),
        ("sin(x), label=1)", "plot(np.", ")", "sin(x), label=1"),
        ("x, axis=0)", "f(", ", axis=0)", "x"),
        ("a))", "f(g(", "))", "a"),
        ("a)", "f(g(", "))", "a"),
        ("max", "f(", "x)", "max"),
        ("max_x)", "f(", "x)", "max_"),
        ("bers))  # Output: 6", "print(sum(num", "))", "bers"),
        ("b, d", "f(a, ", ", c)", "b, d"),
        ("b, c), e", "f(a, ", ", c)", "b"),
        ("d[1:2]:", "if ", ":", "d[1:2]"),
        ("maximum", "f(", "x)", "maximum"),
        ("max) + b", "f(", "x)", "max) + b"),
        (") + 1):", "range(2, int(n ** 0.5", "))", ""),
        ("math.sqrt(n)) + 1):", "range(2, int(", "))", "math.sqrt(n)"),
        (") ** 2 + (self.y - other.y) ** 2", "sqrt((self.x - other.x", "))", ") ** 2 + (self.y - other.y"),
        ("0], rows[1", "f(rows[", "])", "0], rows[1"),
        ("df)} rows", 'f"{len(', ')}"', "df"),
        ("')' + x", "f(g(", "))", "')' + x"),
        ("x) for x in xs", "if any(f(", "):", "x) for x in xs"),
        (") ** 2", "return np.sqrt(np.sum((a - b", "), axis=1)", ") ** 2"),
        ("x), label='a'", "plt.plot(np.array(", ").T", "x), label='a'"),
        ("x) * 2", "t = foo(a, bar(", ") + 1", "x) * 2"),
    ],
)
def test_what_follows_the_cursor_already_is_left_out(text: str, prefix: str, suffix: str, kept: str) -> None:
    assert final(text, prefix, suffix) == kept


@pytest.mark.parametrize(
    ("text", "prefix", "kept"),
    [
        ("a = 1\nHere is the code", "", "a = 1"),
        ("Sure, this is it", "x = 1\n", ""),
        ("Here's = 1", "x = '", "Here's = 1"),
        ("Hereafter = 1", "", "Hereafter = 1"),
        ("# Here is it", "", "# Here is it"),
    ],
)
def test_talking_is_where_code_ends(text: str, prefix: str, kept: str) -> None:
    assert final(text, prefix) == kept


@pytest.mark.parametrize(
    ("text", "prefix", "kept"),
    [
        ("x = 1", "x = 1\n", ""),
        ("x = 1\ny = 2", "x = 1\n\n", ""),
        ("x = 12", "x = 1\n", "x = 12"),
        ("x", "x = 1\n", "x"),
        (")", "f(g(\n)\n", ")"),
        ("1", "x = 1\ny = ", "1"),
    ],
)
def test_the_line_above_is_not_written_again(text: str, prefix: str, kept: str) -> None:
    assert final(text, prefix) == kept


def test_a_word_that_may_go_on_is_held_back() -> None:
    where = around("x = ")
    assert trim("f(val", where, final=False).text == "f("
    assert trim("f(value,", where, final=False).text == "f(value,"
    assert trim("f(val", where, final=True).text == "f(val"


def test_white_space_at_the_end_is_left_out() -> None:
    assert final("a = 1   ", "") == "a = 1"


def test_an_unfinished_line_is_held_until_its_indentation_is_known() -> None:
    where = around("def f():\n    ")
    assert trim("return (1)\n  ", where, final=False).text == "return (1)"
    assert trim("return (1)\n  x(", where, final=False).done


CODE = st.text(alphabet="ab ()[]'\"\n\t:`.x", max_size=40)
LINES = st.lists(
    st.sampled_from(["a = 1", "    b()", "```", "x)", "", "  ", "print(a)", "a = 1"]), max_size=8
).map("\n".join)
TEXT = CODE | LINES


@given(TEXT, TEXT, TEXT, st.sampled_from(["auto", "single", "multi"]))
def test_what_was_shown_is_never_taken_back(text: str, prefix: str, suffix: str, lines: str) -> None:
    where = around(prefix, suffix, lines=lines, max_lines=3)
    shown = ""
    for length in range(len(text) + 1):
        cut = trim(text[:length], where, final=False)
        assert cut.text.startswith(shown)
        shown = cut.text
        if cut.done:
            break
    else:
        length = len(text)
    assert trim(text[:length], where, final=True).text.startswith(shown)


def is_balanced(text: str) -> bool:
    opened = ""
    for char in text:
        if char in "([":
            opened += char
        elif char in ")]" and opened[-1:] + char in {"()", "[]"}:
            opened = opened[:-1]
        elif char in ")]":
            return False
    return True


@given(st.text(alphabet="a()[]", max_size=12), st.text(alphabet="a([", max_size=6))
def test_what_stands_before_closed_brackets_leaves_them_balanced(text: str, prefix: str) -> None:
    rest = "".join({"(": ")", "[": "]"}.get(char, "") for char in reversed(prefix))
    kept = final(text, prefix, rest)
    # What the model itself opens, or closes the wrong way, is for the parser to judge.
    assume(
        is_balanced(prefix + kept)
        and kept.count("(") == kept.count(")")
        and kept.count("[") == kept.count("]")
    )
    assert is_balanced(prefix + kept + rest)


@given(TEXT, TEXT, TEXT)
def test_a_suggestion_is_always_a_beginning_of_what_was_written(text: str, prefix: str, suffix: str) -> None:
    where = around(prefix, suffix)
    for keep in FILTERS:
        for is_final in (False, True):
            assert text.startswith(keep(text, where, is_final).text)


def test_nobody_reads_more_than_so_much() -> None:
    cut = trim("a" * (MOST + 1), around(""), final=True)
    assert (len(cut.text), cut.done) == (MOST, True)


def test_blank_lines_before_an_answer_do_not_count_as_its_lines() -> None:
    assert final("\n  a\n  b\n  c", "def f():", max_lines=2) == "\n  a\n  b"


def test_the_line_below_may_be_what_is_asked_for() -> None:
    assert final("print(a)", "", "\nprint(a)\n") == "print(a)"


def test_what_may_become_a_fence_is_held_back() -> None:
    assert trim("a = 1\n``", around(""), final=False).text == "a = 1"


def test_blank_lines_are_no_repetition() -> None:
    body = "\n    a = 1\n\n\n\n    return a"
    assert final(body, "def f():") == body
