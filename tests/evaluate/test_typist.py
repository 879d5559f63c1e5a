from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from jupyter_turbopilot.context.facts import NONE, Facts
from jupyter_turbopilot.errors import TurbopilotError
from jupyter_turbopilot.evaluate import report, traces, typist
from jupyter_turbopilot.reply import Item, Reply
from jupyter_turbopilot.request import Completion

CODE = "total = sum(values)\nprint(total)\naverage = total / len(values)\n"


def notebook(path: Path) -> Path:
    cells = [
        {"cell_type": "markdown", "source": ["# Sums"]},
        {"cell_type": "code", "source": ["values = [1, 2, 3]"]},
        {"cell_type": "code", "source": CODE.splitlines(keepends=True)},
        {"cell_type": "code", "source": "print(average)"},
    ]
    path.write_text(json.dumps({"cells": cells}))
    return path.parent


class Knows:
    """Suggests what a function says, at once."""

    def __init__(self, says: Callable[[Completion], str]) -> None:
        self.says = says
        self.asked: list[Completion] = []
        self.facts: list[Facts] = []
        self.counters: dict[str, int] = {}
        self.pilot = SimpleNamespace(completer=self)

    def last(self, request: Completion, facts: Facts = NONE) -> Reply:
        self.facts.append(facts)
        self.asked.append(request)
        text = self.says(request)
        return Reply("id", "model", (Item(text, 0.9, "stop"),) if text else (), done=True)

    def submit(self, request: Completion, listener: Callable[[Reply], None]) -> None:
        listener(self.last(request))


def rest_of_line(request: Completion) -> str:
    return CODE[request.offset :].split("\n", maxsplit=1)[0] if CODE.startswith(request.prefix) else ""


@pytest.fixture
def appended(tmp_path: Path) -> list[traces.Trace]:
    return traces.of_kind(traces.read(notebook(tmp_path / "a.ipynb")), "append", 0)


def test_a_person_who_is_told_every_line_types_little(appended: list[traces.Trace]) -> None:
    typed = typist.by_steps(Knows(rest_of_line), appended, lambda _: None)  # type: ignore[arg-type]
    assert typed.total.precision == 1.0
    assert typed.total.share_saved > 0.5
    assert typed.notebooks.keys() == {"a.ipynb"}


def test_nothing_is_asked_inside_what_was_taken(appended: list[traces.Trace]) -> None:
    knows = Knows(rest_of_line)
    typist.by_steps(knows, appended, lambda _: None)  # type: ignore[arg-type]
    offsets = [request.offset for request in knows.asked]
    assert offsets == [4, 20, 32, 36]


def test_wrong_suggestions_save_nothing(appended: list[traces.Trace]) -> None:
    typed = typist.by_steps(Knows(lambda _: "nonsense"), appended, lambda _: None)  # type: ignore[arg-type]
    assert (typed.total.precision, typed.total.saved) == (0.0, 0)
    assert typed.total.shown > 0


def test_cells_above_and_below_are_there_and_the_markdown_too(appended: list[traces.Trace]) -> None:
    request = appended[0].steps[0].request()
    assert [cell.type for cell in request.cells] == ["markdown", "code", "code", "code"]
    assert request.cells[3].source == "print(average)"
    assert request.prefix == CODE[:4]


def test_on_a_clock_only_what_comes_before_the_next_key_counts(appended: list[traces.Trace]) -> None:
    typed = typist.on_a_clock(Knows(rest_of_line), appended, lambda _: None, 0.004)  # type: ignore[arg-type]
    assert typed.total.saved > 0

    class Late(Knows):
        def submit(self, request: Completion, listener: Callable[[Reply], None]) -> None:
            pass

    typed = typist.on_a_clock(Late(rest_of_line), appended, lambda _: None, 0.004)  # type: ignore[arg-type]
    assert typed.total.saved == 0


def test_on_a_clock_typing_into_what_is_shown_asks_nothing_and_what_follows_is_written_ahead(
    appended: list[traces.Trace],
) -> None:
    # Right for the next four characters only.
    knows = Knows(lambda request: CODE[request.offset :][:6] + "??")
    typist.on_a_clock(knows, appended, lambda _: None, 0.004)  # type: ignore[arg-type]
    asked = [(request.trigger, request.prefix) for request in knows.asked]
    assert asked[:4] == [
        ("warm", CODE[:4]),
        ("automatic", CODE[:4]),
        ("ahead", CODE[:10] + "??"),
        ("automatic", CODE[:12]),
    ]


@pytest.mark.parametrize("kind", ["edit", "hop"])
def test_other_ways_of_typing_end_with_what_stands_in_the_notebook(tmp_path: Path, kind: str) -> None:
    folder = notebook(tmp_path / "a.ipynb")
    found = json.loads((tmp_path / "a.ipynb").read_text())
    found["cells"].append({"cell_type": "code", "source": CODE.replace("total", "grand_total")})
    (tmp_path / "a.ipynb").write_text(json.dumps(found))
    for trace in traces.of_kind(traces.read(folder), kind, 50):
        for step in trace.steps:
            whole = step.cells[step.active][: step.offset] + step.future
            assert whole in "".join(found["cells"][step.active]["source"])


def test_a_report_is_a_table_with_intervals_and_plots(appended: list[traces.Trace], tmp_path: Path) -> None:
    typed = typist.by_steps(Knows(rest_of_line), appended, lambda _: None)  # type: ignore[arg-type]
    written = report.write(tmp_path / "new" / "report.md", "A head.", {"balanced": typed})
    text = written[0].read_text()
    assert "| balanced | 1.000 (1.00 to 1.00)" in text
    assert "balanced, in a word" in text
    assert written[1].suffix == ".svg"
    assert f"({written[1].name})" in text


def test_notebooks_that_cannot_be_read_are_passed_over(tmp_path: Path) -> None:
    notebook(tmp_path / "a.ipynb")
    for name, text in (("b", "{"), ("c", "[]"), ("d", '{"cells": [{"source": 1}]}'), ("e", '{"cells": 3}')):
        (tmp_path / f"{name}.ipynb").write_text(text)
    assert [found["name"] for found in traces.read(tmp_path)] == ["a.ipynb"]


def test_a_set_that_is_none_is_named_in_words(tmp_path: Path) -> None:
    (tmp_path / "set.json.gz").write_text("nothing")
    with pytest.raises(TurbopilotError, match="no prepared set"):
        traces.read(tmp_path / "set.json.gz")
