from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.errors import BadRequestError, ContextLengthError
from jupyter_turbopilot.generation import Markers, RawRequest, Sampling
from jupyter_turbopilot.prompt.budget import WIDEST, Budget
from jupyter_turbopilot.prompt.formats import (
    ANSWER_SHARE,
    FORMATS,
    READ_ANEW,
    BoundFormat,
    Prompt,
    build,
    build_infill,
    build_text,
    form_for,
    heal_word,
)

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
        prefix=prefix,
        suffix=suffix,
        budget=Budget(room, room),
    ).tokens


def test_context_comes_before_the_prefix_and_the_suffix_behind_its_marker() -> None:
    assert make(QWEN, "b", "c", context=("a",)) == [-1, *letters("ab"), -2, *letters("c"), -3]


def test_a_model_without_markers_gets_the_text_before_the_cursor() -> None:
    assert make(PLAIN, "b", "c", context=("a",)) == letters("ab")


def test_a_family_that_wants_the_suffix_first_gets_it_first() -> None:
    codestral = next(f for f in FORMATS if f.name == "codestral")
    form = BoundFormat("codestral", codestral.order, {"prefix": -1, "suffix": -2}, bos=-9)
    assert make(form, "b", "c") == [-9, -2, *letters("c"), -1, *letters("b")]


def test_incoder_has_a_mask_in_the_hole_and_again_before_what_fills_it() -> None:
    form = INCODER
    assert make(form, "b", "c") == [-9, *letters("b"), -1, *letters("c"), -2, -1]
    prompt = build(form, letters, context=[], prefix="b", suffix="c" * 30, budget=Budget(100, 100), heal=None)
    assert prompt.suffix_span == (2 + READ_ANEW, 33)
    assert prompt.behind == 33


@pytest.mark.parametrize("known", FORMATS, ids=lambda f: f.name)
def test_every_format_is_found_by_how_its_vocabulary_spells_it(known: object) -> None:
    spelt = {known.prefix: 1, known.suffix: 2, known.middle: 3}  # type: ignore[attr-defined]
    assert form_for(spelt.get, Markers()).name == known.name  # type: ignore[attr-defined]


def test_what_llama_cpp_found_serves_where_no_spelling_is_known() -> None:
    form = form_for(lambda _: None, Markers(prefix=7, suffix=8, middle=9))
    assert form.markers == {"prefix": 7, "suffix": 8, "middle": 9}


def test_a_catalogue_entry_without_infilling_wins_over_what_the_vocabulary_spells() -> None:
    assert form_for(lambda _: 5, Markers(1, 2, 3), "none").markers == {}


def test_backing_up_over_the_beginning_of_a_word_forces_its_bytes() -> None:
    heal = heal_word(letters, lambda token: chr(token).encode())
    assert heal("abc") == (letters("ab"), b"c")
    assert heal("") == ([], b"")
    assert heal("if x:\n    ") == (letters("if x:\n    "), b"")
    for whole in ("min(", "x = ", "a.", "'", "x:"):
        assert heal(whole) == (letters(whole), b"")


def test_what_is_backed_up_over_is_not_in_the_prompt() -> None:
    prompt = build(
        PLAIN,
        letters,
        context=[letters("a")],
        prefix="bc",
        suffix="",
        budget=Budget(10, 10),
        heal=heal_word(letters, lambda token: chr(token).encode()),
    )
    assert (prompt.tokens, prompt.forced) == (letters("ab"), b"c")


def joined(
    prefix: str, suffix: str = "", context: str = "", form: BoundFormat = QWEN, room: int = 1000
) -> Prompt:
    return build(
        form.joined,
        letters,
        context=[letters(context)],
        prefix=prefix,
        suffix=suffix,
        budget=Budget(room, room),
    )


def test_where_it_is_joined_the_answer_goes_on_with_the_text_of_the_cell() -> None:
    prompt = joined("b", "c" * 30, "a")
    assert prompt.tokens == [-1, *letters("a"), -2, *letters("c" * 30), -3, *letters("b")]
    assert (prompt.suffix_span, prompt.behind) == ((0, 0), 0)
    assert joined("", "c", "a").tokens == make(QWEN, "", "c", context=("a",))
    assert INCODER.joined == INCODER
    assert joined("b", "c", "a", PLAIN).tokens == letters("ab")


@given(st.text(max_size=30), st.text("ab", max_size=60), st.text(max_size=60), st.integers(1, 40))
def test_typing_adds_to_the_end_of_a_joined_prompt(context: str, text: str, suffix: str, room: int) -> None:
    before, after = joined(text, suffix, context, room=room), joined(text + "a", suffix, context, room=room)
    assert len(after.tokens) <= 2 * room + 3
    if len(context) + len(text) < room and text:
        assert after.tokens == [*before.tokens, *letters("a")]


@given(st.text(max_size=60), st.text(max_size=60), st.integers(1, 40))
def test_a_prompt_never_exceeds_its_budget(prefix: str, suffix: str, room: int) -> None:
    assert len(make(QWEN, prefix, suffix, room=room)) <= 2 * room + 3


def laid_out(form: BoundFormat, prefix: str, suffix: str = "") -> Prompt:
    return build(form, letters, context=[], prefix=prefix, suffix=suffix, budget=Budget(1000, 1000))


def test_the_suffix_is_marked_as_what_seldom_changes_but_for_its_beginning() -> None:
    found = laid_out(QWEN, "abc", "x" * 40)
    start, stop = found.suffix_span
    assert stop == len(found.tokens) - 1
    assert found.tokens.index(QWEN.markers["suffix"]) + READ_ANEW == start
    assert laid_out(QWEN, "abc", "short").suffix_span == (0, 0)
    assert laid_out(PLAIN, "abc").suffix_span == (0, 0)


def infill(prefix: str = "", suffix: str = "", other: str = "", **more: object) -> RawRequest:
    others = (("f", other),) if other else ()
    return RawRequest(prefix, suffix, window=True, others=others, **more)  # type: ignore[arg-type]


REPO = BoundFormat("qwen", QWEN.order, QWEN.markers, repository=-10, file=-11)


def test_an_editors_request_is_laid_out_as_llama_cpp_lays_it_out() -> None:
    request = infill("ab", "cd", "other", typed="e")
    found = build_infill(REPO, letters, letters, request, 1000, 10).tokens
    marks = QWEN.markers
    assert found == [
        -10, *letters("myproject\n"), -11, *letters("f\n"), *letters("other"), -11, *letters("filename\n"),
        marks["prefix"], *letters("abe"), marks["suffix"], *letters("cd"), marks["middle"],
    ]  # fmt: skip


def test_a_model_without_marks_for_files_gets_a_line_between_them() -> None:
    found = build_infill(QWEN, letters, letters, infill("a", "b", "other"), 1000, 10)
    assert "--- snippet ---" in "".join(chr(token) for token in found.tokens if token > 0)


def test_typing_at_the_end_of_a_long_file_moves_the_start_of_the_prompt_seldom() -> None:
    starts = set()
    for end in range(600, 640):
        text = "".join(f"{n}," for n in range(end))
        request = infill(text, "", "other " * 400)
        starts.add(tuple(build_infill(REPO, letters, letters, request, 1000, 30).tokens[:200]))
    assert len(starts) <= 3


@given(st.integers(0, 900), st.integers(0, 900), st.integers(0, 900))
def test_an_editors_request_is_cut_to_what_fits(before: int, after: int, other: int) -> None:
    request = infill("a" * before, "b" * after, "c" * other)
    found = build_infill(REPO, letters, letters, request, 400, 30).tokens
    assert len(found) + 30 <= 400


@given(
    st.one_of(
        st.text(max_size=300), st.lists(st.integers(0, 500) | st.text(max_size=5), max_size=60).map(tuple)
    ),
    st.none() | st.text(max_size=200),
    st.integers(0, 200),
)
def test_a_text_is_cut_to_what_fits_or_refused(
    before: str | tuple[int | str, ...], after: str | None, length: int
) -> None:
    request = RawRequest(before, after, sampling=Sampling(max_tokens=length), cut=True)
    prompt = build_text(QWEN, letters, request, 256)
    found = prompt.tokens
    assert 0 < len(found) < 256  # there is room for a token of answer
    everything = build_text(QWEN, letters, request, 100_000).tokens
    assert prompt.cut == (len(everything) >= 256)
    if not prompt.cut:
        assert found == everything  # the answer is cut, not the prompt
    asked = replace(request, cut=False)
    try:
        whole = build_text(QWEN, letters, asked, 256).tokens
    except ContextLengthError as error:
        assert "maximum context length is 256 tokens" in error.message
    else:
        assert len(whole) + length <= 256
        assert whole == found


def test_a_model_that_cannot_fill_in_says_so() -> None:
    with pytest.raises(BadRequestError, match="suffix"):
        build_text(PLAIN, letters, RawRequest("a", "b"), 256)


@pytest.mark.parametrize("length", [0, 100, 255, 256, 100_000])
def test_a_long_answer_never_costs_the_prompt(length: int) -> None:
    request = RawRequest("a" * 200, sampling=Sampling(max_tokens=length), cut=True)
    prompt = build_text(PLAIN, letters, request, 256)
    assert (len(prompt.tokens), prompt.cut) == (200, False)


def test_a_prompt_that_does_not_fit_leaves_room_for_some_answer() -> None:
    for length in (1, 10, 100_000):
        prompt = build_text(PLAIN, letters, RawRequest("a" * 300, sampling=Sampling(length), cut=True), 256)
        assert prompt.cut
        assert 150 < len(prompt.tokens) <= 256 - min(length, 256 // ANSWER_SHARE)


@pytest.mark.parametrize("piece", ["a", "a b\n"])
def test_no_more_of_a_text_is_tokenized_than_could_be_kept(piece: str) -> None:
    most = 0

    def counting(text: str) -> list[int]:
        nonlocal most
        most = max(most, len(text))
        return [1] * (len(text) // 4)

    text, suffix = piece * 600_000, piece * 500_000
    budget = Budget(100, 50)
    built = build(QWEN, counting, context=[], prefix=text, suffix=suffix, budget=budget)
    assert most <= 100 * WIDEST
    assert len(built.tokens) > 100
    others = tuple((f"{number}.py", text) for number in range(20))
    infill = RawRequest(text, suffix, typed=text, others=others, window=True)
    build_infill(QWEN, counting, counting, infill, 256, 10)
    assert most <= 256 * WIDEST
    build_text(QWEN, counting, RawRequest(text, suffix, cut=True), 256)
    assert most <= 256 * WIDEST
    with pytest.raises(ContextLengthError):
        build_text(QWEN, counting, RawRequest(text, suffix), 256)
    assert most <= 256 * WIDEST


def test_the_catalogues_format_wins_over_another_that_the_vocabulary_spells_too() -> None:
    assert form_for(lambda _: 5, Markers(), "starcoder").name == "starcoder"
    assert form_for(lambda _: 5, Markers()).name == FORMATS[0].name


def test_what_is_read_again_at_each_keystroke_is_counted() -> None:
    prompt = laid_out(QWEN, "abc", "xy")
    assert prompt.behind == len([QWEN.markers["suffix"], *"xy", QWEN.markers["middle"]])
    assert laid_out(PLAIN, "abc").behind == 0


def test_a_prompt_of_ids_gets_no_second_beginning() -> None:
    form = BoundFormat("none", bos=-9)
    assert build_text(form, letters, RawRequest("a"), 256).tokens == [-9, ord("a")]
    assert build_text(form, letters, RawRequest((7, "a")), 256).tokens == [7, ord("a")]


def test_names_of_files_and_repositories_stand_behind_their_markers_if_the_model_has_any() -> None:
    request = RawRequest("a", "b", context=(("repository", "r"), ("file", "f")))
    hole = [-1, ord("a"), -2, ord("b"), -3]
    assert build_text(REPO, letters, request, 256).tokens == [-10, ord("r"), -11, ord("f"), *hole]
    plain = build_text(QWEN, letters, request, 256).tokens
    assert plain == [*letters("\n\n--- snippet ---\n\n"), ord("f"), *hole]
