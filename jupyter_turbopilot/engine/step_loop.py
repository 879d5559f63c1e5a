"""The jobs that have begun, and the engine that computes them in batches."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.base import generate_one
from jupyter_turbopilot.engine.cancel import Cancel, Cancelled
from jupyter_turbopilot.engine.job import DEADLINE, SUPERSEDED, YIELDED, Job, as_error
from jupyter_turbopilot.protocol.errors import EngineGoneError, TextFailedError
from jupyter_turbopilot.util.bounds import tenant_cache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from jupyter_turbopilot.engine.base import Engine, Run
    from jupyter_turbopilot.protocol.engine_request import EngineRequest, Token
    from jupyter_turbopilot.protocol.errors import TurbopilotError

log = logging.getLogger(__name__)


class StepLoop:
    """Drives the engine. All methods except `interrupt` run on the worker's thread.

    An exception of one job ends only that job. `broken` is set when the engine can no longer generate a
    token, and `gone` if the engine reported that it is gone.
    """

    def __init__(
        self,
        ended: Callable[[Job, TurbopilotError | None], None],
        threads: Callable[[], int] | None = None,
    ) -> None:
        self.engine: Engine | None = None
        self.broken = False
        self.gone: EngineGoneError | None = None
        self._ended = ended
        self._threads = threads
        self._active: dict[Job, None] = {}  # in the order in which they began
        self._interrupt = Cancel()

    def interrupt(self) -> None:
        self._interrupt.set("interrupt")

    def begin_round(self, successors: Iterable[Job] = ()) -> None:
        """Reset the interrupt, begin jobs that take over from others, and stop cancelled jobs."""
        self._interrupt = Cancel()
        for job in successors:
            if job not in self._active:
                self._begin(job)
        for job in [job for job in self._active if job.cancel.is_set() and not job.replaced]:
            self._stop(job)

    def step(self, jobs: Sequence[Job], others: Sequence[Job]) -> dict[Job, int] | None:
        """Advance jobs by one batch; return the number of tokens of each. None: no job got a slot.

        Later jobs give up their slots for earlier ones, and `others` for all of them.
        """
        for job in jobs:
            if job not in self._active:
                self._begin(job)
        begun = [job for job in jobs if job in self._active]
        if not begun:
            return {}
        queue = [job for job in (*jobs, *others) if job in self._active]
        ready = self._with_slots(begun, queue)
        # A job that got a slot may have been stopped or suspended for a later one.
        runs = [(job, job.run) for job in ready if job.run and not job.suspended]
        engine = self.engine
        if not runs or not engine:
            return None if any(job in self._active for job in jobs) else {}
        self._set_threads(engine)
        for job, run in runs:
            job.left = run.pending
        failure = None
        if not any(run.fresh or run.done for _, run in runs):  # otherwise the engine knew the first tokens
            failure = self._attempt(lambda: engine.step([run for _, run in runs], self._interrupt))
        served = self._count_tokens(runs)
        if failure:
            self._handle_failure(runs, failure)
            return served
        for job, run in runs:
            if served[job] or run.pending < job.left_at_failure:
                job.left_at_failure = 0
            self._feed(job, run)
            self._check_prompt_deadline(job, run)
        return served

    @staticmethod
    def _count_tokens(runs: Sequence[tuple[Job, Run]]) -> dict[Job, int]:
        """Return the number of new tokens of each job; the end of a text counts as one."""
        generated = {job: max(len(run.fresh), int(run.done)) for job, run in runs}
        for job, _ in runs:
            if generated[job] and job.engine_request and not job.is_evaluated:
                usage = job.engine_request.usage
                job.is_evaluated = True
                job.uncharged += max(0, usage.prompt_tokens - usage.cached_tokens)
        return generated

    def _handle_failure(self, runs: Sequence[tuple[Job, Run]], failure: BaseException) -> None:
        """Feed the tokens from before the failure to the jobs; end the job that caused it."""
        for job, run in runs:
            self._feed(job, run)
        left = [job for job, run in runs if job.run is run]
        if not isinstance(failure, TextFailedError):
            self._isolate_failure(left, failure)
            return
        for job in left:
            if job.run is failure.run:
                self._end(job, failure.error)

    @staticmethod
    def _check_prompt_deadline(job: Job, run: Run) -> None:
        # Between two chunks of a prompt, so that the next request can use the evaluated ones.
        late = 0 < job.prompt_deadline < time.monotonic()
        if late and job.run is run and run.pending > job.prompt_tail:
            job.cancel.set(DEADLINE)

    def end_all(self, error: TurbopilotError | None = None) -> None:
        """End all jobs, with their text so far or with an error."""
        for job in list(self._active):
            job.cancel.set(SUPERSEDED)
            if error:
                self._end(job, error)
            else:
                self._stop(job)

    def close(self) -> None:
        """Free the engine's memory."""
        if self.engine:
            failure = self._attempt(partial(self.engine.close, keep=not self.broken))
            if failure:
                log.error("Turbopilot: The engine could not be closed", exc_info=failure)
        self.engine, self.broken, self.gone = None, False, None

    def _attempt(self, call: Callable[[], object]) -> BaseException | None:
        """Call the engine or a job; return its exception: one job's error must not fail the others."""
        try:
            call()
        except BaseException as failure:  # noqa: BLE001 - returned
            if isinstance(failure, EngineGoneError):
                self.broken, self.gone = True, failure
            return failure
        return None

    def _set_threads(self, engine: Engine) -> None:
        if threads := self._threads:
            # The number is kept if the load cannot be measured.
            self._attempt(lambda: engine.use_threads(threads()))

    def _begin(self, job: Job) -> None:
        """Begin a job, which takes over the run of its older job."""
        cancelled = job.cancel.is_set()  # read first: the worker sets `replaced` before it cancels the job
        if job.replaced:
            return  # the newer job takes over from the older one
        job.started_at = time.monotonic()
        older = self._take_over(job)
        if cancelled or not self.engine:
            self._release(job)
            self._ended(job, None)
        else:
            job.steps = job.generate(self.engine, older)
            self._active[job] = None
            if not job.replaced:
                job.cancel.watch(self.interrupt)
            self._advance_job(job, None)
        if older:
            self._attempt(older.steps.close)

    def _take_over(self, job: Job) -> Job | None:
        """Move the run of its older job to a job; return the older one. Jobs between them never began."""
        older, job.older = job.older, None
        while older and older not in self._active:
            older = older.older
        if older:
            del self._active[older]
            job.engine_request, job.run, older.run = older.engine_request, older.run, None
            job.suspended, job.left_at_failure = older.suspended, older.left_at_failure
            job.is_evaluated = older.is_evaluated
        return older

    def _with_slots(self, jobs: Sequence[Job], queue: Sequence[Job]) -> list[Job]:
        """Return the jobs that get slots. After a failed batch, return one of its jobs at a time."""
        failed = [job for job in jobs if job.left_at_failure][:1]
        ready = [job for job in failed if self._assign_slot(job, queue)]
        return ready or [job for job in jobs if self._assign_slot(job, queue)]

    def _assign_slot(self, job: Job, queue: Sequence[Job]) -> bool:
        """Assign a slot to a job; later jobs in the queue give up theirs, the last first."""
        while job in self._active and job.engine_request and self.engine:
            if failure := self._attempt(partial(_take_slot, self.engine, job, job.engine_request)):
                self._end(job, as_error(failure))
                return False
            if job.run and not job.suspended:
                return True
            if not self._free_slot(queue[queue.index(job) + 1 :]):
                return False
        return False

    def _free_slot(self, jobs: Sequence[Job]) -> bool:
        """Free the slot of the last of these jobs that has one; return False if none has."""
        for job in reversed(jobs):
            if job.run is None or job.suspended:
                continue
            if job.priority.awaited:
                self._suspend(job)
            else:
                job.cancel.watch(None)  # cancelling it must not interrupt the step
                job.cancel.set(YIELDED)
                self._stop(job)
            return True
        return False

    def _suspend(self, job: Job) -> None:
        """Suspend a job until it gets a slot again."""
        if not job.run or not self.engine:
            return
        failure = self._attempt(partial(self.engine.suspend, job.run))
        job.suspended = failure is None
        if failure:
            self.broken = True  # see `_release`
            self._end(job, as_error(failure))

    def _isolate_failure(self, jobs: Sequence[Job], failure: BaseException) -> None:
        """Find the job that fails: retry each of several jobs alone, and end a job that fails alone."""
        if len(jobs) > 1 and not self.gone:
            log.info("Turbopilot: A batch failed (%s). Its texts continue one by one", type(failure).__name__)
            for job in jobs:
                job.left_at_failure = job.left
            return
        for job in jobs:
            self._end(job, as_error(failure))
        if self.engine and not self.broken:
            broken = self._attempt(partial(generate_one, self.engine))
            if broken and not self.gone:
                log.error("Turbopilot: The engine has failed", exc_info=broken)
            self.broken = broken is not None

    def _feed(self, job: Job, run: Run) -> None:
        """Feed the new tokens of a run to its job."""
        if not run.fresh and not run.done:
            return
        fresh, run.fresh = run.fresh, []
        self._advance_job(job, fresh)
        if run.done and job.run is run:
            self._advance_job(job, [])

    def _stop(self, job: Job) -> None:
        """End a cancelled job with its text so far."""
        job.stopped = True
        if job.engine_request and self._advance_job(job, []):
            self._end(job, None)

    def _advance_job(self, job: Job, tokens: list[Token] | None) -> bool:
        """Resume a job with tokens, or begin it if they are None; return whether it continues."""
        engine_request: EngineRequest | None = None

        def call() -> None:
            nonlocal engine_request
            with job.cancel.governing(), tenant_cache(job.tenant), suppress(StopIteration):
                engine_request = next(job.steps) if tokens is None else job.steps.send(tokens)

        failure = self._attempt(call)
        if engine_request is None:
            failed = failure is not None and not isinstance(failure, Cancelled)
            self._end(job, as_error(failure) if failure and failed else None)
            return False
        if engine_request is not job.engine_request or tokens == []:
            self._release(job)
            job.engine_request = engine_request
        return True

    def _release(self, job: Job) -> None:
        run, job.run, job.suspended, job.is_evaluated = job.run, None, False, False
        if run and self.engine and (failure := self._attempt(partial(self.engine.release, run))):
            # The slot cannot be used again, so the engine must be replaced.
            if not self.gone:
                log.error("Turbopilot: The engine has failed", exc_info=failure)
            self.broken = True

    def _end(self, job: Job, error: TurbopilotError | None) -> None:
        if job not in self._active:
            return
        del self._active[job]
        self._release(job)
        if failure := self._attempt(job.steps.close):
            error = error or as_error(failure)
        self._ended(job, error)


def _take_slot(engine: Engine, job: Job, engine_request: EngineRequest) -> None:
    """Start or resume a job's run if a slot is free."""
    if job.run is None:
        job.run = engine.start(engine_request)
    elif job.suspended:
        job.suspended = not engine.resume(job.run)
