from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from jupyter_turbopilot.plugins.evaluate import notebooks
from jupyter_turbopilot.plugins.evaluate.notebooks import TypedNotebook
from jupyter_turbopilot.plugins.evaluate.simulated_users import Measured, simulate_users
from jupyter_turbopilot.protocol.errors import TurbopilotError
from jupyter_turbopilot.settings.config import Turbopilot

DATA = Path(__file__).parents[2] / "data"


class Engine:
    """Accepts every second request."""

    capabilities = SimpleNamespace(remote=False)

    def __init__(self) -> None:
        self.asked = 0

    def start(self, ask: object) -> object:
        self.asked += 1
        return ask if self.asked % 2 else None

    def step(self, runs: list[object], attention: object) -> None:
        if attention:
            raise RuntimeError


class Local:
    """Records callers and leaves their requests unanswered."""

    def __init__(self, fails: BaseException | None = None, *, engine: Engine | None = None) -> None:
        self.fails = fails
        self.callers: set[str] = set()
        self.engine = engine or Engine()
        worker = SimpleNamespace(engine=self.engine)
        self.pilot = SimpleNamespace(completer=self, worker=worker, settings=Turbopilot())
        self.counters = {"continued": 0, "ended": 0}

    def submit(self, request: object, _: object, kernel_context: object, caller: str, tenant: str) -> None:
        self.callers.add(caller)
        if self.fails:
            raise self.fails
        self.engine.start(request)


@pytest.fixture
def typed() -> list[TypedNotebook]:
    return notebooks.read(DATA)


def test_type_at_once_uses_a_different_user_for_each_thread(typed: list[TypedNotebook]) -> None:
    local = Local()
    passed: list[float] = []
    found = simulate_users(local, typed, 3, 2.0, 0.01, passed.append)  # type: ignore[arg-type]
    assert local.callers == {"typist 0", "typist 1", "typist 2"}
    assert found.users == 3
    assert found.requests > 0
    assert passed == sorted(passed)


def test_type_at_once_refuses_a_remote_model(typed: list[TypedNotebook]) -> None:
    engine = Engine()
    engine.capabilities = SimpleNamespace(remote=True)
    with pytest.raises(TurbopilotError, match="runs on a remote server"):
        simulate_users(Local(engine=engine), typed, 1, 1.0, 0.1)  # type: ignore[arg-type]


def test_people_for_reaches_the_requested_utilisation() -> None:
    alone = Measured(1, 40.0, 60, 8.0)
    assert (alone.requests_per_second, alone.utilisation) == (1.5, 0.2)
    assert alone.seconds_per_request == pytest.approx(8 / 60)
    assert alone.users_for(0.6, 16) == 3
    assert alone.users_for(0.01, 16) == 1
    assert Measured(1, 40.0, 0, 0.0).users_for(0.6, 16) == 16
    assert Measured(2, 10.0, 0, 0.0).seconds_per_request == 0.0
