import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.prompt.formats import (
    FORMATS,
    NEAR,
    REEVALUATED,
    WIDEST,
    BoundFormat,
    Budget,
    Prompt,
    build,
    form_for,
    heal_word,
    keep_tail,
    pieces_left_out,
    read_head,
)
from jupyter_turbopilot.protocol.engine_request import Markers

QWEN = BoundFormat(
    "qwen", ("prefix", "PREFIX", "suffix", "SUFFIX", "middle"), {"prefix": -1, "suffix": -2, "middle": -3}
)
PLAIN = BoundFormat("none")
INCODER = form_for({"<|mask:0|>": -1, "<|mask:1|>": -2}.get, Markers(bos=-9))


def letters(text: str) -> list[int]:
    return [ord(char) for char in text]


def make(
    form: BoundFormat, prefix: str, suffix: str = "", *, context: tuple[str, ...] = (), room: int = 1000
) -> list[int]:
    return build(
        form,
        letters,
        context=[letters(text) for text in context],
        prefix=letters(prefix),
        suffix=suffix,
        budget=Budget(room, room),
    ).tokens


def test_build_puts_context_first_and_the_suffix_after_its_marker() -> None:
    assert make(QWEN, "b", "c", context=("a",)) == [-1, *letters("ab"), -2, *letters("c"), -3]


def test_build_without_markers_uses_only_the_prefix() -> None:
    assert make(PLAIN, "b", "c", context=("a",)) == letters("ab")


def test_build_puts_the_suffix_first_for_suffix_first_families() -> None:
    codestral = next(f for f in FORMATS if f.name == "codestral")
    form = BoundFormat("codestral", codestral.order, {"prefix": -1, "suffix": -2}, bos=-9)
    assert make(form, "b", "c") == [-9, -2, *letters("c"), -1, *letters("b")]


def test_build_repeats_the_mask_of_incoder() -> None:
    form = INCODER
    assert make(form, "b", "c") == [-9, *letters("b"), -1, *letters("c"), -2, -1]
    prompt = build(form, letters, context=[], prefix=letters("b"), suffix="c" * 30, budget=Budget(100, 100))
    assert prompt.suffix_span == (2 + REEVALUATED, 33)
    assert prompt.tail == 33


@pytest.mark.parametrize("known", FORMATS, ids=lambda f: f.name)
def test_form_for_finds_every_format_by_its_vocabulary(known: object) -> None:
    spelt = {known.prefix: 1, known.suffix: 2, known.middle: 3}  # type: ignore[attr-defined]
    assert form_for(spelt.get, Markers()).name == known.name  # type: ignore[attr-defined]


def test_form_for_uses_the_markers_detected_by_llama_cpp() -> None:
    form = form_for(lambda _: None, Markers(prefix=7, suffix=8, middle=9))
    assert form.markers == {"prefix": 7, "suffix": 8, "middle": 9}


def test_form_for_prefers_a_catalogue_entry_without_infilling() -> None:
    assert form_for(lambda _: 5, Markers(1, 2, 3), "none").markers == {}


def test_heal_word_returns_the_bytes_of_the_dropped_token() -> None:
    def heal(text: str) -> tuple[list[int], bytes]:
        return heal_word(text, letters(text), lambda token: chr(token).encode())

    assert heal("abc") == (letters("ab"), b"c")
    for whole in ("", "if x:\n    ", "min(", "x = ", "a.", "'", "x:"):
        assert heal(whole) == (letters(whole), b"")


def joined(
    prefix: str, suffix: str = "", context: str = "", form: BoundFormat = QWEN, room: int = 1000
) -> Prompt:
    return build(
        form.joined,
        letters,
        context=[letters(context)],
        prefix=letters(prefix),
        suffix=suffix,
        budget=Budget(room, room),
    )


def test_joined_format_ends_with_the_text_of_the_cell() -> None:
    prompt = joined("b", "c" * 30, "a")
    assert prompt.tokens == [-1, *letters("a"), -2, *letters("c" * 30), -3, *letters("b")]
    assert (prompt.suffix_span, prompt.tail) == ((0, 0), 0)
    assert joined("", "c", "a").tokens == make(QWEN, "", "c", context=("a",))
    assert INCODER.joined == INCODER
    assert joined("b", "c", "a", PLAIN).tokens == letters("ab")


@given(st.text(max_size=30), st.text("ab", max_size=60), st.text(max_size=60), st.integers(1, 40))
def test_joined_format_appends_typed_text_to_the_prompt(
    context: str, text: str, suffix: str, room: int
) -> None:
    before, after = joined(text, suffix, context, room=room), joined(text + "a", suffix, context, room=room)
    assert len(after.tokens) <= 2 * room + 3
    if len(context) + len(text) < room and text:
        assert after.tokens == [*before.tokens, *letters("a")]


@given(st.text(max_size=60), st.text(max_size=60), st.integers(1, 40))
def test_build_never_exceeds_its_budget(prefix: str, suffix: str, room: int) -> None:
    assert len(make(QWEN, prefix, suffix, room=room)) <= 2 * room + 3


def laid_out(form: BoundFormat, prefix: str, suffix: str = "") -> Prompt:
    return build(form, letters, context=[], prefix=letters(prefix), suffix=suffix, budget=Budget(1000, 1000))


def test_build_marks_the_suffix_except_its_beginning() -> None:
    found = laid_out(QWEN, "abc", "x" * 40)
    start, stop = found.suffix_span
    assert stop == len(found.tokens) - 1
    assert found.tokens.index(QWEN.markers["suffix"]) + REEVALUATED == start
    assert laid_out(QWEN, "abc", "short").suffix_span == (0, 0)
    assert laid_out(PLAIN, "abc").suffix_span == (0, 0)


def test_build_marks_the_text_that_may_move_after_an_edit() -> None:
    found = laid_out(QWEN, "x" * 100, "y" * 40)
    assert found.tokens[found.context_end :][:NEAR] == letters("x" * NEAR)
    assert found.tokens[found.context_end + NEAR] == QWEN.markers["suffix"]
    assert laid_out(PLAIN, "x" * 100).context_end == 100 - NEAR
    assert laid_out(QWEN, "x").context_end == 0
    suffix_first = BoundFormat("", ("suffix", "SUFFIX", "prefix", "PREFIX"), {"prefix": -1, "suffix": -2})
    assert laid_out(suffix_first, "x" * 100, "y").context_end == 0


def test_form_for_prefers_the_catalogues_format() -> None:
    assert form_for(lambda _: 5, Markers(), "starcoder").name == "starcoder"
    assert form_for(lambda _: 5, Markers()).name == FORMATS[0].name


@given(st.lists(st.integers(), max_size=400), st.integers(1, 300))
def test_keep_tail_returns_an_end_that_fits(tokens: list[int], room: int) -> None:
    kept = keep_tail(tokens, room)
    assert len(kept) <= room
    assert tokens[len(tokens) - len(kept) :] == kept
    assert len(kept) >= min(len(tokens), room - max(1, room // 4))


@given(st.integers(8, 200), st.integers(0, 600))
def test_keep_tail_seldom_moves_its_start(room: int, length: int) -> None:
    starts = [length + more - len(keep_tail(list(range(length + more)), room)) for more in range(room // 4)]
    assert len(set(starts)) <= 2


@given(st.lists(st.integers(1, 400), max_size=12), st.integers(0, 300), st.integers(8, 1000))
def test_pieces_left_out_leaves_room_for_an_outline(sizes: list[int], near: int, room: int) -> None:
    gone = pieces_left_out(sizes, near, room)
    kept = sum(sizes[gone:])
    assert kept + near <= room or gone == len(sizes)
    if gone:
        assert kept + near + room // 8 <= room or gone == len(sizes)


@given(st.text(max_size=300), st.integers(-2, 100))
def test_read_head_returns_the_first_tokens(text: str, room: int) -> None:
    given: list[str] = []

    def tokenize(text: str) -> list[int]:
        given.append(text)
        return [ord(char) for char in text]

    assert read_head(tokenize, text, room) == [ord(char) for char in text[: max(0, room)]]
    assert len(given[0]) <= WIDEST * max(0, room)  # text that cannot fit is not tokenized


@given(st.text(max_size=20), st.integers(-5, 0))
def test_keep_tail_without_room_returns_nothing(text: str, room: int) -> None:
    assert keep_tail(text, room) == ""
