import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jupyter_turbopilot.analysis.lexer import scan
from jupyter_turbopilot.analysis.syntax import judged
from jupyter_turbopilot.protocol.engine_request import Token
from jupyter_turbopilot.suggestion.candidates import Candidates
from jupyter_turbopilot.suggestion.gate import Gate
from jupyter_turbopilot.suggestion.joining import joining
from jupyter_turbopilot.suggestion.names import AnyNames
from jupyter_turbopilot.suggestion.scores import CursorFeatures, cursor_features
from jupyter_turbopilot.suggestion.surroundings import surroundings_of
from jupyter_turbopilot.suggestion.writing import HOLD, TrimmedText, Verbatim

from ..shared_cases import golden

pieces = st.lists(st.text(alphabet="ab\n# `é", min_size=1, max_size=5), max_size=12)


def tokens(texts: list[str], probability: float = 0.9) -> list[Token]:
    return [Token(text.encode(), probability) for text in texts]


@example(["a\n", "a"], ["\n", "a\na"])
@example(["a\na"], ["\n", "a\na"])
@given(pieces, st.lists(st.text(alphabet="ab\n", min_size=1, max_size=3), max_size=3))
def test_verbatim_ends_before_a_stop_sequence(texts: list[str], stop: list[str]) -> None:
    writing = Verbatim(stop)
    frames = []
    for token in tokens(texts):
        if writing.take([token]):
            frames.append(writing.shown)
        if writing.done:
            break
    writing.finish(whole=True)
    whole = "".join(texts)
    found = [(at + len(text), at) for text in stop if (at := whole.find(text)) >= 0]
    _, first = min(found, default=(0, len(whole)))  # the first complete one
    assert writing.shown == whole[:first]
    assert all(writing.shown.startswith(frame) for frame in frames)


def test_verbatim_ends_at_the_first_complete_stop_sequence() -> None:
    writing = Verbatim(["def", "\n"])
    writing.take(tokens(["x\ndef"]))
    assert (writing.shown, writing.stopped_by, writing.ended) == ("x", "\n", True)


@given(pieces, st.booleans())
def test_suggestion_frames_are_prefixes_of_the_next(texts: list[str], unasked: bool) -> None:
    writing = TrimmedText(surroundings_of("if x:\n", ""), Gate(CursorFeatures(), 0.25), unasked=unasked)
    shown = ""
    for token in tokens(texts):
        writing.take([token])
        assert writing.shown.startswith(shown)
        shown = writing.shown
        if writing.done:
            break
    writing.finish(whole=True)
    assert writing.shown.startswith(shown)


@given(
    st.lists(
        st.sampled_from(["a", "ord", ".b", "(", ")", "[x", "]", '"', '"].', "'", ", ", " ", "# "]),
        max_size=12,
    ),
    st.sampled_from(["m = df[|].mean()", 'm = df["n|].mean()', 'm = df["n|"]', "f(a|, b)", "x = | + [y]"]),
    st.booleans(),
    st.booleans(),
)
def test_suggestion_frames_can_be_followed_by_the_rest_of_the_line(
    texts: list[str], line: str, unasked: bool, whole: bool
) -> None:
    prefix, rest = line.split("|")
    names = AnyNames()
    names.fit = names.joins = joining("python", prefix, rest)  # type: ignore[method-assign]
    gate = Gate(cursor_features(prefix, rest, ()), 0.1 if unasked else 0.0, names)
    writing = TrimmedText(surroundings_of(prefix, rest), gate, unasked=unasked)
    frames = [""]
    for token in tokens(texts):
        if writing.take([token]):
            frames.append(writing.shown)
        if writing.done:
            break
    writing.finish(whole=whole)
    frames.append(writing.shown)
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(frames))
    for shown in filter(None, frames):
        code = prefix + shown + rest
        opened = scan(code)
        assert (judged(code).valid, opened.brackets, opened.quote) == (True, "", "")


def test_suggestion_drops_repeated_indentation() -> None:
    for typed, shown in (("    ", "return x"), ("", "    return x"), ("    x = ", "    return x")):
        writing = TrimmedText(
            surroundings_of(f"if x:\n{typed}", "\ny"), Gate(CursorFeatures(), 0.0), unasked=False
        )
        writing.take(tokens(["  ", "  ", "return", " x"]))
        writing.finish(whole=True)
        assert writing.shown == shown
    assert [token.data for token in writing.tokens] == [b"  ", b"  ", b"return", b" x"]


def test_suggestion_gives_up_without_ending() -> None:
    writing = TrimmedText(surroundings_of("x = ", ""), Gate(CursorFeatures(), 0.5), unasked=True)
    writing.take(tokens(["a", "b", "c"], 0.1))
    assert (writing.gave_up, writing.ended, writing.done) == (True, False, True)


def held(texts: list[str], monkeypatch: pytest.MonkeyPatch, seconds: float = 0.04) -> list[str]:
    """Return the shown text after each token of an automatic suggestion, one token each `seconds`."""
    now = itertools.count()
    monkeypatch.setattr("time.monotonic", lambda: next(now) * seconds)
    gate = Gate(CursorFeatures("x = "), 0.01)
    writing = TrimmedText(surroundings_of("x = ", ""), gate, unasked=True, hold=HOLD)
    frames = []
    for token in tokens(texts, 0.99):
        if not writing.done:
            writing.take([token])
        frames.append(writing.shown)
    writing.finish(whole=True)
    return [*frames, writing.shown]


def test_automatic_suggestion_is_shown_once(monkeypatch: pytest.MonkeyPatch) -> None:
    some = ["quantity", " +", " price", " +", " tax", " +", " rest", "\n"]
    frames = held(some, monkeypatch)
    assert frames[0] == ""  # it may still become longer
    assert {*frames} == {"", "quantity + price + tax"}
    assert held(some, monkeypatch, 0.001)[-1] == "quantity + price + tax + rest"


def test_text_held_for_long_is_shown_as_far_as_it_was_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.monotonic", lambda: 1.0)
    gate = Gate(CursorFeatures("x = "), 0.01)
    writing = TrimmedText(surroundings_of("x = ", ""), gate, unasked=True, hold=HOLD)
    writing.held_since = 0.0
    assert writing.resume(tokens(["quantity", " +", " price", " +", " tax", " +"], 0.99))
    assert (writing.shown, writing.gave_up) == ("quantity + price + tax", True)


def test_suggestion_on_request_shows_everything_with_its_confidence() -> None:
    writing = TrimmedText(surroundings_of("x = ", ""), Gate(CursorFeatures(), 0.0), unasked=False)
    writing.take(tokens(["valu", "e", "\n"], 0.3))
    writing.finish(whole=True)
    assert writing.shown == "value"
    assert 0 < writing.confidence < 0.99  # of the whole line


def test_writing_keeps_only_the_taken_tokens() -> None:
    writing = Verbatim(["\n"])
    writing.take(tokens(["a", "\n", "b"]))
    assert [token.data for token in writing.tokens] == [b"a", b"\n"]


@pytest.mark.parametrize(
    ("texts", "prefix", "suffix", "unasked", "whole", "frames"), golden("writing", "frames")
)
def test_suggestion_shows_the_first_line_by_word_and_others_whole(
    texts: list[str], prefix: str, suffix: str, unasked: bool, whole: bool, frames: list[str]
) -> None:
    writing = TrimmedText(surroundings_of(prefix, suffix), Gate(CursorFeatures(), 0.0), unasked=unasked)
    seen = [writing.shown for token in tokens(texts) if writing.take([token])]
    writing.finish(whole=whole)
    assert [*dict.fromkeys([*seen, writing.shown])] == frames


@pytest.mark.parametrize(
    ("text", "suffix", "table"),
    [("unit_price']", "", "orders"), ("unit_price", "']", "orders"), ("total", "", "")],
)
def test_suggestion_returns_the_table_whose_column_it_names(text: str, suffix: str, table: str) -> None:
    candidates = Candidates(["unit_price'", "unit'"], must_exist=True, table="orders")
    gate = Gate(CursorFeatures("x = orders['"), 0.5, candidates=candidates)
    writing = TrimmedText(surroundings_of("x = orders['", suffix), gate, unasked=True)
    writing.take(tokens([text, "\n"]))
    writing.finish(whole=True)
    assert writing.table == table


def test_resume_keeps_indentation() -> None:
    writing = TrimmedText(surroundings_of("if x:\n  ", ""), Gate(CursorFeatures(), 0.0), unasked=False)
    writing.resume(tokens(["  return", " x"]))
    writing.finish(whole=True)
    assert writing.shown == "  return x"


def test_verbatim_ends_at_a_line_with_too_little_indentation() -> None:
    writing = Verbatim(indent=4)
    writing.take(tokens(["    a\n", "\n    b", "\n  c"]))
    assert (writing.shown, writing.stopped_by, writing.ended) == ("    a\n\n    b", "\n", True)
