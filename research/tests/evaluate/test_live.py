from __future__ import annotations

import threading
from pathlib import Path

import pytest

from jupyter_turbopilot.analysis.kernel_context import NONE
from turbopilot_research.evaluate import notebooks, replay, report, traces
from turbopilot_research.evaluate.live import _ANSWER, Live, Question, ResolvedNames, questions

from .conftest import notebook
from .test_replay import Knows

DATA = Path(__file__).parents[3] / "tests" / "data"


def all_of(name: str) -> list[traces.Trace]:
    read = [notebook for notebook in notebooks.read(DATA) if notebook.name == name]
    return traces.of_kind(read, "append", 0)


def notebook_with(folder: Path, code: str) -> tuple[Path, list[traces.Trace]]:
    """Write a notebook that runs this code in its second cell; return its folder and its traces."""
    path = notebook(folder / "a.ipynb")
    file = path / "a.ipynb"
    file.write_text(file.read_text().replace("values = [1, 2, 3]", code))
    return path, traces.of_kind(notebooks.read(path), "append", 0)


def test_live_provides_the_kernel_context_of_the_cells_above() -> None:
    typed = all_of("harbour.ipynb")
    with Live("python3") as live:
        first, second, *_ = (live.kernel_context(trace) for trace in typed)
        assert not first.names
        assert second.names["ships"].columns == [
            "name",
            "tonnage",
            "berth_number",
            "arrived_at",
        ]
        assert not live.failed
        found = ResolvedNames()
        live.count_names(found, "ships[", '"tonnage"].mean()')
        live.count_names(found, "ships[", '"tonnes"]')
        live.count_names(found, "x = ", "heavy_ships")
        assert (found.there, found.missing, found.unknown) == (1, 2, 1)


def test_live_runs_notebooks_beside_the_files_they_read(tmp_path: Path) -> None:
    path, typed = notebook_with(tmp_path, "values = open('a.txt').read()")
    (path / "a.txt").write_text("1")
    with Live("python3", path) as live:
        assert "values" in live.kernel_context(typed[-1]).names
        assert not live.failed


def test_live_reports_a_failing_cell_and_continues(tmp_path: Path) -> None:
    _, typed = notebook_with(tmp_path, "values = 1 / 0")
    with Live("python3") as live:
        live.kernel_context(typed[0])
        assert live.failed == {"a.ipynb": "cell 1: ZeroDivisionError: division by zero"}


@pytest.mark.parametrize("is_queried", [True, False])
def test_live_runs_the_last_cell_while_the_user_types(tmp_path: Path, is_queried: bool) -> None:
    slow = "import os\\nwhile not os.path.exists('end'): pass\\nvalues = [1]"
    path, typed = notebook_with(tmp_path, slow)
    with Live("python3", path, is_queried=is_queried) as live:
        latest = live.run_while_typing(typed[-1])
        assert "values" not in latest().names
        (path / "end").touch()
        live.count_names(found := ResolvedNames(), "x = ", "values")  # waits for the cell
        assert found.there == 1
        assert ("values" in latest().names) == is_queried
        assert not live.failed


def test_live_stops_while_a_cell_runs(tmp_path: Path) -> None:
    path, typed = notebook_with(tmp_path, "while True: pass")
    with Live("python3", path) as live:
        live.run_while_typing(typed[-1])
    assert live.failed == {"a.ipynb": "cell 1: KeyboardInterrupt: "}
    assert "turbopilot-kernel_0" not in [thread.name for thread in threading.enumerate()]


def test_beside_a_kernel_replays_with_and_without_context() -> None:
    local = Knows(lambda request: "swing_it(" if request.prefix.endswith("= ") else "")
    with Live("python3") as live:
        knowing, unaware = replay.with_kernel(
            local,  # type: ignore[arg-type]
            all_of("pendulum.ipynb"),
            lambda _: None,
            live,
        )
    assert any("swing" in kernel_context.names for kernel_context in local.kernel_context)
    assert local.kernel_context.count(NONE) * 2 == len(local.kernel_context)
    assert knowing.names.missing == unaware.names.missing > 0
    reported = report.table({"x" + report.WITH_CONTEXT: knowing, "x" + report.WITHOUT_CONTEXT: unaware})
    assert "are missing (100.0%)" in reported
    assert "times as much" in reported


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
def test_questions_include_only_names_of_the_suggestion(
    before: str, text: str, asked: list[Question]
) -> None:
    found, _ = questions(before, text)
    assert sorted(found, key=str) == sorted(asked, key=str)


def test_questions_count_names_bound_in_the_cell_as_unknown() -> None:
    assert questions("total = sum(values)\nprint(", "total.mean())") == ([], 2)


@pytest.mark.parametrize(
    ("question", "expected"),
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
def test_live_checks_names_with_the_kernels_objects(question: Question, expected: object) -> None:
    frame = type("DataFrame", (), {"columns": ["tonnage"]})
    scope: dict[str, object] = {}
    exec(_ANSWER, scope)  # noqa: S102
    answer = scope["answer"]
    assert callable(answer)
    assert answer({"text": "x", "ships": frame()}, (question.chain, question.key)) is expected
