from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.prompt.infill import MOST_FILES, Hole, taken_apart

BEFORE, AFTER = "def add(a, b):\n    return ", "\n\nprint(add(1, 2))\n"
# As Continue, Twinny, minuet, llama.vscode, and the families' own descriptions write them.
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
# Nothing that begins, ends or is a mark; a space beside codellama's belongs to them.
plain = st.text(st.sampled_from("ab= \n<|>[]_"), max_size=12)


@pytest.mark.parametrize("name", TEMPLATES)
def test_each_familys_template_is_taken_apart(name: str) -> None:
    hole = taken_apart(TEMPLATES[name].format(before=BEFORE, after=AFTER))
    assert hole is not None
    assert (hole.before, hole.after) == (BEFORE, AFTER)


@pytest.mark.parametrize("name", TEMPLATES)
def test_either_side_may_be_empty(name: str) -> None:
    for before, after in ((BEFORE, ""), ("", AFTER), ("", "")):
        hole = taken_apart(TEMPLATES[name].format(before=before, after=after))
        assert hole is not None
        assert (hole.before, hole.after) == (before, after)


def test_a_repository_and_files_may_stand_above() -> None:
    above = "<|repo_name|>shapes\n<|file_sep|>a.py\nx = 1\n<|file_sep|>b.py\n"
    hole = taken_apart(above + TEMPLATES["qwen"].format(before=BEFORE, after=AFTER))
    context = (("repository", "shapes\n"), ("file", "a.py\nx = 1\n"), ("file", "b.py\n"))
    assert hole == Hole(BEFORE, AFTER, context)
    above = "<file_sep>x = 1\n<file_sep>"
    hole = taken_apart(above + TEMPLATES["starcoder"].format(before=BEFORE, after=AFTER))
    assert hole == Hole(BEFORE, AFTER, (("file", "x = 1\n"), ("file", "")))


@given(
    st.lists(st.sampled_from(QWEN), max_size=7).filter(
        lambda marks: tuple(QWEN.index(mark) for mark in marks) not in ORDERS
    ),
    st.data(),
)
def test_marks_in_any_other_arrangement_are_text(marks: list[str], data: st.DataObject) -> None:
    texts = [data.draw(plain.filter(bool)) for _ in range(len(marks) + 1)]
    prompt = "".join(part for pair in zip(texts, [*marks, ""], strict=True) for part in pair)
    assert taken_apart(prompt) is None


@given(st.permutations(QWEN[:3]), plain.filter(bool), plain.filter(bool))
def test_text_around_a_template_makes_it_text(marks: list[str], one: str, other: str) -> None:
    template = one.join(marks)
    assert taken_apart(other + template) is None
    assert taken_apart(template + other) is None


def test_marks_of_two_families_are_no_template() -> None:
    families = [
        TEMPLATES[name].replace("{before}", "x").replace("{after}", "x").split("x") for name in TEMPLATES
    ]
    for one, other in permutations((marks for marks in families if len(marks) == 3 and marks[-1]), 2):
        assert taken_apart(f"{one[0]}a{other[1]}b{one[2]}") is None


def test_a_familys_marks_within_another_ones_template_are_text() -> None:
    before = "MARK = '<fim_prefix>'\n"
    assert taken_apart(TEMPLATES["qwen"].format(before=before, after="")) == Hole(before, "")


@pytest.mark.parametrize("mark", ["<|file_sep|>", "<|fim_prefix|>", "<PRE>", " <PRE>", "[SUFFIX]", "<"])
def test_a_megabyte_of_marks_is_looked_at_once(mark: str) -> None:
    assert taken_apart(mark * (2**20 // len(mark))) is None


def test_a_repository_comes_first_and_files_are_no_more_than_so_many() -> None:
    hole = "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>"
    file = "<|file_sep|>f"
    assert taken_apart(f"<|repo_name|>r{file}{hole}") is not None
    assert taken_apart(f"{file}<|repo_name|>r{hole}") is None
    assert taken_apart(file * 10 + hole) is not None
    assert taken_apart(file * (MOST_FILES + 2) + hole) is None
