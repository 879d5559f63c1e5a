"""A job: something for the worker to do with the engine once, and how it ends."""

from __future__ import annotations

import logging
import math
import threading
import time
from abc import ABC, abstractmethod
from enum import IntEnum
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.errors import EngineError, TurbopilotError

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.base import Engine, Run
    from jupyter_turbopilot.generation import Ask, Token

log = logging.getLogger(__name__)

SUPERSEDED, DISCONNECTED, DEADLINE, STOPPED = "superseded", "disconnected", "deadline", "stopped"
YIELDED = "yielded"


class Priority(IntEnum):
    """The order in which jobs are served."""

    TYPING = 0  # a user looks at the cursor of an editor of ours
    TEXT = 1  # a user waits for a text in another program
    BULK = 2  # a user waits for several texts
    AHEAD = 3
    WARM = 4

    @property
    def awaited(self) -> bool:
        """Whether a user waits for it."""
        return self <= Priority.BULK


class Job(ABC):
    """One request to the engine, and its place in the scheduler.

        waiting ──▶ begun ──▶ ended

    The worker calls `begin` once and `feed` after each step, both on its own thread. `end` is called once, by
    whichever thread ends the job. A job with an `older` one takes its place in the queue and what the engine
    computes for it.
    """

    def __init__(
        self,
        *,
        priority: Priority = Priority.TYPING,
        deadline: float = 0.0,
        caller: str = "",
        client: str = "",
        older: Job | None = None,
    ) -> None:
        self.priority = self.asked_as = priority  # the scheduler may lower the priority for a time
        self.caller = caller
        self.client = client  # the caller's editor
        self.cancel = Cancel()
        self.older = older  # the job whose place it takes, until it has begun
        self.replaced = False  # whether another takes its place
        self.stopped = False  # whether its text was ended early
        self._ending = threading.Lock()  # held from the end on
        self.queued_at = time.monotonic()
        self.started_at = 0.0
        self.deadline = self.queued_at + deadline if deadline else math.inf
        # When its prompt has to be read, except for so many tokens; 0: no limit.
        self.read_by, self.read_but = 0.0, 0
        # What the engine computes for it. Only the step loop changes this.
        self.ask: Ask | None = None
        self.run: Run | None = None
        self.suspended = False  # whether its run has given its room to others
        self.left = 0  # tokens that were to be read before the last batch that it was in
        self.suspect = 0  # the same, where that batch failed and the job has not got beyond it since
        self.is_read = False  # whether its prompt has been read, and counted
        self.read = 0  # tokens of its prompts that were read and not charged yet

    @abstractmethod
    def begin(self, engine: Engine, older: Job | None) -> Ask | None:
        """Return what the engine is to compute first; None: nothing, the job is done.

        `older` is the job whose place it takes. Returning that job's ask continues what is computed for it.
        """

    @abstractmethod
    def feed(self, tokens: list[Token]) -> Ask | None:
        """Take tokens, none at the end of the text; return the same ask for more, another one, or None."""

    @abstractmethod
    def close(self) -> None:
        """Free what `begin` needed: no more tokens will come."""

    @abstractmethod
    def end(self, error: TurbopilotError | None) -> None:
        """Send the last reply."""

    def finish(self, error: TurbopilotError | None) -> None:
        """Call `end`, the first time; if that raises, it is logged."""
        if not self._ending.acquire(blocking=False):
            return
        self.cancel.watch(None)
        try:
            self.end(error)
        except BaseException:
            log.exception("Turbopilot: an answer could not be delivered")

    def take(self, older: Job) -> None:
        """Take over what is computed for an older job."""
        self.ask, self.run, older.run = older.ask, older.run, None
        self.suspended, self.suspect = older.suspended, older.suspect
        self.is_read = older.is_read


def as_error(failure: BaseException) -> TurbopilotError:
    """Return the error that is reported for a failure: its type, but no code, path or prompt."""
    if isinstance(failure, TurbopilotError):
        return failure
    log.error("Turbopilot: a completion failed", exc_info=failure)
    return EngineError(f"The completion failed ({type(failure).__name__}); the server's log has more.")
