"""A job: one request to the engine, which the worker executes."""

from __future__ import annotations

import logging
import math
import threading
import time
from abc import ABC, abstractmethod
from enum import IntEnum
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.protocol.errors import EngineError, TurbopilotError, log_failure

if TYPE_CHECKING:
    from collections.abc import Generator

    from jupyter_turbopilot.engine.base import Engine, Run
    from jupyter_turbopilot.protocol.engine_request import EngineRequest, Token

    Steps = Generator[EngineRequest, list[Token], None]

log = logging.getLogger(__name__)

SUPERSEDED, DISCONNECTED, DEADLINE, STOPPED = "superseded", "disconnected", "deadline", "stopped"
YIELDED = "yielded"


class Priority(IntEnum):
    """The priority of a job, the highest first."""

    TYPING = 0  # a user types in a Turbopilot editor
    TEXT = 1  # a user waits for a text in another program
    BULK = 2  # a user waits for several texts, or a long one
    PREFETCH = 3
    WARMUP = 4

    @property
    def awaited(self) -> bool:
        """Whether a user waits for the job."""
        return self <= Priority.BULK


class Job(ABC):
    """One request to the engine.

        look-up ──▶ waiting ──▶ begun ──▶ ended

    The worker resumes `generate` after each step, on its own thread. The thread that ends the job calls `end`
    once. A job with an `older` one takes over its position in the queue (`Worker.submit`) and its run
    (`StepLoop`).
    """

    def __init__(
        self,
        *,
        priority: Priority = Priority.TYPING,
        deadline: float = 0.0,
        caller: str = "",
        client: str = "",
        tenant: str = "",
        older: Job | None = None,
    ) -> None:
        self.priority = self.asked_as = priority  # the scheduler may lower the priority for a time
        self.caller = caller
        self.editor = (caller, client)
        self.tenant = tenant
        self.cancel = Cancel()
        self.awaits_look_up = False  # whether its look-up has not ended; protected by the lock of `Editors`
        self.older = older  # the job that it takes over from; None once it has begun
        self.replaced = False  # whether a newer job takes over from it
        self.stopped = False  # whether its text was ended early
        self._ending = threading.Lock()  # never released, so that `end` is called once
        self.queued_at = time.monotonic()
        self.started_at = 0.0
        self.deadline = self.queued_at + deadline if deadline else math.inf
        # The time by which the prompt must be evaluated, and how many tokens at its end may be missing then.
        self.prompt_deadline, self.prompt_tail = 0.0, 0  # 0: no deadline
        # The state of the run. Only the step loop changes it.
        self.steps: Steps  # of `generate`, once it has begun
        self.engine_request: EngineRequest | None = None
        self.run: Run | None = None
        self.suspended = False  # whether its run has no slot
        self.left = 0  # pending prompt tokens before its last batch
        self.left_at_failure = 0  # the same, if that batch failed; 0 after the job has advanced again
        self.is_evaluated = False  # whether its prompt was evaluated and added to `uncharged`
        self.seconds = 0.0  # of computing
        self.uncharged = 0  # evaluated prompt tokens that the scheduler has not charged yet

    @abstractmethod
    def generate(self, engine: Engine, older: Job | None) -> Steps:
        """Yield a request, and receive its tokens after each step, none at the end of the text.

        Yield the same request to continue it, or a new one. `older` is the job that it takes over from. Yield
        that job's request first to continue its run.
        """

    @abstractmethod
    def end(self, error: TurbopilotError | None) -> None:
        """Send the last reply."""

    def finish(self, error: TurbopilotError | None) -> None:
        """Call `end` unless it was called before; log its exceptions."""
        if not self._ending.acquire(blocking=False):
            return
        self.cancel.watch(None)
        try:
            self.end(error)
        except BaseException:
            log.exception("Turbopilot: A reply could not be sent")

    def supersede_older(self) -> None:
        """Supersede the job that this one was to take over from."""
        if self.older:
            self.older.cancel.set(SUPERSEDED)
            self.older = None


def as_error(failure: BaseException) -> TurbopilotError:
    """Return the error to report for a failure. It contains no code, path or prompt."""
    if isinstance(failure, TurbopilotError):
        return failure
    log_failure(log, "Turbopilot: A completion failed", failure)
    return EngineError(f"The completion failed ({type(failure).__name__}). See the server log for details.")
