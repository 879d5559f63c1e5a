from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from jupyter_turbopilot.engine.self_test import MAX_STEPS, can_write
from jupyter_turbopilot.errors import EngineGoneError

from ..scripted_engine import ScriptedEngine, ScriptedRun

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.generation import Ask


def test_an_engine_that_only_reads_is_not_waited_for() -> None:
    class Reading(ScriptedEngine):
        steps = 0

        def step(self, runs: Sequence[ScriptedRun], attention: Cancel) -> None:
            self.steps += 1

    engine = Reading()
    assert can_write(engine)
    assert (engine.steps, engine.released) == (MAX_STEPS, 1)


def test_without_room_nothing_is_known_against_it() -> None:
    class Full(ScriptedEngine):
        def start(self, ask: Ask) -> None:  # type: ignore[override]
            return None

    assert can_write(Full())


@pytest.mark.parametrize("method", ["start", "step", "release"])
@pytest.mark.parametrize("error", [OSError("gone"), SystemExit()])
def test_an_engine_that_raises_anywhere_is_broken(
    method: str, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = ScriptedEngine("word")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(engine, method, fail)
    assert not can_write(engine)


def test_an_engine_that_is_gone_says_so_itself() -> None:
    engine = ScriptedEngine()
    engine.fail = EngineGoneError("Its process has ended.")
    with pytest.raises(EngineGoneError):
        can_write(engine)
