from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from jupyter_turbopilot.analysis.kernel_context import NONE as NO_CONTEXT
from jupyter_turbopilot.analysis.report import NONE, KernelReport, ObjectDescription, Record
from jupyter_turbopilot.fixes import repeats
from jupyter_turbopilot.fixes.changes import changes
from jupyter_turbopilot.fixes.failed_cell import FailedCell
from jupyter_turbopilot.fixes.find import FINDERS
from jupyter_turbopilot.fixes.structures import Structures
from jupyter_turbopilot.jupyter.kernels import folders
from jupyter_turbopilot.protocol.errors import BusyError
from jupyter_turbopilot.protocol.fix import Edit, Fix

from .conftest import Ask, error_of, run_in_kernel

SOURCE = "frame['revenu']"


def fix_body(**more: Any) -> dict[str, Any]:
    cell = {"source": SOURCE, "execution_count": 1}
    return {"cells": [cell], "failed": 0, "error": {"name": "KeyError", "message": "'revenu'"}} | more


def check_body(**more: Any) -> dict[str, Any]:
    return {"cells": [{"source": "frame['revenu']; f(x=1)"}], "active": 0} | more


def rename_body(**more: Any) -> dict[str, Any]:
    return {"cells": [{"source": "total = 1\ntotl"}], "active": 0, "before": "totl = 1\ntotl"} | more


def repeat_body(**more: Any) -> dict[str, Any]:
    """Two alike edits, and one further occurrence."""
    edit = {"cell": 1, "before": "f(a=1)", "after": "f(a=2)"}
    cells = [{"source": "f(a=2)"}, {"source": "f(a=2)"}, {"source": "f(a=1)"}]
    return {"cells": cells, "active": 0, "before": "f(a=1)", "earlier": edit} | more


def fixes(response: Any) -> list[dict[str, Any]]:
    assert response.code == 200, response.body
    found: list[dict[str, Any]] = json.loads(response.body)["fixes"]
    return found


@pytest.fixture
def failures(monkeypatch: pytest.MonkeyPatch) -> list[FailedCell]:
    """The failures for which a scripted kind of fix was asked."""
    seen: list[FailedCell] = []

    def kind(failure: FailedCell) -> Iterator[Fix]:
        seen.append(failure)
        edit = Edit(cell=0, start=7, end=13, old="revenu", text="revenue")
        yield Fix(title="Did you mean 'revenue'?", source="kernel", confidence=0.9, edits=[edit], run=[0])

    monkeypatch.setitem(FINDERS, "KeyError", (kind,))
    return seen


class Queried:
    """Records the queries of kernels for reports."""

    def __init__(self) -> None:
        self.wanted: list[list[str]] = []
        self.reported = NONE

    async def report(self, _: str, wanted: list[str]) -> Any:
        self.wanted.append(wanted)
        return self.reported

    async def check(self, _: str, wanted: list[str], traced: list[str]) -> Any:
        self.wanted.append(wanted)
        return self.reported

    def kernel_context(self, _: str) -> Any:
        return NO_CONTEXT

    def close(self) -> None:
        pass


@pytest.fixture
def queried(pilot: Any) -> Queried:
    pilot.kernels.close()
    pilot.kernels = Queried()
    return pilot.kernels


async def test_fix_needs_no_model(ask: Ask, pilot: Any, failures: list[FailedCell]) -> None:
    answer = json.loads((await ask("fix", fix_body())).body)
    assert answer["fixes"] == [
        {
            "title": "Did you mean 'revenue'?",
            "source": "kernel",
            "confidence": 0.9,
            "edits": [{"cell": 0, "start": 7, "end": 13, "old": "revenu", "text": "revenue"}],
            "insert": None,
            "run": [0],
        }
    ]
    assert answer["id"].startswith("fix-")
    assert pilot.worker.state.phase == "empty"


async def test_fix_queries_the_kernel_of_the_notebook(
    ask: Ask, pilot: Any, failures: list[FailedCell], session: Any, jp_serverapp: Any
) -> None:
    own = session["kernel"]["id"]
    reply = await run_in_kernel(jp_serverapp, own, f"frame = {{'revenue': 1}}\n{SOURCE}")
    assert reply["content"]["status"] == "error"
    for number in range(5):  # on a busy machine, a new kernel may answer late
        body = fix_body(path="mine.ipynb", kernel_id=own)
        assert len(fixes(await ask("fix", body))) == 1
        if failures[number].report.error:
            break
    failure = failures[-1]
    assert failure.report.error
    assert (failure.report.error.type, failure.report.error.key) == ("KeyError", "revenu")
    assert failure.report.objects["frame"].keys == ["revenue"]
    assert "frame" in failure.kernel_context.names
    assert failure.imports


async def test_fix_without_permission_queries_no_kernel(
    ask: Ask,
    queried: Queried,
    failures: list[FailedCell],
    session: Any,
    jp_serverapp: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = session["kernel"]["id"]
    for path in ("other.ipynb", ".env"):
        await ask("fix", fix_body(path=path, kernel_id=own))
    body = fix_body(path="mine.ipynb", kernel_id=own)
    assert fixes(await ask("fix", body))
    assert queried.wanted == [["frame['revenu']", "frame"]]
    monkeypatch.setattr(
        type(jp_serverapp.authorizer),
        "is_authorized",
        lambda _self, _handler, _user, action, resource: (action, resource) != ("execute", "kernels"),
    )
    assert fixes(await ask("fix", body))
    assert len(queried.wanted) == 1


async def test_check_finds_a_missing_column_in_the_kernel_of_the_notebook(
    ask: Ask, session: Any, jp_serverapp: Any
) -> None:
    own = session["kernel"]["id"]
    await run_in_kernel(jp_serverapp, own, "frame = {'revenue': 1}; f = frame.get")
    body = check_body(path="mine.ipynb", kernel_id=own)
    for _ in range(5):  # on a busy machine, a new kernel may answer late
        answer = json.loads((await ask("check", body)).body)
        if answer["findings"]:
            break
    edit = {"cell": 0, "start": 7, "end": 13, "old": "revenu", "text": "revenue"}
    (finding,) = answer["findings"]
    (fix,) = finding.pop("fixes")
    assert finding == {"start": 7, "end": 13, "message": "`frame` has no key `revenu`."}
    assert (fix["title"], fix["edits"]) == ("Did you mean 'revenue'?", [edit])
    assert answer["id"].startswith("check-")


async def test_check_reads_values_and_files_if_it_may(
    ask: Ask, pilot: Any, session: Any, jp_serverapp: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = session["kernel"]["id"]
    (tmp_path / "orders.csv").touch()
    table = "import pandas as pd; orders = pd.DataFrame({'status': ['open', 'cracked']})"
    await run_in_kernel(jp_serverapp, own, f"{table}; import os; os.chdir({str(tmp_path)!r})")
    source = "orders[orders.status == 'craked']\nopen('oders.csv')"
    body = check_body(path="mine.ipynb", kernel_id=own, cells=[{"source": source}])

    async def messages() -> list[str]:
        found = json.loads((await ask("check", body)).body)["findings"]
        return [each["message"] for each in found]

    wrong = ["`status` has no value `craked`.", "There is no file `oders.csv`."]
    for _ in range(5):  # on a busy machine, a kernel or a disk may answer late
        if await messages() == wrong:
            break
    assert await messages() == wrong
    (tmp_path / "oders.csv").touch()  # without an execution
    assert await messages() == wrong[:1]
    (tmp_path / "oders.csv").unlink()
    assert await messages() == wrong
    monkeypatch.setattr(folders, "read", Mock(side_effect=BusyError("busy")))  # earlier names are outdated
    assert await messages() == wrong[:1]
    pilot.settings.kernel_values = False
    assert await messages() == []


async def test_check_queries_only_the_kernel_of_the_notebook_if_it_is_on(
    ask: Ask, pilot: Any, queried: Queried, session: Any
) -> None:
    own = {"path": "mine.ipynb", "kernel_id": session["kernel"]["id"]}
    keys = {"frame": ObjectDescription(keys=["revenue"], module="builtins")}
    queried.reported = KernelReport(
        objects=keys,
        records={"frame": Record(0, "dict", True, "", 1), "f": Record(1, "other", False, "", -1)},
        all=True,
        alone=True,
        executions=1,
        names=["frame", "f"],
    )
    for more in ({}, own | {"path": "other.ipynb"}, own | {"language": "r"}):
        assert json.loads((await ask("check", check_body(**more))).body)["findings"] == []
    assert (
        json.loads((await ask("check", check_body(cells=[{"source": "f("}], **own))).body)["findings"] == []
    )
    assert queried.wanted == []
    assert len(json.loads((await ask("check", check_body(**own))).body)["findings"]) == 1
    assert queried.wanted == [["frame", "f"]]
    pilot.settings.suggest_fixes = False
    assert json.loads((await ask("check", check_body(**own))).body)["findings"] == []
    assert len(queried.wanted) == 1


async def test_check_reports_that_the_kernel_does_not_answer(
    ask: Ask, queried: Queried, session: Any
) -> None:
    own = {"path": "mine.ipynb", "kernel_id": session["kernel"]["id"]}
    for queried.reported in (NONE, KernelReport(executions=1)):
        answer = json.loads((await ask("check", check_body(**own))).body)
        assert (answer["findings"], answer["unanswered"]) == ([], queried.reported is NONE)


async def test_fix_is_silent_for_other_languages_and_if_it_is_off(
    ask: Ask, pilot: Any, failures: list[FailedCell]
) -> None:
    assert fixes(await ask("fix", fix_body(language="r"))) == []
    pilot.settings.suggest_fixes = False
    assert fixes(await ask("fix", fix_body())) == []
    assert failures == []


MAKE = {"fix": fix_body, "check": check_body, "rename": rename_body, "repeat": repeat_body}


@pytest.mark.parametrize("route", MAKE)
async def test_corrections_obey_the_off_switches(ask: Ask, pilot: Any, route: str) -> None:
    response = await ask(route, MAKE[route](enabled=False))
    assert (response.code, error_of(response)["code"]) == (403, "disabled_in_notebook")
    text = (await ask("metrics", method="GET")).body.decode()
    assert f'{{code="disabled_in_notebook",outcome="failed",route="{route}"}} 1.0' in text


@pytest.mark.parametrize(
    ("route", "field", "value"),
    [
        ("fix", "failed", 1),
        ("check", "active", 1),
        ("rename", "active", 1),
        ("repeat", "active", 3),
        ("repeat", "earlier.cell", {"cell": 3, "before": "", "after": ""}),
    ],
)
async def test_corrections_name_an_invalid_index(
    ask: Ask, pilot: Any, route: str, field: str, value: Any
) -> None:
    response = await ask(route, MAKE[route](**{field.partition(".")[0]: value}))
    assert (response.code, error_of(response)["field"]) == (400, field)


async def test_repeat_returns_the_other_occurrences(ask: Ask, pilot: Any) -> None:
    answer = json.loads((await ask("repeat", repeat_body())).body)
    assert answer.pop("id").startswith("repeat-literal-")
    edit = {"cell": 2, "start": 4, "end": 5, "old": "1", "text": "2"}
    assert answer == {"title": "Change 1 more occurrence?", "edits": [edit]}


@pytest.mark.parametrize("route", ["rename", "repeat"])
async def test_edits_are_silent_for_other_languages_and_if_they_are_off(
    ask: Ask, pilot: Any, route: str
) -> None:
    assert json.loads((await ask(route, MAKE[route]())).body)["edits"]
    assert not json.loads((await ask(route, MAKE[route](language="r"))).body)["edits"]
    pilot.settings.suggest_fixes = False
    assert not json.loads((await ask(route, MAKE[route]())).body)["edits"]


async def test_repeat_queries_the_kernel_after_a_single_edit(
    ask: Ask, queried: Queried, session: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = {"path": "mine.ipynb", "kernel_id": session["kernel"]["id"]}
    single = {
        "earlier": None,
        "before": "df['a']",
        "cells": [{"source": "df['b']"}, {"source": "df['a']"}],
    }
    for more in (kernel, single, single | kernel | {"path": "other.ipynb"}):
        await ask("repeat", repeat_body(**more))
    assert queried.wanted == []
    table = ObjectDescription(labels=["b"])
    queried.reported = KernelReport(objects={"df": table})
    compared: list[str] = []

    def compare(before: str, after: str, structures: Structures) -> Any:
        compared.append(after)
        return changes(before, after, structures)

    monkeypatch.setattr(repeats, "changes", compare)
    answer = json.loads((await ask("repeat", repeat_body(**single, **kernel))).body)
    assert queried.wanted == [["df"]]
    assert compared == ["df['b']"], "the rule of the edit is computed once"
    assert [edit["text"] for edit in answer["edits"]] == ["'b'"]


async def test_corrections_are_charged_and_counted(ask: Ask, pilot: Any, failures: list[FailedCell]) -> None:
    pilot.settings.requests_per_minute = 1
    assert fixes(await ask("fix", fix_body()))
    response = await ask("rename", rename_body())
    assert (response.code, error_of(response)["code"]) == (429, "too_many_requests")
    text = (await ask("metrics", method="GET")).body.decode()
    assert 'turbopilot_requests_total{code="",outcome="completed",route="fix"} 1.0' in text
    assert 'turbopilot_requests_total{code="too_many_requests",outcome="refused",route="rename"} 1.0' in text


async def test_feedback_on_corrections_is_counted_apart(ask: Ask, pilot: Any) -> None:
    for name, event in (
        ("fix-1", "applied"),
        ("check-1", "shown"),
        ("rename-1", "dismissed"),
        ("repeat-call-1", "undone"),
        ("1", "undone"),
    ):
        assert (await ask("feedback", {"id": name, "event": event})).code == 204
    assert pilot.completer.counters["dismissed"] == 0
    text = (await ask("metrics", method="GET")).body.decode()
    assert 'turbopilot_offers_total{event="applied",kind="fix"} 1.0' in text
    assert 'turbopilot_offers_total{event="shown",kind="check"} 1.0' in text
    assert 'turbopilot_offers_total{event="dismissed",kind="rename"} 1.0' in text
    assert 'turbopilot_offers_total{event="undone",kind="repeat-call"} 1.0' in text
