"""The lifecycle of an engine: loading, sleep, failure, retry."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.job import SUPERSEDED
from jupyter_turbopilot.protocol.errors import EngineError, EngineGoneError, NotReadyError, TurbopilotError
from jupyter_turbopilot.protocol.phase import Phase
from jupyter_turbopilot.util.failures import backoff

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.engine.step_loop import StepLoop

    Factory = Callable[[Cancel], Engine]

log = logging.getLogger(__name__)

FAILED = "The model failed and is being loaded again. Try again in a moment."
NO_MEMORY = "There is not enough memory for this model. Choose a smaller model, or close other programs."
GAVE_UP = "The model keeps failing. Choose it again, or choose another model."
# Seconds between two failures for which a failed engine is loaded again immediately.
RETRY = 10.0
# Seconds until an engine that is gone or cannot be reached is loaded again; doubled with each failure.
SHORTEST, LONGEST = 1.0, 60.0
GONE = "engine_gone"

_READY = {Phase.READY, Phase.GENERATING, Phase.UNLOADED, Phase.RELOADING}


@dataclass(frozen=True)
class EngineState:
    """The engine's phase, its model, and the reason and error code if it is not ready."""

    phase: Phase
    model: str = ""
    reason: str = ""
    code: str = ""
    exit_status: int = NotReadyError.exit_status  # of a command that needs the model
    command: str = ""  # the shell command that installs what is missing
    hint: str = ""  # further advice, which may contain a path

    @property
    def ready(self) -> bool:
        """Whether requests are accepted."""
        return self.phase in _READY


def not_ready(state: EngineState) -> NotReadyError:
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
    """Loads and replaces the engine of a step loop.

    The worker holds its lock during each call except `load`, which may take long.
    """

    def __init__(self, loop: StepLoop) -> None:
        self.state = EngineState(Phase.EMPTY)
        self.stopping = False  # whether the server is stopping, so that no engine is loaded any more
        self.loading: Cancel | None = None  # cancels the running load
        self._loop = loop
        self._next: Factory | None = None  # of the engine to load next
        self._loaded: Factory | None = None  # of the current engine, to load it again
        self._failed_at = -math.inf
        self._gone: EngineGoneError | None = None  # the error of the last load, if it is of this type
        self._delay = 0.0  # seconds until the retry
        self._delayed = 0  # retries with a longer delay each
        self._retry: Factory | None = None  # of the engine to load at `retry_at`
        self.retry_at = math.inf
        self._logged: tuple[str, str] | None = None  # the model and the error code of the last log line

    @property
    def pending(self) -> bool:
        """Whether an engine is to be loaded."""
        return self._next is not None

    def retry(self) -> None:
        """Request the load of the engine whose retry is due."""
        self._next, self._retry, self.retry_at = self._retry, None, math.inf

    def replace(self, name: str, factory: Factory) -> None:
        """Request the load of another engine, and cancel a running load."""
        self._next, self.state = factory, EngineState(Phase.LOADING, name)
        self._retry, self.retry_at, self._delay, self._delayed = None, math.inf, 0.0, 0
        if self.loading:
            self.loading.set(SUPERSEDED)

    def refuse(self, name: str, error: TurbopilotError) -> None:
        """Set the error of a model that cannot be loaded, unless another is being loaded."""
        if self.state.phase is not Phase.LOADING:
            self.state = _refused(name, error)
            self._log_state()

    def request_reload(self) -> None:
        """Request the load of an unloaded engine."""
        if self.state.phase is Phase.UNLOADED:
            self._next, self.state = self._loaded, EngineState(Phase.RELOADING, self.state.model)

    def stop(self) -> None:
        """Load no more engines. The caller cancels a running load."""
        self.stopping = True
        self.state = EngineState(Phase.STOPPED, reason="The server is stopping.")

    def take_factory(self) -> Factory | None:
        """Return the factory of the engine to load, unless the server is stopping."""
        factory, self._next = self._next, None
        if self.stopping:
            return None
        self.loading = Cancel()
        return factory

    def recover(self, now: float, gone: EngineGoneError | None = None) -> bool:
        """Load a failed engine again; return True if not immediately, because it failed repeatedly."""
        if self.pending or self.stopping:
            return False
        immediately, self._failed_at = now >= self._failed_at + RETRY + self._delay, now
        if immediately:
            self._delay, self._delayed = 0.0, 0
            self._next, self.state = self._loaded, EngineState(Phase.RELOADING, self.state.model)
        elif gone:
            self.state = self._retry_later(self._loaded, gone, now)
        else:
            self.state = EngineState(Phase.FAILED, self.state.model, GAVE_UP, "engine")
        if not immediately:
            self._log_state()
        return not immediately

    def _retry_later(self, factory: Factory | None, gone: EngineGoneError, now: float) -> EngineState:
        """Schedule another load of an engine; return the state until then."""
        if not gone.after:
            self._delay = backoff(self._delayed, SHORTEST, gone.max_delay)
            self._delayed += 1
        delay = min(gone.after, LONGEST) or self._delay
        self._retry, self.retry_at = factory, now + delay
        return EngineState(Phase.FAILED, self.state.model, f"{gone.message} Retrying…", GONE)

    def load(self, factory: Factory) -> EngineState:
        """Replace the engine, or keep the previous one; return the new state, for `finish_load`."""
        loop, name = self._loop, self.state.model
        loading = self.loading or Cancel()
        engine, state = self._try_to_load(factory, name, loading)
        if engine is None and loop.engine and state.code == "memory" and not loading.is_set():
            # Without the previous engine there may be enough memory.
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
            state = self._retry_later(factory, self._gone, time.monotonic())
        return state

    def finish_load(self, state: EngineState) -> bool:
        """Set the state after a load, unless another load follows; return True if no engine is ready."""
        self.loading = None
        if self.pending or self.stopping:
            self._retry, self.retry_at = None, math.inf  # another model was chosen meanwhile
            return False
        self.state = state
        self._log_state()
        return state.phase is not Phase.READY

    def _log_state(self) -> None:
        """Log the state, but not again if only a retry has failed."""
        if self._logged != (logged := (self.state.model, self.state.code)):
            self._logged = logged
            text = f"{self.state.reason or f'{self.state.model} is ready.'} {self.state.hint}".strip()
            log.info("Turbopilot: %s", text)

    def _try_to_load(self, factory: Factory, name: str, loading: Cancel) -> tuple[Engine | None, EngineState]:
        """Try to load an engine; return it and the resulting state."""
        self._gone = None
        try:
            engine = factory(loading)
            return engine, EngineState(Phase.READY, engine.name)
        except TurbopilotError as error:
            if isinstance(error, EngineGoneError):
                self._gone = error
            return None, _refused(name, error)
        except MemoryError:
            return None, _refused(name, EngineError(NO_MEMORY, code="memory"))
        except BaseException as error:
            log.exception("Turbopilot: The model could not be loaded")
            reason = (
                f"The model could not be loaded ({type(error).__name__}). See the server log for details."
            )
            return None, _refused(name, EngineError(reason))


def _refused(name: str, error: TurbopilotError) -> EngineState:
    return EngineState(
        Phase.FAILED, name, error.message, error.code, error.exit_status, error.command, error.hint
    )


def engine_failed() -> NotReadyError:
    return NotReadyError(FAILED, code="engine")
