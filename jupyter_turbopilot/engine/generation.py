"""A generation: an editor's text in progress, which the worker schedules."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

    from jupyter_turbopilot.engine.base import Engine, Run
    from jupyter_turbopilot.engine.job import Job
    from jupyter_turbopilot.protocol.engine_request import EngineRequest, Token

    Steps = Generator[EngineRequest, list[Token], None]


def _nothing() -> Steps:
    yield from ()


class Generation(ABC):
    """The place of an editor in the queue, and its run in the engine. It serves one request at a time.

    A newer request of the same editor and cell takes the seat of the one before (`Worker.submit`). When the
    worker's thread notices at its next step, it begins `generate` for the new one, which may go on with the
    run. If the request is cancelled or answered, the generation ends.
    """

    def __init__(self, job: Job) -> None:
        self.job = job  # in the seat; protected by the lock of the worker
        self.caller = job.caller
        self.account = (job.caller, job.client)  # whose computing time is counted
        self.editor = (job.tenant, job.caller, job.client)
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
    def is_left(self) -> bool:
        """Whether its job was cancelled or answered, and no newer one has come."""
        return self.job.cancel.is_set()

    def seat(self, job: Job) -> None:
        """Serve a newer job."""
        self.job, self.priority, self.seconds = job, job.priority, 0.0
