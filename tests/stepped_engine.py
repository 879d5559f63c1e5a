"""A scripted engine whose steps are triggered by the test, so that results do not depend on time."""

from __future__ import annotations

import threading
from typing import Any

from jupyter_turbopilot.engine.base import Capabilities
from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.protocol.engine_request import EngineRequest
from jupyter_turbopilot.protocol.errors import EngineError, TextFailedError

from .scripted_engine import ScriptedEngine, ScriptedRun


class SteppedEngine(ScriptedEngine):
    """An engine with a number of slots. A step generates one word of each text, when the test lets it."""

    def __init__(self, slots: int) -> None:
        super().__init__()
        self.capabilities = Capabilities(slots=slots)
        self.in_use = 0  # loads without a close
        self.changed = threading.Condition()  # notified when it waits, and when it is closed
        self.seated: list[ScriptedRun] = []
        self._may_load = True
        self._is_loading = False
        self._told = 0  # steps to take
        self._failure: Exception | None = None  # of the current step
        self._runs: Any = ()
        self._waits: Cancel | None = None  # interrupts the wait

    def load(self, *_: object) -> SteppedEngine:
        with self.changed:
            self.in_use += 1
            self._is_loading = True
            self.changed.notify_all()
            self.changed.wait_for(lambda: self._may_load)
            self._is_loading = False
        return self

    def go(self) -> None:
        with self.changed:
            self._told += 1
            self._waits = None
            self.changed.notify_all()

    def hold_load(self) -> None:
        self._may_load = False

    def release_load(self) -> None:
        with self.changed:
            self._may_load = True
            self.changed.notify_all()

    def refuse(self) -> None:
        """Let the current step fail for one of its texts."""
        self._failure = TextFailedError(EngineError("The server refused the text."), self._runs[0])
        self.go()

    def start(self, engine_request: EngineRequest) -> ScriptedRun | None:  # type: ignore[override]
        if not self._has_room:
            return None
        run = super().start(engine_request)
        self.seated.append(run)
        return run

    def suspend(self, run: ScriptedRun) -> None:
        super().suspend(run)
        self.seated.remove(run)

    def resume(self, run: ScriptedRun) -> bool:
        resumed = self._has_room and super().resume(run)
        if resumed:
            self.seated.append(run)
        return resumed

    def release(self, run: ScriptedRun) -> None:
        super().release(run)
        if run in self.seated:
            self.seated.remove(run)

    def close(self, *, keep: bool = True) -> None:
        super().close(keep=keep)
        with self.changed:
            self.in_use -= 1
            self.seated.clear()
            self.changed.notify_all()

    def step(self, runs: Any, attention: Any) -> None:
        self._runs = runs
        super().step(runs, attention)

    @property
    def _has_room(self) -> bool:
        return len(self.seated) < self.capabilities.slots

    def _wait(self, seconds: float, cancel: Cancel) -> None:  # type: ignore[override]
        with cancel.interrupting(self._notify), self.changed:
            self._waits = None if self._told else cancel
            self.changed.notify_all()
            self.changed.wait_for(lambda: cancel.is_set() or self._told)
            self._told -= not cancel.is_set()
            self._waits = None
        failure, self._failure = self._failure, None
        if failure:
            raise failure

    def _notify(self) -> None:
        with self.changed:
            self.changed.notify_all()

    @property
    def is_blocked(self) -> bool:
        """Whether it waits in a step for `go`, or in a load for `release_load`."""
        return self.may_go or (self._is_loading and not self._may_load)

    @property
    def may_go(self) -> bool:
        """Whether it waits in a step."""
        waits = self._waits
        return waits is not None and not waits.is_set()
