"""Jobs, which are requests to the engine, and the generations that serve them."""

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

# Why a job is cancelled.
SUPERSEDED, DISCONNECTED, DEADLINE, STOPPED = "superseded", "disconnected", "deadline", "stopped"
YIELDED, ANSWERED = "yielded", "answered"


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
    """A request to the engine: what a generation is for at the moment. Any thread may cancel it.

    A thread that ends it calls `finish`.
    """

    def __init__(
        self,
        *,
        priority: Priority = Priority.TYPING,
        deadline: float = 0.0,
        caller: str = "",
        client: str = "",
        tenant: str = "",
        cell: str = "",
        sequence: int = 0,
    ) -> None:
        """`client`: the editor; empty if each request has its own generation.

        `cell`: the document and the cell with the cursor. `sequence`: the client's number; 0: it has none.
        """
        self.priority = priority
        self.caller = caller
        self.client = client
        self.tenant = tenant
        self.editor = (tenant, caller, client)
        self.cell = cell
        self.sequence = sequence
        self.cancel = Cancel()
        self.stopped = False  # whether its text was ended early
        self._ending = threading.Lock()  # never released, so that `end` is called once
        self.queued_at = time.monotonic()
        self.started_at = 0.0
        self.deadline = self.queued_at + deadline if deadline else math.inf
        # The time by which the prompt must be evaluated, and how many tokens at its end may be missing then.
        self.prompt_deadline, self.prompt_tail = 0.0, 0  # 0: no deadline

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


def _nothing() -> Steps:
    yield from ()


class Generation(ABC):
    """The place of an editor in the queue, and its run in the engine. It serves one request at a time.

    A newer request of the same editor and cell takes the seat of the one before (`Worker.submit`). When the
    worker's thread notices at its next step, it begins `generate` for the new one, which may continue the
    run. If the request is cancelled or answered, the generation ends.
    """

    def __init__(self, job: Job) -> None:
        self.job = job  # in the seat; protected by the lock of the worker
        self.caller = job.caller
        self.account = (job.caller, job.client)  # whose computing time is counted
        self.priority = job.priority  # the scheduler may lower it for a time
        self.seconds = 0.0  # of computing for this job
        self.uncharged = 0  # evaluated prompt tokens that the scheduler has not charged yet
        # The state of the run. Only the worker's thread uses it.
        self.served = job  # the job of `steps`
        self.steps: Steps = _nothing()
        self.engine_request: EngineRequest | None = None
        self.run: Run | None = None
        self.suspended = False  # whether its run has no slot
        self.left = 0  # pending prompt tokens before its last batch
        self.left_at_failure = 0  # the same, if that batch failed; 0 after it has advanced again
        self.is_evaluated = False  # whether its prompt was evaluated and added to `uncharged`

    @abstractmethod
    def generate(self, engine: Engine) -> Steps:
        """Serve the job `served`: yield a request, and receive its tokens after each step, none at the end.

        Yield the same request to continue it, or a new one; first `engine_request` to continue the run of the
        job before. The iterator is closed when another job has taken the seat: then `served` is that one.
        """

    @property
    def is_cancelled(self) -> bool:
        """Whether its job was cancelled or answered, and no newer one has come."""
        return self.job.cancel.is_set()

    def seat(self, job: Job) -> None:
        """Serve a newer job."""
        self.job, self.priority, self.seconds = job, job.priority, 0.0


def as_error(failure: BaseException) -> TurbopilotError:
    """Return the error to report for a failure. It contains no code, path or prompt."""
    if isinstance(failure, TurbopilotError):
        return failure
    log_failure(log, "Turbopilot: A completion failed", failure)
    return EngineError(f"The completion failed ({type(failure).__name__}). See the server log for details.")
