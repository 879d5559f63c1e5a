"""A scripted engine whose steps are triggered by the test, so that results do not depend on time."""

from __future__ import annotations

import copy
import threading
from dataclasses import replace
from typing import Any

from jupyter_turbopilot.engine.base import Capabilities
from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.protocol.engine_request import EngineRequest, Token
from jupyter_turbopilot.protocol.errors import EngineError, EngineGoneError, TextFailedError

from .scripted_engine import ScriptedEngine, ScriptedRun


class SteppedEngine(ScriptedEngine):
    """An engine whose steps are triggered by the script. A step generates one word of each text.

    `answers` maps a part of a prompt to its text, to a list of successive texts, or to null, which makes the
    batch fail during prompt evaluation. A word with a question mark has a probability of 0.5. `fails` maps a
    part of a prompt to the number of words after which the batch fails. `refuses` lists prompts that cannot
    start. `room` is the capacity in prompt tokens.
    """

    def __init__(self, script: dict[str, Any]) -> None:
        answers = copy.deepcopy(script["answers"])

        def answer(prompt: str) -> str:
            text = next(text for part, text in answers if part in prompt)
            if text is None:
                raise IndexError
            return str(text if isinstance(text, str) else text.pop(0))

        super().__init__(
            answer, probability=script.get("probability", 0.99), context_size=script.get("context_size", 4096)
        )
        self.capabilities = Capabilities(**script.get("capabilities", {}))
        self.loads = 0
        self.in_use = 0  # loads without a close
        self.changed = threading.Condition()  # notified when it waits, and when it is closed
        self._may_load = True
        self._is_loading = False
        self._fails: list[tuple[str, int]] = script.get("fails", [])
        self._refuses: list[str] = script.get("refuses", [])
        self._room: int | None = script.get("room")
        self.seated: list[ScriptedRun] = []
        self._told = 0  # steps to take
        self._failure: Exception | None = None  # of the current step
        self._runs: Any = ()
        self._waits: Cancel | None = None  # interrupts the wait

    def load(self, *_: object) -> SteppedEngine:
        self.loads += 1
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

    def fail_step(self, reason: str, after: float, *, held: bool) -> None:
        """Let the current step fail; `held`: the next load blocks until it is released."""
        if held:
            self.hold_load()
        refused = EngineError("The server refused the text.")
        self._failure = {
            "error": RuntimeError(),
            "gone": EngineGoneError("The model's process has ended.", after=after),
            "refused": TextFailedError(refused, self._runs[0]),
        }[reason]
        self.go()

    def start(self, engine_request: EngineRequest) -> ScriptedRun | None:  # type: ignore[override]
        if not self._has_room(engine_request):
            return None
        run = super().start(engine_request)
        if any(part in run.text for part in self._refuses):
            raise EngineError("The prompt does not fit.")
        self.seated.append(run)
        return run

    def suspend(self, run: ScriptedRun) -> None:
        super().suspend(run)
        self.seated.remove(run)

    def resume(self, run: ScriptedRun) -> bool:
        resumed = self._has_room(run.request) and super().resume(run)
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

    def token(self, run: ScriptedRun, word: str) -> Token:
        if any(
            part in run.text and count < run.request.usage.predicted_tokens for part, count in self._fails
        ):
            raise IndexError
        token = super().token(run, word)
        return replace(token, probability=0.5) if word.endswith("?") else token

    def _has_room(self, engine_request: EngineRequest) -> bool:
        return self._room is None or self._room >= len(engine_request.prompt) + sum(
            len(run.request.prompt) for run in self.seated
        )

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

    @property
    def at(self) -> list[list[int]] | None:
        """The number of each text in the next step, and its number of words; -1: its prompt is evaluated first."""
        waits = self._waits
        if waits is None or waits.is_set():
            return None
        return sorted(
            [r.number, -1 if r.words is None else r.request.usage.predicted_tokens] for r in self._runs
        )

    def asked(self, names: list[str]) -> list[dict[str, Any]]:
        """Return some fields of the requests, with hints as text, and tenants and sessions as numbers."""
        numbers: dict[Any, int] = {}

        def shown(engine_request: EngineRequest, name: str) -> Any:
            if name == "begins":
                return [way.decode() for way in engine_request.sampling.beginning.candidates]
            value = getattr(engine_request, name)
            if name == "hint":
                return "".join(map(chr, value))
            return numbers.setdefault((name, value), len(numbers)) if name in {"tenant", "session"} else value

        return [{name: shown(engine_request, name) for name in names} for engine_request in self.asks]
