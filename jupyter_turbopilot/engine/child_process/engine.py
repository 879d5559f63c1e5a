"""The parent's side of an engine in a child process. The vocabulary is in the parent."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, cast

from jupyter_turbopilot.engine.base import Speed
from jupyter_turbopilot.engine.child_process.messages import (
    ChildReply,
    Close,
    Load,
    Request,
    RunRequest,
    Start,
    Step,
    UseThreads,
)
from jupyter_turbopilot.engine.child_process.process import ChildProcess, ProcessEndedError, refusal
from jupyter_turbopilot.engine.load_shedding import Level
from jupyter_turbopilot.protocol.errors import CancelledError, EngineGoneError, TurbopilotError
from jupyter_turbopilot.util.failures import on_failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.engine.child_process.messages import Description, Hosted
    from jupyter_turbopilot.engine.vocabulary import Vocabulary
    from jupyter_turbopilot.protocol.engine_request import EngineRequest, Token

PATIENCE = 60.0  # seconds that the first step may take
# The seconds of a later step: the minimum, and a multiple of the slowest tokens' time.
LEAST_PATIENCE, MARGIN = 10.0, 20
URGENT = 20.0  # seconds that an interrupted step may still take; a batch of several texts is not interrupted
CLOSES_WITHIN = 10.0  # seconds for closing, which saves the sequences
CANCELLED = "The load was cancelled."


@dataclass(eq=False)
class ChildRun:
    """A text that the child process generates."""

    number: int
    request: EngineRequest
    fresh: list[Token] = field(default_factory=list)
    done: bool = False
    pending: int = 0


@contextmanager
def loading(hosted: Hosted, cancel: Cancel, *, timeout: float) -> Iterator[tuple[ChildProcess, Description]]:
    """Load an engine in a child process, which ends if the block fails or is cancelled.

    Raise ModelRefusedError if the process crashes or has too little memory, EngineMissingError if the engine
    was built for another processor.
    """
    try:
        process = ChildProcess(urgent=URGENT)
        with on_failure(process.end):
            with cancel.interrupting(partial(process.kill, "the load was cancelled")):
                yield process, _description(process.ask(Load.of(hosted), timeout))
            if cancel.is_set():
                raise CancelledError(CANCELLED)
    except (ProcessEndedError, TurbopilotError) as failure:
        if cancel.is_set():
            raise CancelledError(CANCELLED) from None
        if isinstance(failure, ProcessEndedError):
            raise refusal(hosted, failure.verdict) from None
        raise


def _description(reply: ChildReply) -> Description:
    if reply.failure:
        raise reply.failure.error()
    return cast("Description", reply.engine)


def load_in_child(
    hosted: Hosted,
    load_vocabulary: Callable[[], Vocabulary],
    cancel: Cancel,
    *,
    timeout: float,
    patience: float = PATIENCE,
) -> IsolatedEngine:
    """Load an engine in a child process, then its vocabulary: first, the child tests the file."""
    with loading(hosted, cancel, timeout=timeout) as (process, about):
        return IsolatedEngine(process, about, load_vocabulary(), patience)


class IsolatedEngine:
    """An engine in a child process. If the process has ended, all methods raise EngineGoneError."""

    level: Level | None = Level.NONE

    def __init__(
        self, process: ChildProcess, about: Description, vocabulary: Vocabulary, patience: float
    ) -> None:
        self.name = about.name
        self.fim = about.fim
        self.context_size = about.context_size
        self.identity = about.identity
        self.capabilities = about.capabilities
        self.vocabulary = vocabulary
        self._process = process
        self.pid: int | None = process.pid
        self._patience = patience
        self._pace = 0.0  # seconds of the slowest token
        self.speed = Speed()
        self._numbers = count()
        self._threads = 0

    def start(self, engine_request: EngineRequest) -> ChildRun | None:
        run = ChildRun(next(self._numbers), engine_request)
        return run if self._ask(Start(run.number, engine_request), [run]) else None

    def step(self, runs: Sequence[ChildRun], interrupt: Cancel) -> None:
        before, begun = sum(max(1, run.pending) for run in runs), time.monotonic()
        patience = patience_for(before, self._pace, self._patience)
        self._ask(Step(tuple(run.number for run in runs)), runs, interrupt, patience)
        done = max(len(runs), before - sum(run.pending for run in runs))
        self._pace = max(self._pace, (time.monotonic() - begun) / max(1, done))

    def suspend(self, run: ChildRun) -> None:
        self._ask(RunRequest("suspend", run.number), [run])

    def resume(self, run: ChildRun) -> bool:
        return self._ask(RunRequest("resume", run.number), [run])

    def release(self, run: ChildRun) -> None:
        with suppress(EngineGoneError):
            self._ask(RunRequest("release", run.number))

    def use_threads(self, count: int) -> None:
        if count != self._threads:
            self._ask(UseThreads(count))
            self._threads = count

    def close(self, *, keep: bool = True) -> None:
        with suppress(ProcessEndedError):
            self._process.ask(Close(keep), CLOSES_WITHIN)
        self._process.end()

    def _ask(
        self,
        request: Request,
        runs: Sequence[ChildRun] = (),
        interrupt: Cancel | None = None,
        patience: float = URGENT,
    ) -> bool:
        """Send a request, update its runs, and return whether it was granted."""
        try:
            reply = self._process.ask(request, min(patience, self._patience), interrupt)
        except ProcessEndedError as end:
            raise EngineGoneError(f"The model's process has ended: {end.verdict.reason}.") from None
        _note(reply, runs)
        self.speed = reply.speed
        if reply.failure:
            raise reply.failure.error()
        return reply.granted


def patience_for(tokens: int, pace: float, most: float) -> float:
    """Return the time limit of a step in seconds. A process that hangs is ended before clients give up."""
    return min(most, max(LEAST_PATIENCE, MARGIN * pace * tokens)) if pace else most


def _note(reply: ChildReply, runs: Sequence[ChildRun]) -> None:
    # There are no `reply.runs` if a run could not start.
    for run, progress in zip(runs, reply.runs, strict=False):
        run.fresh += progress.fresh
        run.done, run.pending = progress.done, progress.pending
        vars(run.request.usage).update(vars(progress.usage))
