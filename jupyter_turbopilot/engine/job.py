"""A job: one request to the engine."""

from __future__ import annotations

import logging
import math
import threading
import time
from abc import ABC, abstractmethod
from enum import IntEnum

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.protocol.errors import EngineError, TurbopilotError, log_failure

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
        try:
            self.end(error)
        except BaseException:
            log.exception("Turbopilot: A reply could not be sent")


def as_error(failure: BaseException) -> TurbopilotError:
    """Return the error to report for a failure. It contains no code, path or prompt."""
    if isinstance(failure, TurbopilotError):
        return failure
    log_failure(log, "Turbopilot: A completion failed", failure)
    return EngineError(f"The completion failed ({type(failure).__name__}). See the server log for details.")
