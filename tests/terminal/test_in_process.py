"""A model in this process."""

import threading
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from jupyter_turbopilot.jupyter import runtime
from jupyter_turbopilot.protocol.errors import DisabledError, EngineError, NotReadyError
from jupyter_turbopilot.settings.access import Access, access_of
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.terminal.in_process import InProcess

from ..completer.desk import Desk, request
from ..index.folders import until
from ..scripted_engine import ScriptedEngine, pilot_with


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk(ScriptedEngine("a b c d", pause=0.01))
    yield desk
    desk.worker.stop()


@pytest.fixture
def local(desk: Desk) -> InProcess:
    local = InProcess(Turbopilot())
    local.pilot = SimpleNamespace(
        worker=desk.worker, completer=desk.completer, notebook_index=None, access=Access()
    )  # type: ignore[assignment]
    return local


def test_replies_closed_early_cancel_the_request(local: InProcess, desk: Desk) -> None:
    replies = local.replies(request(stream=True))
    next(replies)
    replies.close()  # type: ignore[attr-defined]
    until(lambda: desk.engine.released)
    assert desk.engine.finished == [False]


def test_wait_notifies_once(tiny_model: Path) -> None:
    notified: list[str] = []
    released = threading.Event()

    def notify(message: str) -> None:
        notified.append(message)
        released.set()

    local = InProcess(Turbopilot(model=str(tiny_model)), notify)

    def load(*_: object) -> ScriptedEngine:
        released.wait(30)
        return ScriptedEngine("1")

    local.pilot = pilot_with(local.pilot.settings, load)
    try:
        for _ in range(2):
            local.last(request())
    finally:
        local.close()
    assert notified == [f"Loading {tiny_model.name}…"]


def test_replies_raise_the_error(local: InProcess, desk: Desk) -> None:
    desk.engine.fail = EngineError("llama.cpp failed with code -3.")
    with pytest.raises(EngineError, match="code -3"):
        local.last(request())


def test_wait_raises_without_a_model(local: InProcess, desk: Desk) -> None:
    assert local.ready()
    desk.worker.stop()
    assert not local.ready()
    with pytest.raises(NotReadyError, match="stopping"):
        local.wait()
    with pytest.raises(NotReadyError, match="stopping"):
        local.last(request())


@pytest.mark.parametrize(("folder", "allowed"), [("exams/a", False), ("own", True), ("../other", False)])
def test_replies_are_refused_in_denied_and_unknown_folders(
    folder: str, allowed: bool, local: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.pilot.access = access_of(Turbopilot(denied_paths=["exams/**"]), {})
    (root := tmp_path / "root").mkdir()
    server = runtime.Runtime("u", "s", 1, root=str(root))
    monkeypatch.setattr(runtime, "find", lambda: server)
    (place := root / folder).mkdir(parents=True)
    monkeypatch.chdir(place)
    with nullcontext() if allowed else pytest.raises(DisabledError):
        next(local.replies(request()))


def test_absolute_denied_paths_are_refused_in_the_servers_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (exams := tmp_path / "exams").mkdir()
    (own := tmp_path / "own").mkdir()
    server = runtime.Runtime("u", "s", 1, root=str(tmp_path))
    monkeypatch.setattr(runtime, "find", lambda: server)
    local = InProcess(Turbopilot(denied_paths=[f"{exams.as_posix()}/**"]))
    try:
        monkeypatch.chdir(own)
        local.check()
        monkeypatch.chdir(exams)
        with pytest.raises(DisabledError):
            local.check()
    finally:
        local.close()
