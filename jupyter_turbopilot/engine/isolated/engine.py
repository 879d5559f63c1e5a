"""An engine whose computing is done by a child process: the parent's side, which has the vocabulary."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.isolated.messages import (
    Close,
    Load,
    Release,
    Reply,
    Request,
    Resume,
    Start,
    Step,
    Suspend,
    UseThreads,
)
from jupyter_turbopilot.engine.isolated.process import ChildProcess, ProcessEndedError, refusal
from jupyter_turbopilot.errors import CancelledError, EngineError, EngineGoneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.engine.isolated.messages import Description, Hosted
    from jupyter_turbopilot.engine.vocabulary import Vocabulary
    from jupyter_turbopilot.generation import Ask, Token

PATIENCE = 60.0  # seconds that a step may take as long as nothing is known of it
LEAST_PATIENCE, MARGIN = 10.0, 20  # later: so many times what its tokens have taken at worst, at least
URGENT = 20.0  # seconds that it may still take when it is to be cut short; a batch for several is not
CLOSES_WITHIN = 10.0  # seconds, in which it saves its sequences
CANCELLED = "The load was cancelled."


@dataclass(eq=False)
class IsolatedRun:
    """A text that the child writes."""

    number: int
    ask: Ask
    fresh: list[Token] = field(default_factory=list)
    done: bool = False
    pending: int = 0


@contextmanager
def loading(
    hosted: Hosted, cancel: Cancel, *, timeout: float, urgent: float = URGENT
) -> Iterator[tuple[ChildProcess, Description]]:
    """Load an engine in a child process; if the block fails or is cancelled, the process ends.

    A crash or too little memory there is a ModelRefusedError here.
    """
    process = None
    try:
        process = ChildProcess(urgent=urgent)
        with cancel.interrupting(partial(process.kill, "the load was cancelled")):
            yield process, _description(process.ask(Load(hosted), timeout))
    except BaseException as failure:
        if process:
            process.end()
        if cancel.is_set():
            raise CancelledError(CANCELLED) from None
        if not isinstance(failure, ProcessEndedError):
            raise
        raise refusal(hosted.name, failure.verdict) from None
    if cancel.is_set():
        process.end()
        raise CancelledError(CANCELLED)


def _description(reply: Reply) -> Description:
    if reply.failure:
        raise reply.failure.error()
    if reply.engine is None:
        raise EngineError("The model's process did not say what it has loaded. Try again.")
    return reply.engine


def load_isolated(
    hosted: Hosted,
    load_vocabulary: Callable[[], Vocabulary],
    cancel: Cancel,
    *,
    timeout: float,
    patience: float = PATIENCE,
    urgent: float = URGENT,
) -> IsolatedEngine:
    """Load an engine in a child process, then its vocabulary: only from a file that did not end the child."""
    with loading(hosted, cancel, timeout=timeout, urgent=urgent) as (process, about):
        return IsolatedEngine(process, about, load_vocabulary(), patience)


class IsolatedEngine:
    """What the worker drives. When its process is gone, whatever is asked of it says so."""

    def __init__(
        self, process: ChildProcess, about: Description, vocabulary: Vocabulary, patience: float
    ) -> None:
        self.name = about.name
        self.fim = about.fim
        self.context_size = about.context_size
        self.identity = about.identity
        self.abilities = about.abilities
        self.vocabulary = vocabulary
        self._process = process
        self.pid: int | None = process.pid
        self._patience = patience
        self._pace = 0.0  # seconds for a token, at worst
        self._numbers = count()
        self._threads = 0

    def start(self, ask: Ask) -> IsolatedRun | None:
        """Make room for a text; None while others need the room."""
        run = IsolatedRun(next(self._numbers), ask)
        return run if self._ask(Start(run.number, ask), [run]) else None

    def step(self, runs: Sequence[IsolatedRun], interrupt: Cancel) -> None:
        """Advance every run by its next tokens or by a chunk of its prompt; `interrupt` ends it early."""
        before, begun = sum(max(1, run.pending) for run in runs), time.monotonic()
        patience = patience_for(before, self._pace, self._patience)
        self._ask(Step(tuple(run.number for run in runs)), runs, interrupt, patience)
        done = max(len(runs), before - sum(run.pending for run in runs))
        self._pace = max(self._pace, (time.monotonic() - begun) / max(1, done))

    def suspend(self, run: IsolatedRun) -> None:
        """Give a run's room to others; what it has written stays."""
        self._ask(Suspend(run.number), [run])

    def resume(self, run: IsolatedRun) -> bool:
        """Take room again for a run that was suspended; False while others need it."""
        return self._ask(Resume(run.number), [run])

    def release(self, run: IsolatedRun) -> None:
        """Release a run; what was read is kept for the next one, if there is a process to keep it."""
        with suppress(EngineGoneError):
            self._ask(Release(run.number))

    def use_threads(self, count: int) -> None:
        """Set the number of threads that compute."""
        if count != self._threads:
            self._ask(UseThreads(count))
            self._threads = count

    def close(self, *, keep: bool = True) -> None:
        """Free the memory; `keep` saves what was read for the next start."""
        with suppress(ProcessEndedError):
            self._process.ask(Close(keep), CLOSES_WITHIN)
        self._process.end()

    def _ask(
        self,
        request: Request,
        runs: Sequence[IsolatedRun] = (),
        interrupt: Cancel | None = None,
        patience: float = URGENT,
    ) -> bool:
        """Send a request, note how far its runs are, and tell whether it was granted."""
        try:
            reply = self._process.ask(request, min(patience, self._patience), interrupt)
        except ProcessEndedError as end:
            raise EngineGoneError(f"The model's process has ended: {end.verdict.words}.") from None
        _note(reply, runs)
        if reply.failure:
            raise reply.failure.error()
        return reply.granted


def patience_for(tokens: int, pace: float, most: float) -> float:
    """Return how many seconds a step may take: a process that hangs is ended before anybody gives up."""
    return min(most, max(LEAST_PATIENCE, MARGIN * pace * tokens)) if pace else most


def _note(reply: Reply, runs: Sequence[IsolatedRun]) -> None:
    # None where a run could not start.
    for run, progress in zip(runs, reply.runs, strict=False):
        run.fresh += progress.fresh
        run.done, run.pending = progress.done, progress.pending
        vars(run.ask.usage).update(vars(progress.usage))
