from __future__ import annotations

import pytest

from jupyter_turbopilot.evaluate.resolving import ANSWER, Question, ResolvedNames, questions


@pytest.mark.parametrize(
    ("before", "text", "asked"),
    [
        ("x = ", "ships", [Question(("ships",))]),
        ("ships", ".head()", [Question(("ships", "head"))]),
        ("ships.groupby(", '"day")', []),
        ("ships[", '"tonnage"]', [Question(("ships",), "tonnage")]),
        ('y = ships["ton', 'nage"].sum()', [Question(("ships",), "tonnage")]),
        ("np.", "linalg.norm(", [Question(("np", "linalg")), Question(("np", "linalg", "norm"))]),
        ("for ship in ", "fleet:", [Question(("fleet",))]),
        ("if ", "ready", [Question(("ready",))]),
        ("print(len(", "ships", [Question(("ships",))]),
        ('ships["new"] = ', "1", []),
        ("%matplotlib inline\nx = ", "ships", [Question(("ships",))]),
    ],
)
def test_only_what_the_suggestion_itself_names_is_asked(
    before: str, text: str, asked: list[Question]
) -> None:
    found, _ = questions(before, text)
    assert sorted(found, key=str) == sorted(asked, key=str)


def test_what_the_cell_itself_binds_cannot_be_told() -> None:
    assert questions("total = sum(values)\nprint(", "total.mean())") == ([], 2)


@pytest.mark.parametrize(
    ("question", "told"),
    [
        (Question(("text",)), True),
        (Question(("nothing",)), False),
        (Question(("text", "upper")), True),
        (Question(("text", "uper")), False),
        (Question(("nothing", "upper")), None),
        (Question(("text",), "column"), None),
        (Question(("ships",), "tonnage"), True),
        (Question(("ships",), "tonnes"), False),
    ],
)
def test_the_kernel_answers_by_its_objects(question: Question, told: object) -> None:
    frame = type("DataFrame", (), {"columns": ["tonnage"]})
    scope: dict[str, object] = {}
    exec(ANSWER, scope)  # noqa: S102
    answer = scope["answer"]
    assert callable(answer)
    assert answer({"text": "x", "ships": frame()}, (question.chain, question.key)) is told


def test_the_share_is_of_what_can_be_told() -> None:
    assert ResolvedNames(there=3, missing=1, unknown=9).share == 0.25
    assert ResolvedNames().share == 0.0
