from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jupyter_turbopilot.suggestion.surroundings import Surroundings, surroundings_of
from jupyter_turbopilot.suggestion.trim import FILTERS, MOST, Matcher, trim

from ..scripted_engine import words
from ..shared_cases import golden


def around(prefix: str, suffix: str = "", **more: object) -> Surroundings:
    return surroundings_of(prefix, suffix, **more)  # type: ignore[arg-type]


def final(text: str, prefix: str, suffix: str = "", lines: Any = "auto", max_lines: int = 8) -> str:
    return trim(text, around(prefix, suffix, lines=lines, max_lines=max_lines), final=True).text


PARTS = (
    "lines",
    "written again",
    "written again (server only)",
    "after the cursor",
    "talking",
    "talking (server only)",
    "the line above",
    "the line above (server only)",
    "imports",
    "imports (server only)",
    "echo",
    "echo (server only)",
)


@pytest.mark.parametrize("case", golden("trim", *(f"trimmed/{part}" for part in PARTS)))
def test_trim_cuts_a_finished_text(case: tuple[Any, ...]) -> None:
    *given, kept = case
    assert final(*given) == kept


@pytest.mark.parametrize(
    ("text", "prefix", "suffix", "is_final", "kept"),
    golden("trim", "trim/held back", "trim/held back (server only)"),
)
def test_trim_holds_back_an_incomplete_word_indentation_or_fence(
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
def test_trim_never_takes_back_shown_text(text: str, prefix: str, suffix: str, lines: str) -> None:
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
def test_trim_keeps_brackets_balanced_before_closed_ones(text: str, prefix: str) -> None:
    rest = "".join({"(": ")", "[": "]"}.get(char, "") for char in reversed(prefix))
    kept = final(text, prefix, rest)
    # Brackets that the model opens, or closes wrongly, are left to the parser.
    assume(
        is_balanced(prefix + kept)
        and kept.count("(") == kept.count(")")
        and kept.count("[") == kept.count("]")
    )
    assert is_balanced(prefix + kept + rest)


@given(TEXT, TEXT, TEXT)
def test_trim_returns_a_prefix(text: str, prefix: str, suffix: str) -> None:
    where = around(prefix, suffix)
    for keep in FILTERS:
        for is_final in (False, True):
            assert text.startswith(keep(text, where, is_final).text)


def test_trim_limits_the_length() -> None:
    cut = trim(words(MOST)[: MOST + 1], around(""), final=True)
    assert (len(cut.text), cut.done) == (MOST, True)


AGG = 's = df.groupby("k").agg('


@pytest.mark.parametrize(
    ("text", "prefix", "suffix", "kept"),
    [
        # Each argument is on a separate line.
        ('"min"))', f'{AGG}\n    a=("m", "max"),\n    b=("m", ', "", '"min")'),
        ('in"))', f'{AGG}\n    a=("m", "m', "", 'in")'),
        ("2)", "f(  # comment\n    1,\n    ", "", "2"),
        ("2}", 'd = {\n    "a": 1,\n    "b": ', "", "2"),
        ("1, 2]])", "np.array([\n    [1, 2],\n    [", "", "1, 2]"),
        (")", "f(\n    1\n", "", ")"),
        # The list continues below.
        ('"min"))', f'{AGG}a=("m", ', '\n    b=("m", "max"))', '"min")'),
        ('"min"))', f'{AGG}a=("m", ', '\n    b=("m", "max"),\n)\nf(x)', '"min")'),
        # It may end here.
        ('"min"))', f'{AGG}a=("m", ', "", '"min"))'),
        ('"min"))', f'{AGG}a=("m", ', "\nprint(s)", '"min"))'),
        ('"min"))', f'{AGG}a=("m", "max"),\n{" " * 23}b=("m", ', "", '"min"))'),
        ("x)", "f(", "", "x)"),
        ("[1)])", "f(\n    '", "", "[1)])"),
    ],
)
def test_trim_keeps_an_unfinished_list_open(text: str, prefix: str, suffix: str, kept: str) -> None:
    assert final(text, prefix, suffix) == kept


FEW = st.text(alphabet="ab", max_size=30)


@given(st.text(alphabet="ab", min_size=1, max_size=6), st.lists(FEW, max_size=6))
def test_matcher_finds_a_text_in_any_pieces(wanted: str, pieces: list[str]) -> None:
    matcher = Matcher(wanted)
    whole, ends, came = "".join(pieces), [], 0
    for piece in pieces:
        end = 0
        while (end := matcher.find(piece, end)) >= 0:
            ends.append(came + end)
        came += len(piece)
    expected = [at + len(wanted) for at in range(len(whole)) if whole.startswith(wanted, at)]
    assert ends == expected
    begun = [n for n in range(min(len(wanted), len(whole)), 0, -1) if whole.endswith(wanted[:n])]
    assert matcher.beginnings() == begun
