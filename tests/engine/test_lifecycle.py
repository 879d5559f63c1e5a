from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest

from jupyter_turbopilot.engine.base import Engine
from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.job import SUPERSEDED
from jupyter_turbopilot.engine.lifecycle import (
    GAVE_UP,
    LONGEST,
    RETRY,
    SHORTEST,
    EngineState,
    Lifecycle,
    not_ready,
)
from jupyter_turbopilot.engine.step_loop import StepLoop
from jupyter_turbopilot.protocol.errors import EngineError, EngineGoneError, ModelRefusedError
from jupyter_turbopilot.protocol.phase import Phase

from ..scripted_engine import ScriptedEngine


@pytest.fixture
def loop() -> StepLoop:
    return StepLoop(lambda job, error: job.finish(error))


@pytest.fixture
def life(loop: StepLoop) -> Lifecycle:
    return Lifecycle(loop)


def raising(error: BaseException) -> Callable[[Cancel], Engine]:
    def fail(_: Cancel) -> Engine:
        raise error

    return fail


def load(life: Lifecycle, factory: Callable[[Cancel], Engine], name: str = "m") -> bool:
    """Load like the worker; return whether nothing is left to wait for."""
    life.replace(name, factory)
    factory_now = life.take_factory()
    assert factory_now is factory
    return life.finish_load(life.load(factory))


@pytest.mark.parametrize(
    ("error", "code", "words", "status"),
    [
        (ModelRefusedError("It is damaged."), "model_refused", "It is damaged.", 2),
        (
            MemoryError(),
            "memory",
            "There is not enough memory for this model. Choose a smaller model, or close other programs.",
            1,
        ),
        (
            KeyError("secret"),
            "engine",
            "The model could not be loaded (KeyError). See the server log for details.",
            1,
        ),
    ],
)
def test_lifecycle_reports_a_failed_load_and_ends_waiting(
    life: Lifecycle, error: Exception, code: str, words: str, status: int
) -> None:
    assert load(life, raising(error))
    assert life.state == EngineState(Phase.FAILED, "m", words, code, status)


def test_lifecycle_cancels_a_load_for_the_next_one(life: Lifecycle, loop: StepLoop) -> None:
    life.replace("first", raising(EngineError("x")))
    factory = life.take_factory()
    assert factory
    called_off = life.loading
    life.replace("second", lambda _: ScriptedEngine())
    assert called_off
    assert called_off.reason == SUPERSEDED
    assert not life.finish_load(life.load(factory))
    assert life.state == EngineState(Phase.LOADING, "second")
    assert life.pending


def test_lifecycle_gives_up_an_engine_that_fails_twice(life: Lifecycle) -> None:
    load(life, lambda _: ScriptedEngine())
    assert not life.recover(now=100.0)
    factory = life.take_factory()
    assert factory
    assert not life.finish_load(life.load(factory))
    assert life.recover(now=100.0 + RETRY - 1)
    assert life.state == EngineState(Phase.FAILED, "scripted", GAVE_UP, "engine")
    load(life, factory)
    assert not life.recover(now=100.0 + 3 * RETRY)


def test_lifecycle_loads_no_engine_after_stop(life: Lifecycle) -> None:
    load(life, lambda _: ScriptedEngine())
    life.stop()
    assert not life.recover(now=100.0)
    assert not life.finish_load(EngineState(Phase.READY, "scripted"))
    assert life.state.phase is Phase.STOPPED


def test_lifecycle_refusal_does_not_hide_a_running_load(life: Lifecycle) -> None:
    life.refuse("missing", ModelRefusedError("It is not here.", code="model_missing"))
    assert life.state == EngineState(Phase.FAILED, "missing", "It is not here.", "model_missing", 2)
    life.replace("m", lambda _: ScriptedEngine())
    life.refuse("missing", ModelRefusedError("It is not here.", code="model_missing"))
    assert life.state == EngineState(Phase.LOADING, "m")


# Engines that are gone ----------------------------------------------------------------------------------

GONE = EngineGoneError("The server does not answer.")


def rest(life: Lifecycle, since: float) -> float:
    """Return the delay until the next retry."""
    return life.retry_at - since


def test_lifecycle_doubles_the_delay_of_retries(life: Lifecycle, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 50.0
    monkeypatch.setattr("jupyter_turbopilot.engine.lifecycle.time.monotonic", lambda: now)
    factory = raising(GONE)
    load(life, factory, "there")
    rests = []
    for _ in range(9):
        rests.append(rest(life, now))
        assert life.state.phase is Phase.FAILED
        now = life.retry_at
        life.retry()
        assert life.take_factory() is factory
        life.finish_load(life.load(factory))
    assert rests[0] == SHORTEST
    assert all(later == min(2 * earlier, GONE.max_delay) for earlier, later in itertools.pairwise(rests))
    assert rests[-1] == GONE.max_delay


def test_lifecycle_honours_the_retry_after_of_a_server(
    life: Lifecycle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jupyter_turbopilot.engine.lifecycle.time.monotonic", lambda: 50.0)
    load(life, raising(EngineGoneError("It is busy.", after=20.0)))
    assert rest(life, 50.0) == 20
    load(life, raising(EngineGoneError("It is busy.", after=1e9)))
    assert rest(life, 50.0) == LONGEST


def test_lifecycle_does_not_retry_if_another_engine_is_ready(life: Lifecycle) -> None:
    load(life, lambda _: ScriptedEngine())
    load(life, raising(GONE), "there")
    assert life.state == EngineState(Phase.READY, "scripted", GONE.message, GONE.code)
    assert life.retry_at == math.inf


@pytest.mark.parametrize(
    ("state", "code", "words"),
    [
        (EngineState(Phase.EMPTY), "empty", "No model is loaded."),
        (EngineState(Phase.LOADING, "m"), "loading", "m is being loaded."),
        (EngineState(Phase.STOPPED), "stopped", "The server is stopping."),
        (EngineState(Phase.FAILED, "m", "Too large.", "memory"), "memory", "Too large."),
        (EngineState(Phase.FAILED), "failed", "failed"),
    ],
)
def test_not_ready_explains_each_phase(state: EngineState, code: str, words: str) -> None:
    error = not_ready(state)
    assert (error.code, error.message) == (code, words)
    assert error.exit_status == 1
