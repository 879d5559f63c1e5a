"""The product's own queue, worker, step loop and bookkeeping of sequences in virtual time.

Nothing computes: a batch takes as long as one like it took the real engine, and the tokens are those that the
real engine wrote.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from virtual_time import Signal

from jupyter_turbopilot.completer import compose, replay
from jupyter_turbopilot.engine import deadlines, job, lifecycle, step_loop, stepping, worker
from jupyter_turbopilot.engine.deadlines import Deadlines
from jupyter_turbopilot.engine.job import DEADLINE
from jupyter_turbopilot.engine.sequences import Sequences
from jupyter_turbopilot.engine.step_run import _ANY
from jupyter_turbopilot.engine.stepping import MAX_SEQUENCES, Stepping
from jupyter_turbopilot.engine.worker import Worker
from jupyter_turbopilot.generation import Token

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from recorded import Steps, Texts
    from virtual_time import Timeline

    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.engine.job import Job
    from jupyter_turbopilot.engine.step_run import BatchToken, StepRun
    from jupyter_turbopilot.generation import Ask


class _VirtualDeadlines(Deadlines):
    """Looks when it is told to, and when a job's time is up."""

    def __init__(self, timeline: Timeline, queue: Any, lock: Any) -> None:
        super().__init__(queue, lock)
        self._timeline, self._jobs = timeline, queue

    def start(self) -> None:
        """Nothing to be started."""

    def look(self) -> None:
        """Look as soon as whoever asks is done."""
        self._timeline.at(self._timeline.now, self._sweep)

    def watch(self, waiting: Job) -> None:
        """Look again when a job's time is up."""
        self._timeline.at(waiting.deadline, self._sweep)

    def _sweep(self) -> None:
        for waiting in list(self._jobs):
            if not waiting.cancel.is_set() and waiting.deadline <= self._timeline.now:
                waiting.cancel.set(DEADLINE)
        for gone in self.remove_cancelled():
            gone.tell(None)


class VirtualWorker(Worker):
    """The real worker; its thread is an actor, and its lock a signal."""

    def __init__(self, timeline: Timeline, queue_limit: int = 32) -> None:
        super().__init__(queue_limit)
        self._timeline, self._begun = timeline, False
        self._wake = Signal(timeline)  # type: ignore[assignment]
        self._deadlines: _VirtualDeadlines = _VirtualDeadlines(timeline, self._queue, self._wake)

    def submit(self, job: Job, older: Job | None = None) -> None:
        """Put a job in the queue."""
        super().submit(job, older)
        self._deadlines.watch(job)

    def _revive(self) -> None:
        if not self._begun:
            self._begun = True
            self._timeline.start(self._run)


class VirtualEngine(Stepping):
    """An engine whose batches take as long as recorded ones, and whose texts are recorded ones."""

    def __init__(
        self, timeline: Timeline, model: Any, steps: Steps, texts: Texts, *, cells: int, parked: int
    ) -> None:
        super().__init__()
        self.name, self.fim, self.identity = model.name, model.fim, model.identity
        self.vocabulary, self.abilities = model.vocabulary, model.abilities
        self.table, self.ends, self.controls = model.table, model.ends, model.controls
        self.context_size = model.context_size
        self.sequences = Sequences(MAX_SEQUENCES, cells, parked=parked, movable=True)
        self.clock = timeline.perf_counter
        self.busy, self.requests, self.evaluated = 0.0, 0, 0
        self._timeline, self._steps, self._texts = timeline, steps, texts

    def apply(self, moves: Iterable[Any]) -> None:
        """Copying takes no virtual time."""

    def use_threads(self, count: int) -> None:
        """Batches take as long as with the threads that they were recorded with."""

    def close(self, *, keep: bool = True) -> None:
        """Nothing to be freed."""

    def length(self, sequence: int) -> int:
        """Return what was read of a sequence before a batch that was aborted."""
        lengths = (len(held.tokens) for held in self.sequences._all if held.id == sequence)  # noqa: SLF001
        return next(lengths, 0)

    def evaluate(self, rows: Sequence[BatchToken], attention: Cancel | None) -> bool:
        """Let the time of a batch pass."""
        timeline, begun = self._timeline, self._timeline.now
        seconds = self._steps.draw(len(rows))
        if attention and attention.is_set():
            return False
        if attention:
            with attention.interrupting(partial(timeline.wake, timeline.current())):
                whole = not timeline.wait(seconds)
        else:
            timeline.wait(seconds)
            whole = True
        self.busy += timeline.now - begun
        self.evaluated += len(rows) if whole else 0
        return whole

    def logits(self, index: int) -> Any:  # noqa: ARG002 - what follows is known
        """Nobody looks at them."""
        return None

    def start(self, ask: Ask) -> StepRun | None:
        """Begin a text that goes on as recorded."""
        run = super().start(ask)
        if run:
            self.requests += 1
            run.choose = partial(_next, run, self._texts.behind(ask.prompt))  # type: ignore[method-assign]
        return run


def _next(run: StepRun, script: Sequence[tuple[int, float]], _: Any, table: Any, *__: Any) -> int | None:
    """Take the next token as `StepRun.choose` does; None at the end."""
    number, run.wrote = run.wrote, run.wrote + 1
    if number >= len(script):
        return None
    token, probability = script[number]
    run.tokens.append(token)
    data, beginning = table.pieces[token], run.beginning
    known = min(beginning.typed, len(data))
    run.beginning = beginning.after(data) if beginning.ways else _ANY
    run.fresh.append(Token(data[known:], 1.0 if known == len(data) else probability, token))
    return token


@contextmanager
def in_time(timeline: Timeline) -> Iterator[None]:
    """Give the product's modules this time instead of the machine's."""
    modules: list[Any] = [compose, deadlines, job, lifecycle, replay, step_loop, stepping, worker]
    before = [module.time for module in modules]
    for module in modules:
        module.time = SimpleNamespace(monotonic=timeline.monotonic, perf_counter=timeline.perf_counter)
    try:
        yield
    finally:
        for module, time in zip(modules, before, strict=True):
            module.time = time
