"""The simulated users of research/benchmarks/load.py."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import load

from jupyter_turbopilot.completer.plan import Admission
from jupyter_turbopilot.settings.config import Turbopilot
from turbopilot_research.evaluate import notebooks

DATA = Path(__file__).parents[2] / "tests" / "data"


class Engine:
    """Accepts every second request."""

    capabilities = SimpleNamespace(remote=False)

    def __init__(self) -> None:
        self.asked = 0

    def start(self, ask: object) -> object:
        self.asked += 1
        return ask if self.asked % 2 else None

    def step(self, runs: list[object]) -> None:
        pass


class Local:
    """Records callers and leaves their requests unanswered."""

    def __init__(self) -> None:
        self.callers: set[str] = set()
        worker = SimpleNamespace(engine=Engine())
        self.pilot = SimpleNamespace(completer=self, worker=worker, settings=Turbopilot())
        self.counters = {"continued": 0, "ended": 0}

    def submit(self, request: object, _: object, admission: Admission) -> None:
        self.callers.add(admission.caller)
        self.pilot.worker.engine.start(request)


def test_simulated_users_are_different_callers_whose_requests_count() -> None:
    local = Local()
    found = load.simulate_users(local, notebooks.read(DATA), 3, 2.0, 0.01)  # type: ignore[arg-type]
    assert local.callers == {"typist 0", "typist 1", "typist 2"}
    assert found.requests_per_second > 0
    assert found.in_time == 0.0
