from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.prompt.formats import WIDEST, BoundFormat, Budget, build
from jupyter_turbopilot.prompt.infill import (
    ANSWER_SHARE,
    MOST_FILES,
    FimTexts,
    build_infill,
    build_text,
    taken_apart,
)
from jupyter_turbopilot.protocol.engine_request import RawRequest, Sampling
from jupyter_turbopilot.protocol.errors import BadRequestError, ContextLengthError

from .test_formats import PLAIN, letters
from .test_formats import QWEN as FORM

BEFORE, AFTER = "def add(a, b):\n    return ", "\n\nprint(add(1, 2))\n"
# As written by Continue, Twinny, minuet, llama.vscode and the models' documentation.
TEMPLATES = {
    "qwen": "<|fim_prefix|>{before}<|fim_suffix|>{after}<|fim_middle|>",
    "starcoder": "<fim_prefix>{before}<fim_suffix>{after}<fim_middle>",
    "starcoder, suffix first": "<fim_prefix><fim_suffix>{after}<fim_middle>{before}",
    "mellum": "<filename>a.py\n<fim_suffix>{after}<fim_prefix>{before}<fim_middle>",
    "santacoder": "<fim-prefix>{before}<fim-suffix>{after}<fim-middle>",
    "codellama": "<PRE> {before} <SUF>{after} <MID>",
    "codellama, suffix first": "<PRE> <SUF>{after} <MID> {before}",
    "deepseek": "<｜fim▁begin｜>{before}<｜fim▁hole｜>{after}<｜fim▁end｜>",  # noqa: RUF001
    "deepseek, plain bars": "<|fim▁begin|>{before}<|fim▁hole|>{after}<|fim▁end|>",
    "codestral": "[SUFFIX]{after}[PREFIX]{before}",
    "codegeex": "<|code_suffix|>{after}<|code_prefix|>{before}<|code_middle|>",
    "seed": "<[fim-suffix]>{after}<[fim-prefix]>{before}<[fim-middle]>",
}
QWEN = ["<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|repo_name|>", "<|file_sep|>"]
ORDERS = {(0, 1, 2), (1, 0, 2)}
# Text without markers or parts of them; a space beside codellama's markers belongs to them.
plain = st.text(st.sampled_from("ab= \n<|>[]_"), max_size=12)


@pytest.mark.parametrize("name", TEMPLATES)
def test_taken_apart_parses_the_template_of_each_family(name: str) -> None:
    hole = taken_apart(TEMPLATES[name].format(before=BEFORE, after=AFTER))
    assert hole is not None
    assert (hole.before, hole.after) == (BEFORE, AFTER)


@pytest.mark.parametrize("name", TEMPLATES)
def test_taken_apart_accepts_an_empty_side(name: str) -> None:
    for before, after in ((BEFORE, ""), ("", AFTER), ("", "")):
        hole = taken_apart(TEMPLATES[name].format(before=before, after=after))
        assert hole is not None
        assert (hole.before, hole.after) == (before, after)


def test_taken_apart_accepts_repository_and_files() -> None:
    above = "<|repo_name|>shapes\n<|file_sep|>a.py\nx = 1\n<|file_sep|>b.py\n"
    hole = taken_apart(above + TEMPLATES["qwen"].format(before=BEFORE, after=AFTER))
    context = (("repository", "shapes\n"), ("file", "a.py\nx = 1\n"), ("file", "b.py\n"))
    assert hole == FimTexts(BEFORE, AFTER, context)
    above = "<file_sep>x = 1\n<file_sep>"
    hole = taken_apart(above + TEMPLATES["starcoder"].format(before=BEFORE, after=AFTER))
    assert hole == FimTexts(BEFORE, AFTER, (("file", "x = 1\n"), ("file", "")))


@given(
    st.lists(st.sampled_from(QWEN), max_size=7).filter(
        lambda marks: tuple(QWEN.index(mark) for mark in marks) not in ORDERS
    ),
    st.data(),
)
def test_taken_apart_rejects_markers_in_other_orders(marks: list[str], data: st.DataObject) -> None:
    texts = [data.draw(plain.filter(bool)) for _ in range(len(marks) + 1)]
    prompt = "".join(part for pair in zip(texts, [*marks, ""], strict=True) for part in pair)
    assert taken_apart(prompt) is None


@given(st.permutations(QWEN[:3]), plain.filter(bool), plain.filter(bool))
def test_taken_apart_rejects_text_around_a_template(marks: list[str], one: str, other: str) -> None:
    template = one.join(marks)
    assert taken_apart(other + template) is None
    assert taken_apart(template + other) is None


def test_taken_apart_keeps_markers_of_other_families_as_text() -> None:
    before = "MARK = '<fim_prefix>'\n"
    assert taken_apart(TEMPLATES["qwen"].format(before=before, after="")) == FimTexts(before, "")


@pytest.mark.parametrize("mark", ["<|file_sep|>", "<|fim_prefix|>", "<PRE>", " <PRE>", "[SUFFIX]", "<"])
def test_taken_apart_scans_many_markers_once(mark: str) -> None:
    assert taken_apart(mark * (2**20 // len(mark))) is None


def test_taken_apart_limits_files_and_requires_the_repository_first() -> None:
    hole = "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>"
    file = "<|file_sep|>f"
    assert taken_apart(f"<|repo_name|>r{file}{hole}") is not None
    assert taken_apart(f"{file}<|repo_name|>r{hole}") is None
    assert taken_apart(file * 10 + hole) is not None
    assert taken_apart(file * (MOST_FILES + 2) + hole) is None


def infill(prefix: str = "", suffix: str = "", other: str = "", **more: object) -> RawRequest:
    others = (("f", other),) if other else ()
    return RawRequest(prefix, suffix, window=True, others=others, **more)  # type: ignore[arg-type]


REPO = BoundFormat("qwen", FORM.order, FORM.markers, repository=-10, file=-11)


def test_build_infill_matches_llama_cpp() -> None:
    request = infill("ab", "cd", "other", typed="e")
    found = build_infill(REPO, letters, letters, request, 1000, 10).tokens
    marks = FORM.markers
    assert found == [
        -10, *letters("myproject\n"), -11, *letters("f\n"), *letters("other"), -11, *letters("filename\n"),
        marks["prefix"], *letters("abe"), marks["suffix"], *letters("cd"), marks["middle"],
    ]  # fmt: skip


def test_build_infill_seldom_moves_the_start() -> None:
    starts = set()
    for end in range(600, 640):
        text = "".join(f"{n}," for n in range(end))
        request = infill(text, "", "other " * 400)
        starts.add(tuple(build_infill(REPO, letters, letters, request, 1000, 30).tokens[:200]))
    assert len(starts) <= 3


@given(st.integers(0, 900), st.integers(0, 900), st.integers(0, 900))
def test_build_infill_truncates_to_the_context(before: int, after: int, other: int) -> None:
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
def test_build_text_truncates_or_rejects_a_long_text(
    before: str | tuple[int | str, ...], after: str | None, length: int
) -> None:
    request = RawRequest(before, after, sampling=Sampling(max_tokens=length), cut=True)
    prompt = build_text(FORM, letters, request, 256)
    found = prompt.tokens
    assert 0 < len(found) < 256  # there is room for one token of the answer
    everything = build_text(FORM, letters, request, 100_000).tokens
    assert prompt.cut == (len(everything) >= 256)
    if not prompt.cut:
        assert found == everything  # the answer is truncated, not the prompt
    asked = replace(request, cut=False)
    try:
        whole = build_text(FORM, letters, asked, 256).tokens
    except ContextLengthError as error:
        assert "maximum context length is 256 tokens" in error.message
    else:
        assert len(whole) + length <= 256
        assert whole == found


def test_build_text_rejects_a_suffix_without_markers() -> None:
    with pytest.raises(BadRequestError, match="suffix"):
        build_text(PLAIN, letters, RawRequest("a", "b"), 256)


def test_build_text_leaves_room_for_an_answer() -> None:
    for length in (1, 10, 100_000):
        prompt = build_text(PLAIN, letters, RawRequest("a" * 300, sampling=Sampling(length), cut=True), 256)
        assert prompt.cut
        assert 150 < len(prompt.tokens) <= 256 - min(length, 256 // ANSWER_SHARE)


@pytest.mark.parametrize("piece", ["a", "a b\n"])
def test_build_text_tokenizes_only_what_fits(piece: str) -> None:
    most = 0

    def counting(text: str) -> list[int]:
        nonlocal most
        most = max(most, len(text))
        return [1] * (len(text) // 4)

    text, suffix = piece * 600_000, piece * 500_000
    budget = Budget(100, 50)
    built = build(FORM, counting, context=[], prefix=[1] * 200, suffix=suffix, budget=budget)
    assert most <= 100 * WIDEST
    assert len(built.tokens) > 100
    others = tuple((f"{number}.py", text) for number in range(20))
    request = RawRequest(text, suffix, typed=text, others=others, window=True)
    build_infill(FORM, counting, counting, request, 256, 10)
    assert most <= 256 * WIDEST
    build_text(FORM, counting, RawRequest(text, suffix, cut=True), 256)
    assert most <= 256 * WIDEST
    with pytest.raises(ContextLengthError):
        build_text(FORM, counting, RawRequest(text, suffix), 256)
    assert most <= 256 * WIDEST


def test_build_text_adds_no_bos_to_token_ids() -> None:
    form = BoundFormat("none", bos=-9)
    assert build_text(form, letters, RawRequest("a"), 256).tokens == [-9, ord("a")]
    assert build_text(form, letters, RawRequest((7, "a")), 256).tokens == [7, ord("a")]


def test_build_text_uses_file_markers_if_the_model_has_them() -> None:
    request = RawRequest("a", "b", context=(("repository", "r"), ("file", "f")))
    hole = [-1, ord("a"), -2, ord("b"), -3]
    assert build_text(REPO, letters, request, 256).tokens == [-10, ord("r"), -11, ord("f"), *hole]
    plain = build_text(FORM, letters, request, 256).tokens
    assert plain == [*letters("\n\n--- snippet ---\n\n"), ord("f"), *hole]
