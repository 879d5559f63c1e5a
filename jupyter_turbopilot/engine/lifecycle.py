"""The life of an engine: loading, sleep, failure, another try."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.job import SUPERSEDED
from jupyter_turbopilot.errors import EngineGoneError, NotReadyError, TurbopilotError

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.engine.step_loop import StepLoop

    Factory = Callable[[Cancel], Engine]

log = logging.getLogger(__name__)

FAILED = "The model failed and is being loaded again. Try again in a moment."
GAVE_UP = "The model keeps failing. Choose it again, or choose another model."
# A failed engine is loaded again at once, unless that happened within so many seconds.
RETRY = 10.0
# One that is gone, or cannot be reached, is left alone for so many seconds, twice as long each time.
SHORTEST, LONGEST = 1.0, 60.0
LEFT_ALONE = "engine_gone"


class Phase(StrEnum):
    """The phases of an engine, by the names that `health` uses."""

    EMPTY = "empty"
    LOADING = "loading"
    READY = "ready"
    THINKING = "thinking"  # it is writing, and somebody waits for it
    ASLEEP = "asleep"  # its memory was freed; the next request loads it again
    WAKING = "waking"  # it is being loaded again; requests wait
    FAILED = "failed"
    STOPPED = "stopped"


_READY = {Phase.READY, Phase.THINKING, Phase.ASLEEP, Phase.WAKING}


@dataclass(frozen=True)
class EngineState:
    """The engine's phase, its model, and the reason and error code if it is not ready."""

    phase: Phase
    model: str = ""
    reason: str = ""
    code: str = ""
    exit_status: int = NotReadyError.exit_status  # of a command that cannot do without the model

    @property
    def ready(self) -> bool:
        """Tell whether a completion could begin at once."""
        return self.phase in _READY


def not_ready(state: EngineState) -> NotReadyError:
    """Return the error that says why no engine answers."""
    texts = {
        Phase.EMPTY: "No model is loaded.",
        Phase.LOADING: f"{state.model} is being loaded.",
        Phase.STOPPED: "The server is stopping.",
    }
    phase = str(state.phase)
    error = NotReadyError(state.reason or texts.get(state.phase, phase), code=state.code or phase)
    error.exit_status = state.exit_status
    return error


class Lifecycle:
    """Puts engines into a step loop and takes them out of it.

    The worker holds its lock around each call but `load`, which takes as long as a model takes.
    """

    def __init__(self, loop: StepLoop) -> None:
        self.state = EngineState(Phase.EMPTY)
        self.stopping = False  # whether no engine is to be loaded any more
        self.loading: Cancel | None = None  # cancels the load that is under way
        self._loop = loop
        self._next: Factory | None = None  # what is to be loaded
        self._loaded: Factory | None = None  # what the engine was loaded with: to wake up with
        self._failed_at = -math.inf
        self._gone: EngineGoneError | None = None  # why the last load failed, if for that
        self._rest = 0.0  # seconds
        self._again: Factory | None = None  # what is to be loaded after that
        self.again_at = math.inf  # and when
        self._told: tuple[str, str] | None = None  # the model and the error that the log had last

    @property
    def pending(self) -> bool:
        """Whether there is an engine to be loaded."""
        return self._next is not None

    def look(self, now: float) -> None:
        """Have what was left alone loaded when its time has come."""
        if now >= self.again_at:
            self._next, self._again, self.again_at = self._again, None, math.inf

    def replace(self, name: str, factory: Factory) -> None:
        """Have another engine loaded next; a load that is under way is cancelled."""
        self._next, self.state = factory, EngineState(Phase.LOADING, name)
        self._again, self.again_at, self._rest = None, math.inf, 0.0
        if self.loading:
            self.loading.set(SUPERSEDED)

    def refuse(self, name: str, error: TurbopilotError) -> None:
        """Note why a model cannot be loaded, unless another is being loaded."""
        if self.state.phase is not Phase.LOADING:
            self.state = _refused(name, error)
            self._tell()

    def wake(self) -> None:
        """Have an engine that is asleep loaded again."""
        if self.state.phase is Phase.ASLEEP:
            self._next, self.state = self._loaded, EngineState(Phase.WAKING, self.state.model)

    def sleep(self) -> None:
        """Note that the engine's memory is freed until the next request."""
        self.state = EngineState(Phase.ASLEEP, self.state.model)

    def stop(self) -> None:
        """Note that no engine is to be loaded any more; the caller cancels a load that is under way."""
        self.stopping = True
        self.state = EngineState(Phase.STOPPED, reason="The server is stopping.")

    def take(self) -> Factory | None:
        """Return what is to be loaded now, if anything."""
        factory, self._next = self._next, None
        if factory:
            self.loading = Cancel()
        return factory

    def fail(self, now: float, gone: EngineGoneError | None = None) -> bool:
        """Have a failed engine loaded again; True if not at once, as it failed a moment ago, too."""
        if self.pending or self.stopping:
            return False
        again, self._failed_at = now >= self._failed_at + RETRY + self._rest, now
        if again:
            self._rest = 0.0
            self._next, self.state = self._loaded, EngineState(Phase.WAKING, self.state.model)
        elif gone:
            self.state = self._leave_alone(self._loaded, gone, now)
        else:
            self.state = EngineState(Phase.FAILED, self.state.model, GAVE_UP, "engine")
        if not again:
            self._tell()
        return not again

    def _leave_alone(self, factory: Factory | None, gone: EngineGoneError, now: float) -> EngineState:
        """Have an engine loaded later; return the state until then."""
        if not gone.after:
            self._rest = min(max(SHORTEST, 2 * self._rest), LONGEST)
        rest = min(gone.after, LONGEST) or self._rest
        self._again, self.again_at = factory, now + rest
        reason = f"{gone.message} Trying again in {rest:.0f} s."
        return EngineState(Phase.FAILED, self.state.model, reason, LEFT_ALONE)

    def load(self, factory: Factory) -> EngineState:
        """Replace the engine, or keep the previous one; return the new state, for `settle`."""
        loop, name = self._loop, self.state.model
        loading = self.loading or Cancel()
        engine, state = self._try_to_load(factory, name, loading)
        if engine is None and loop.engine and state.code == "memory" and not loading.is_set():
            # There may be enough memory without the previous engine.
            loop.close()
            engine, state = self._try_to_load(factory, name, loading)
            if engine is None and self._loaded and not loading.is_set():
                loop.engine, _ = self._try_to_load(self._loaded, name, loading)
        if engine:
            loop.close()
            loop.engine, self._loaded = engine, factory
        elif loop.engine:
            state = replace(state, phase=Phase.READY, model=loop.engine.name)
        elif self._gone and not loading.is_set():
            state = self._leave_alone(factory, self._gone, time.monotonic())
        return state

    def settle(self, state: EngineState) -> bool:
        """Note the state after a load, unless another follows; tell whether waiting is pointless now."""
        self.loading = None
        if self.pending or self.stopping:
            self._again, self.again_at = None, math.inf  # another was chosen meanwhile
            return False
        self.state = state
        self._tell()
        return state.phase is not Phase.READY

    def _tell(self) -> None:
        """Log whether there is a model, and why not; once, however often it is tried again."""
        if self._told != (told := (self.state.model, self.state.code)):
            self._told = told
            log.info("Turbopilot: %s", self.state.reason or f"{self.state.model} is ready.")

    def _try_to_load(self, factory: Factory, name: str, loading: Cancel) -> tuple[Engine | None, EngineState]:
        """Try to load an engine; return the state that follows."""
        self._gone = None
        try:
            engine = factory(loading)
            return engine, EngineState(Phase.READY, engine.name)
        except TurbopilotError as error:
            if isinstance(error, EngineGoneError):
                self._gone = error
            return None, _refused(name, error)
        except MemoryError:
            return None, EngineState(
                Phase.FAILED,
                name,
                "There is not enough memory for this model. Choose a smaller model, or close other programs.",
                "memory",
            )
        except BaseException as error:
            log.exception("Turbopilot: the model could not be loaded")
            words = f"The model could not be loaded ({type(error).__name__}). The server's log has more."
            return None, EngineState(Phase.FAILED, name, words, "engine")


def _refused(name: str, error: TurbopilotError) -> EngineState:
    return EngineState(Phase.FAILED, name, error.message, error.code, error.exit_status)


def engine_failed() -> NotReadyError:
    """Return the error for those whose text an engine failed to write."""
    return NotReadyError(FAILED, code="engine")
