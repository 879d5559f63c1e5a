"""Types notebooks through the whole product, step by step or against the clock."""

from __future__ import annotations

import queue
import random
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from jupyter_turbopilot.context.kernel import NONE
from jupyter_turbopilot.evaluate.resolving import Found
from jupyter_turbopilot.evaluate.scoring import Score, Tally
from jupyter_turbopilot.suggestion.syntax import valid_beginning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jupyter_turbopilot.context.kernel import Facts
    from jupyter_turbopilot.evaluate.live import Live
    from jupyter_turbopilot.evaluate.traces import Step, Trace
    from jupyter_turbopilot.local import Local
    from jupyter_turbopilot.reply import Reply

SPREAD = 0.5  # how unevenly keys are pressed: the sigma of the logarithm of their time
DEBOUNCE = 0.04  # the editor's own


@dataclass
class Pace:
    """What became of requests that the next key came before."""

    asked: int = 0
    unanswered: int = 0  # the next key was pressed first
    taken_over: int = 0  # went on with what was being written
    ended: int = 0  # began anew although what was being written agreed with the key
    cpu: float = 0.0  # seconds of computing


@dataclass
class Typed:
    """What came of typing some notebooks."""

    notebooks: dict[str, Tally] = field(default_factory=dict)
    kinds: dict[str, Tally] = field(default_factory=dict)
    ms: list[float] = field(default_factory=list)
    invalid: int = 0  # shown ones after which the cell can no longer become a program
    names: Found = field(default_factory=Found)  # what shown ones name, as a live kernel sees it
    pace: Pace | None = None

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
        type_one(local, trace, typed)
        tell(trace.name)
    return typed


def beside_a_kernel(
    local: Local, traces: Iterable[Trace], tell: Callable[[str], None], live: Live
) -> tuple[Typed, Typed]:
    """Type every cell twice after running those above it: with the kernel's facts, and without."""
    knowing, unaware = Typed(), Typed()
    for trace in sorted(traces, key=lambda trace: (trace.name, trace.steps[0].active)):
        facts = live.facts(trace)
        type_one(local, trace, knowing, facts, live)
        type_one(local, trace, unaware, NONE, live)
        tell(trace.name)
    return knowing, unaware


def type_one(local: Local, trace: Trace, typed: Typed, facts: Facts = NONE, live: Live | None = None) -> None:
    """Type one trace and count what came of it."""
    person = Score()
    for step in trace.steps:
        if step.place < person.covered(step.active):
            continue
        request = step.request(ran=live is not None, trigger="automatic", client="typist")
        begun = time.perf_counter()
        reply = local.last(request, facts)
        typed.ms.append((time.perf_counter() - begun) * 1000)
        before = person.total.shown
        _show(person, step, reply)
        if person.total.shown > before:
            text = reply.items[0].text
            typed.invalid += valid_beginning(request.prefix) and not valid_beginning(request.prefix + text)
            if live:
                live.look(typed.names, request.prefix, text)
    _finish(typed, trace, person)


def on_a_clock(
    local: Local, traces: Iterable[Trace], tell: Callable[[str], None], key: float = 0.2, seed: int = 3
) -> Typed:
    """Type at a person's pace: a suggestion counts only where it stood there before the next key.

    The traces hold a step for each key. As in the editor, a key asks anew and leaves it to the server what
    becomes of what was asked before.
    """
    rng = random.Random(seed)  # noqa: S311 - a reproducible pace
    typed = Typed(pace=(pace := Pace()))
    counters, begun = dict(local.pilot.completer.counters), time.process_time()
    for trace in traces:
        person = Score()
        local.last(trace.steps[0].request(trigger="warm"))  # the cell got the focus
        for step in trace.steps:
            if step.place < person.covered(step.active):
                continue
            pressed = time.perf_counter()
            pause = key * rng.lognormvariate(-SPREAD * SPREAD / 2, SPREAD)
            if pause <= DEBOUNCE:
                time.sleep(pause)
                continue
            time.sleep(DEBOUNCE)
            reply, seconds = _before(local, step, pressed + pause)
            pace.asked += 1
            pace.unanswered += not (reply and reply.done)
            if reply and reply.items:
                typed.ms.append(seconds * 1000)
                _show(person, step, reply)
            time.sleep(max(0.0, pressed + pause - time.perf_counter()))
        _finish(typed, trace, person)
        tell(trace.name)
    pace.cpu = time.process_time() - begun
    for name in ("taken_over", "ended"):
        setattr(pace, name, local.pilot.completer.counters.get(name, 0) - counters.get(name, 0))
    return typed


def _before(local: Local, step: Step, end: float) -> tuple[Reply | None, float]:
    """Return what stands there when the next key is pressed, and after how many seconds it began to."""
    replies: queue.Queue[Reply] = queue.Queue()
    begun, seconds = time.perf_counter(), 0.0
    request = step.request(trigger="automatic", client="typist", stream=True)
    local.pilot.completer.submit(request, replies.put)
    last: Reply | None = None
    while not (last and last.done):
        try:
            reply = replies.get(timeout=max(0.001, end - time.perf_counter()))
        except queue.Empty:
            break
        if reply.items and not (last and last.items):
            seconds = time.perf_counter() - begun
        last = reply if reply.items or not last else replace(last, done=reply.done)
    return last, seconds


def _show(person: Score, step: Step, reply: Reply) -> None:
    person.look(step, reply.items[0].text if reply.items else "")


def _finish(typed: Typed, trace: Trace, person: Score) -> None:
    person.typed(trace.length, trace.length)
    typed.add(trace.name, person)
