"""Helper functions from a model in this process. The magic itself: tests/terminal/test_magics.py."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from jupyter_turbopilot.jupyter import runtime
from jupyter_turbopilot.plugins.functions import function_generator
from jupyter_turbopilot.plugins.functions.request import FunctionRequest
from jupyter_turbopilot.plugins.functions.terminal import events_in_process, functions_for
from jupyter_turbopilot.protocol.errors import BadRequestError, DisabledError
from jupyter_turbopilot.settings.access import Access, access_of
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.terminal.in_process import InProcess

from ...completer.desk import Desk
from ...scripted_engine import ScriptedEngine


@pytest.fixture
def local() -> Iterator[InProcess]:
    desk = Desk(ScriptedEngine("a b c d"))
    local = InProcess(Turbopilot())
    local.pilot = SimpleNamespace(  # type: ignore[assignment]
        worker=desk.worker, completer=desk.completer, notebook_index=None, access=Access()
    )
    yield local
    desk.worker.stop()


def test_events_wait_for_the_model_after_validation(
    local: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, waited = [0.0], []

    def wait() -> None:
        now[0] += 100.0
        waited.append(now[0])

    monkeypatch.setattr(local, "wait", wait)
    generate = partial(function_generator.generate_functions, clock=lambda: now[0])
    monkeypatch.setattr(function_generator, "generate_functions", generate)
    with pytest.raises(BadRequestError):
        events_in_process(local, FunctionRequest(source="def f("))
    assert waited == []
    events = events_in_process(local, FunctionRequest(source="def f(x):", seconds=150.0))
    assert waited == [100.0]  # before the first step, at which the time limit starts
    assert next(events).event == "found"
    events.close()


def test_events_are_refused_in_a_denied_folder(
    local: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.pilot.access = access_of(Turbopilot(denied_paths=["exams/**"]), {})
    (exams := tmp_path / "exams").mkdir()
    monkeypatch.setattr(runtime, "find", lambda: runtime.Runtime("u", "s", 1, root=str(tmp_path)))
    monkeypatch.chdir(exams)
    with pytest.raises(DisabledError):
        events_in_process(local, FunctionRequest(source="def f():"))


def test_functions_for_lists_all_names_except_ipythons() -> None:
    shell = SimpleNamespace(history_manager=SimpleNamespace(input_hist_raw=[""]))
    kept = ["_", "__", "___", "_i", "_ii", "_iii", "_i1", "_12", "_ih", "_oh", "_dh"]
    shell.user_ns = dict.fromkeys([*kept, "_private", "a", "not a name", "pylab", "_index"])
    shell.user_ns_hidden = {"pylab": None}
    assert functions_for(shell, "x").names == ["_private", "a", "pylab", "_index"]
