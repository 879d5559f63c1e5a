"""Helper functions from a model in this process. The magic itself: tests/terminal/test_magics.py."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from jupyter_turbopilot.jupyter import runtime
from jupyter_turbopilot.plugins.functions import function_generator
from jupyter_turbopilot.plugins.functions.request import Event, FunctionRequest
from jupyter_turbopilot.plugins.functions.terminal import events_in_process
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
        now[0] += 1000.0
        waited.append(now[0])

    monkeypatch.setattr(local, "wait", wait)
    monkeypatch.setattr(function_generator.time, "monotonic", lambda: now[0])
    with pytest.raises(BadRequestError):
        next(events_in_process(local, FunctionRequest(source="def f(")))
    assert waited == []
    events = [*events_in_process(local, FunctionRequest(source="def f(x):\n    return g(x)"))]
    assert waited[0] == 1000.0  # before the first step, at which the time limit starts
    assert ("given_up", "") not in [(event.event, event.source) for event in events]


def test_events_are_refused_in_a_denied_folder(
    local: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.pilot.access = access_of(Turbopilot(denied_paths=["exams/**"]), {})
    (exams := tmp_path / "exams").mkdir()
    monkeypatch.setattr(runtime, "find", lambda: runtime.Runtime("u", "s", 1, root=str(tmp_path)))
    monkeypatch.chdir(exams)
    with pytest.raises(DisabledError):
        next(events_in_process(local, FunctionRequest(source="def f():")))


def events_of(model: Path, source: str, **more: int) -> list[Event]:
    local = InProcess(Turbopilot(model=str(model), deadline=300.0))
    try:
        return [*events_in_process(local, FunctionRequest(source=source, **more))]  # type: ignore[arg-type]
    finally:
        local.close()


def test_events_of_the_default_model_contain_a_callee(
    default_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(function_generator, "SECONDS", 600.0)  # the same on a slow machine
    stub = 'def sum_of_primes(n):\n    """Return the sum of the primes below n. Use is_prime."""'
    events = events_of(default_model, stub)
    assert ("found", "is_prime") in [(event.event, event.name) for event in events]
    source = events[-1].source
    assert source.index("def is_prime(") < source.index("def sum_of_primes(")
    assert events[-1].undefined == ()
