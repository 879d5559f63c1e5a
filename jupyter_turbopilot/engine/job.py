"""A job: something for the worker to do with the engine once, and how it ends."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Generator
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.errors import EngineError, TurbopilotError
from jupyter_turbopilot.generation import Ask, Token

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.engine.base import Engine

log = logging.getLogger(__name__)

SUPERSEDED, DISCONNECTED, DEADLINE, STOPPED = "superseded", "disconnected", "deadline", "stopped"
YIELDED = "yielded"
# Work is a generator: it yields an ask, is sent the tokens as they are written, and yields the same ask again
# for more. An empty list means that the text has ended.
Work = Generator[Ask, list[Token], None]


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


class Job:
    """Something for the worker to do. `done` is called once, from whichever thread ends it."""

    def __init__(
        self,
        work: Callable[[Engine, Job], Work],
        done: Callable[[TurbopilotError | None], None],
        *,
        priority: Priority = Priority.TYPING,
        deadline: float = 0.0,
        caller: str = "",
        client: str = "",
    ) -> None:
        self.work = work
        self.done = done
        self.priority = self.asked_as = priority  # the scheduler may lower the priority for a time
        self.caller = caller
        self.client = client  # the caller's editor
        self.cancel = Cancel()
        self.older: Job | None = None  # the job whose place it takes, until it has begun
        self.replaced = False  # whether another takes its place
        self.stopped = False  # whether its text was ended early
        self.progress: Any = (
            None  # how far its work has come: a job that takes its place continues from there
        )
        self.queued_at = time.monotonic()
        self.started_at = 0.0
        self.deadline = self.queued_at + deadline if deadline else math.inf
        self.read = 0  # tokens of its prompts that were read and not charged yet
        # When its prompt has to be read, except for so many tokens; 0: no limit.
        self.read_by, self.read_but = 0.0, 0

    def tell(self, error: TurbopilotError | None) -> None:
        """Call `done`, once; if that raises, it is logged."""
        self.cancel.watch(None)
        try:
            self.done(error)
        except BaseException:
            log.exception("Turbopilot: an answer could not be delivered")


def as_error(failure: BaseException) -> TurbopilotError:
    """Return the error that is reported for a failure: its type, but no code, path or prompt."""
    if isinstance(failure, TurbopilotError):
        return failure
    log.error("Turbopilot: a completion failed", exc_info=failure)
    return EngineError(f"The completion failed ({type(failure).__name__}); the server's log has more.")
