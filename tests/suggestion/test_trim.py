from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jupyter_turbopilot.suggestion.surroundings import Surroundings, surroundings_of
from jupyter_turbopilot.suggestion.trim import FILTERS, MOST, trim

from ..scripted_engine import words
from ..twins import golden


def around(prefix: str, suffix: str = "", **more: object) -> Surroundings:
    return surroundings_of(prefix, suffix, **more)  # type: ignore[arg-type]


def final(text: str, prefix: str, suffix: str = "", lines: Any = "auto", max_lines: int = 8) -> str:
    return trim(text, around(prefix, suffix, lines=lines, max_lines=max_lines), final=True).text


PARTS = ("lines", "written again", "behind the cursor", "talking", "the line above", "imports", "echo")


@pytest.mark.parametrize("case", golden("trim", *(f"trimmed/{part}" for part in PARTS)))
def test_trim_cuts_a_finished_text(case: tuple[Any, ...]) -> None:
    *given, kept = case
    assert final(*given) == kept


@pytest.mark.parametrize(("text", "prefix", "suffix", "is_final", "kept"), golden("trim", "trim/held back"))
def test_a_word_an_indentation_and_a_fence_are_held_back_while_they_may_go_on(
    text: str, prefix: str, suffix: str, is_final: bool, kept: list[Any]
) -> None:
    cut = trim(text, around(prefix, suffix), final=is_final)
    assert [cut.text, cut.done] == kept


CODE = st.text(alphabet="ab ()[]'\"\n\t:`.x", max_size=40)
LINES = st.lists(
    st.sampled_from(["a = 1", "    b()", "```", "x)", "", "  ", "print(a)", "a = 1"]), max_size=8
).map("\n".join)
LOOPS = st.builds(
    lambda piece, count, rest: piece * count + rest,
    st.text(alphabet="ab, #\n", max_size=7),
    st.integers(0, 9),
    CODE,
)
TEXT = CODE | LINES | LOOPS


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
    cut = trim(words(MOST)[: MOST + 1], around(""), final=True)
    assert (len(cut.text), cut.done) == (MOST, True)
