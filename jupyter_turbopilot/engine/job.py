"""Something for the worker to do with the engine, once; how it ends."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.queue import Priority
from jupyter_turbopilot.errors import EngineError, TurbopilotError
from jupyter_turbopilot.generation import Ask, Token

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.engine.base import Engine

log = logging.getLogger(__name__)

SUPERSEDED, DISCONNECTED, DEADLINE, STOPPED = "superseded", "disconnected", "deadline", "stopped"
YIELDED = "yielded"
# Work is written as a conversation: it yields what it wants written, is sent the tokens as they come, and
# yields the same again for more. No tokens: that text has ended.
Work = Generator[Ask, list[Token], None]


class Job:
    """Something for the worker to do. `done` is called once, from whichever thread ends it."""

    def __init__(
        self,
        work: Callable[[Engine, Job], Work],
        done: Callable[[TurbopilotError | None], None],
        *,
        priority: Priority = Priority.TYPING,
        deadline: float = 0.0,
        owner: str = "",
    ) -> None:
        self.work = work
        self.done = done
        self.priority = priority
        self.owner = owner
        self.cancel = Cancel()
        self.older: Job | None = None  # whose place it takes, until it has begun
        self.replaced = False  # whether another takes its place
        self.stopped = False  # whether its text was ended before it ended by itself
        self.progress: Any = None  # what its work has come to: whoever takes its place goes on from there
        self.queued_at = time.monotonic()
        self.started_at = 0.0
        self.deadline = self.queued_at + deadline if deadline else math.inf
        # When its prompt should have been read, but for so many tokens; 0: it may take as long as it takes.
        self.read_by, self.read_but = 0.0, 0

    def tell(self, error: TurbopilotError | None) -> None:
        """Say that it has ended; whoever cannot take that harms nobody else."""
        self.cancel.watch(None)
        try:
            self.done(error)
        except BaseException:
            log.exception("Turbopilot: nobody could take the answer")


def as_error(failure: BaseException) -> TurbopilotError:
    """Return what is told of a failure: its type, but no code, path or prompt."""
    if isinstance(failure, TurbopilotError):
        return failure
    log.error("Turbopilot: a completion failed", exc_info=failure)
    return EngineError(f"The completion failed ({type(failure).__name__}); the server's log has more.")
