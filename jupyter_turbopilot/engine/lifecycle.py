"""Which engine there is to be and what became of it: loading, sleep, failure, another try."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.job import SUPERSEDED
from jupyter_turbopilot.engine.phase import Phase, State
from jupyter_turbopilot.errors import NotReadyError, TurbopilotError

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.engine.step_loop import StepLoop

    Factory = Callable[[Cancel], Engine]

log = logging.getLogger(__name__)

FAILED = "The model failed and is being loaded again. Try again in a moment."
GAVE_UP = "The model keeps failing. Choose it again, or another."
# An engine that has failed is loaded again at once, but not where that was done so many seconds ago.
RETRY = 10.0


class Lifecycle:
    """Puts engines into a step loop and takes them out of it.

    The worker holds its lock around each call but `load`, which takes as long as a model takes.
    """

    def __init__(self, loop: StepLoop) -> None:
        self.state = State(Phase.EMPTY)
        self.stopping = False  # whether there are to be no more engines
        self.loading: Cancel | None = None  # calls off the load that is under way
        self._loop = loop
        self._next: Factory | None = None  # what is to be loaded
        self._loaded: Factory | None = None  # what the engine was loaded with: to wake up with
        self._failed_at = -math.inf

    @property
    def pending(self) -> bool:
        """Whether there is an engine to be loaded."""
        return self._next is not None

    def replace(self, name: str, factory: Factory) -> None:
        """Have another engine loaded next; a load that is under way is called off."""
        self._next, self.state = factory, State(Phase.LOADING, name)
        if self.loading:
            self.loading.set(SUPERSEDED)

    def refuse(self, name: str, error: TurbopilotError) -> None:
        """Say why there is no engine, where loading was not even tried."""
        if self.state.phase is not Phase.LOADING:
            self.state = State(Phase.FAILED, name, error.message, error.code)

    def wake(self) -> None:
        """Have the engine loaded again that gave its memory back."""
        if self.state.phase is Phase.ASLEEP:
            self._next, self.state = self._loaded, State(Phase.WAKING, self.state.model)

    def sleep(self) -> None:
        """Note that the engine gives its memory back, until somebody asks."""
        self.state = State(Phase.ASLEEP, self.state.model)

    def stop(self) -> None:
        """Note that there are to be no more engines; a load that is under way is the caller's to call off."""
        self.stopping = True
        self.state = State(Phase.STOPPED, reason="The server is stopping.")

    def take(self) -> Factory | None:
        """Return what is to be loaded now, if anything."""
        factory, self._next = self._next, None
        if factory:
            self.loading = Cancel()
        return factory

    def fail(self, now: float) -> bool:
        """Have a failed engine replaced; tell whether it is given up, as one failed a moment ago."""
        if self.pending or self.stopping:
            return False
        again, self._failed_at = now >= self._failed_at + RETRY, now
        if again:
            self._next, self.state = self._loaded, State(Phase.WAKING, self.state.model)
        else:
            self.state = State(Phase.FAILED, self.state.model, GAVE_UP, "engine")
        return not again

    def load(self, factory: Factory) -> State:
        """Replace the engine, or keep the one there was; return how that went, for `settle`."""
        loop, name = self._loop, self.state.model
        loading = self.loading or Cancel()
        engine, state = _made(factory, name, loading)
        if engine is None and loop.engine and state.code == "memory" and not loading.is_set():
            # There may be room when the one before has gone.
            loop.close()
            engine, state = _made(factory, name, loading)
            if engine is None and self._loaded and not loading.is_set():
                loop.engine, _ = _made(self._loaded, name, loading)
        if engine:
            loop.close()
            loop.engine, self._loaded = engine, factory
        elif loop.engine:
            state = State(Phase.READY, loop.engine.name, state.reason, state.code)
        return state

    def settle(self, state: State) -> bool:
        """Note how a load went, unless another follows; tell whether there is nothing left to wait for."""
        self.loading = None
        if self.pending or self.stopping:
            return False
        self.state = state
        return state.phase is not Phase.READY


def _made(factory: Factory, name: str, loading: Cancel) -> tuple[Engine | None, State]:
    """Try to load an engine; say how that went."""
    try:
        engine = factory(loading)
        return engine, State(Phase.READY, engine.name)
    except TurbopilotError as error:
        return None, State(Phase.FAILED, name, error.message, error.code)
    except MemoryError:
        return None, State(Phase.FAILED, name, "There is not enough memory for this model.", "memory")
    except BaseException as error:
        log.exception("Turbopilot: the model could not be loaded")
        words = f"The model could not be loaded ({type(error).__name__})."
        return None, State(Phase.FAILED, name, words, "engine")


def engine_failed() -> NotReadyError:
    """Return the error for those whose text an engine failed to write."""
    return NotReadyError(FAILED, code="engine")
