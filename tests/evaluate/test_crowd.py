from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from jupyter_turbopilot.errors import TurbopilotError
from jupyter_turbopilot.evaluate import notebooks
from jupyter_turbopilot.evaluate.crowd import Measured, type_at_once
from jupyter_turbopilot.evaluate.notebooks import TypedNotebook

DATA = Path(__file__).parent.parent / "data"


class Engine:
    """Has room for every second text."""

    abilities = SimpleNamespace(elsewhere=False)

    def __init__(self) -> None:
        self.asked = 0

    def start(self, ask: object) -> object:
        self.asked += 1
        return ask if self.asked % 2 else None

    def step(self, runs: list[object], attention: object) -> None:
        if attention:
            raise RuntimeError


class Local:
    """Hears who asks; everybody's requests stay unanswered."""

    def __init__(self, fails: BaseException | None = None, *, engine: Engine | None = None) -> None:
        self.fails = fails
        self.callers: set[str] = set()
        self.engine = engine or Engine()
        worker = SimpleNamespace(engine=self.engine)
        self.pilot = SimpleNamespace(completer=self, worker=worker)
        self.counters: dict[str, int] = {}

    def submit(self, request: object, listener: object, caller: str = "", owner: str = "") -> None:
        self.callers.add(caller)
        if self.fails:
            raise self.fails
        self.engine.start(request)


@pytest.fixture
def typed() -> list[TypedNotebook]:
    return notebooks.read(DATA)


def test_each_types_as_somebody_else(typed: list[TypedNotebook]) -> None:
    local = Local()
    passed: list[float] = []
    found = type_at_once(local, typed, 3, 0.2, 0.01, passed.append)  # type: ignore[arg-type]
    assert local.callers == {"typist 0", "typist 1", "typist 2"}
    assert found.people == 3
    assert found.requests > 0
    assert passed == sorted(passed)


def test_a_model_elsewhere_is_not_measured(typed: list[TypedNotebook]) -> None:
    engine = Engine()
    engine.abilities = SimpleNamespace(elsewhere=True)
    with pytest.raises(TurbopilotError, match="does not compute here"):
        type_at_once(Local(engine=engine), typed, 1, 1.0, 0.1)  # type: ignore[arg-type]


def test_the_next_run_has_as_many_people_as_load_the_engine_as_wanted() -> None:
    alone = Measured(1, 40.0, 60, 8.0)
    assert (alone.requests_per_second, alone.utilisation) == (1.5, 0.2)
    assert alone.seconds_per_request == pytest.approx(8 / 60)
    assert alone.people_for(0.6, 16) == 3
    assert alone.people_for(0.01, 16) == 1
    assert Measured(1, 40.0, 0, 0.0).people_for(0.6, 16) == 16
    assert Measured(2, 10.0, 0, 0.0).seconds_per_request == 0.0
