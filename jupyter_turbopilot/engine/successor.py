"""A faster engine of the loaded model, which replaces the loaded one while no user waits."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from jupyter_turbopilot.protocol.engine_request import Sampling, Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.engine.base import Engine, Run
    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.protocol.engine_request import EngineRequest

IDLE = 30.0  # seconds without requests before it is loaded, and between two tries
PAUSE = 1.0  # seconds without requests before it continues to evaluate


class Successor:
    """An engine that is loaded beside the current one, and evaluates the latest prompt before it is used.

    A request between two steps only delays the next one: the current engine serves it. All methods are called
    on the worker's thread.
    """

    def __init__(
        self, load: Callable[[], Engine | None], installed: Callable[[Engine, Sequence[int]], object]
    ) -> None:
        """`load` returns None if the engine cannot be loaded now, for example for lack of memory.

        `installed` is called with the engine and the evaluated prompt before the engine serves a request.
        """
        self.engine: Engine | None = None
        self._load = load
        self._installed = installed
        self._not_before = 0.0
        self._request: EngineRequest | None = None
        self._run: Run | None = None

    def due(self, used_at: float) -> float:
        """Return the time of the next step, if the last request was served at `used_at`."""
        return max(self._not_before, used_at + (PAUSE if self.engine else IDLE))

    def advance(
        self, latest: EngineRequest | None, threads: Callable[[], int] | None, interrupt: Cancel
    ) -> Engine | None:
        """Load the engine, or evaluate a part of the latest prompt; return the engine at its end."""
        if not self.engine:
            self.engine = self._load()
            self._not_before = 0.0 if self.engine else time.monotonic() + IDLE
            return None
        if latest is not self._request:
            self._release()
            self._request = latest
            if latest:
                again = replace(latest, sampling=Sampling(max_tokens=1), usage=Usage(), hint=[])
                self._run = self.engine.start(again)
        if not self._run or self._run.done or self._run.fresh:
            return self.engine
        if threads:
            self.engine.use_threads(threads())
        self.engine.step([self._run], interrupt)
        return None

    def install(self) -> None:
        """Hand over the engine, which the caller uses from now on, and closes."""
        self._release()
        if self.engine:
            self._installed(self.engine, self._request.prompt if self._request else [])
        self.engine = None

    def close(self) -> None:
        """Free the memory; the engine is not used."""
        self._run = None
        if self.engine:
            self.engine.close(keep=False)
            self.engine = None

    def _release(self) -> None:
        run, self._run = self._run, None
        if run and self.engine:
            self.engine.release(run)
