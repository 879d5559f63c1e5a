"""Types notebooks through the whole product, step by step or against the clock."""

from __future__ import annotations

import queue
import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jupyter_turbopilot.evaluate.scoring import Score, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jupyter_turbopilot.evaluate.traces import Step, Trace
    from jupyter_turbopilot.local import Local
    from jupyter_turbopilot.reply import Reply

KEY, SPREAD = 0.2, 0.5  # seconds a key takes, and how unevenly: the sigma of its logarithm
DEBOUNCE = 0.04  # the editor's own


@dataclass
class Typed:
    """What came of typing some notebooks."""

    notebooks: dict[str, Tally] = field(default_factory=dict)
    kinds: dict[str, Tally] = field(default_factory=dict)
    ms: list[float] = field(default_factory=list)

    @property
    def total(self) -> Tally:
        """All notebooks together."""
        return sum(self.notebooks.values(), start=Tally())

    def add(self, name: str, person: Score) -> None:
        """Count one trace."""
        self.notebooks[name] = self.notebooks.get(name, Tally()) + person.total
        for kind, tally in person.kinds.items():
            self.kinds[kind] = self.kinds.get(kind, Tally()) + tally


def by_steps(local: Local, traces: Iterable[Trace], tell: Callable[[str], None]) -> Typed:
    """Wait for every suggestion, however long it takes."""
    typed = Typed()
    for trace in traces:
        person = Score()
        for step in trace.steps:
            if step.place < person.covered(step.active):
                continue
            begun = time.perf_counter()
            reply = local.last(step.request(trigger="automatic", client="typist"))
            typed.ms.append((time.perf_counter() - begun) * 1000)
            _show(person, step, reply)
        _finish(typed, trace, person)
        tell(trace.name)
    return typed


def on_a_clock(local: Local, traces: Iterable[Trace], tell: Callable[[str], None], seed: int = 3) -> Typed:
    """Type at a person's pace: a suggestion counts only where it stood there before the next key.

    The traces hold a step for each key.
    """
    rng = random.Random(seed)  # noqa: S311 - a reproducible pace
    typed = Typed()
    for trace in traces:
        person = Score()
        local.last(trace.steps[0].request(trigger="warm"))  # the cell got the focus
        for step in trace.steps:
            if step.place < person.covered(step.active):
                continue
            pressed = time.perf_counter()
            pause = KEY * rng.lognormvariate(-SPREAD * SPREAD / 2, SPREAD)
            if pause <= DEBOUNCE:
                time.sleep(pause)
                continue
            time.sleep(DEBOUNCE)
            reply = _before(local, step, pressed + pause)
            if reply:
                typed.ms.append((time.perf_counter() - pressed - DEBOUNCE) * 1000)
                _show(person, step, reply)
            time.sleep(max(0.0, pressed + pause - time.perf_counter()))
        _finish(typed, trace, person)
        tell(trace.name)
    return typed


def _before(local: Local, step: Step, end: float) -> Reply | None:
    """Return what stands there when the next key is pressed."""
    replies: queue.Queue[Reply] = queue.Queue()
    local.pilot.completer.submit(step.request(trigger="automatic", client="typist", stream=True), replies.put)
    last = None
    while True:
        try:
            reply = replies.get(timeout=max(0.001, end - time.perf_counter()))
        except queue.Empty:
            return last  # the next request supersedes this one
        last = reply if reply.items else last
        if reply.done:
            return last or reply


def _show(person: Score, step: Step, reply: Reply) -> None:
    person.look(step, reply.items[0].text if reply.items else "")


def _finish(typed: Typed, trace: Trace, person: Score) -> None:
    person.typed(trace.length, trace.length)
    typed.add(trace.name, person)
