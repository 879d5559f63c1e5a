"""The generations that have begun, and the engine that computes them in batches."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.base import generate_one
from jupyter_turbopilot.engine.cancel import Cancel, Cancelled
from jupyter_turbopilot.engine.job import DEADLINE, SUPERSEDED, YIELDED, as_error
from jupyter_turbopilot.protocol.errors import EngineGoneError, TextFailedError
from jupyter_turbopilot.util.bounds import tenant_cache

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.engine.base import Engine, Run
    from jupyter_turbopilot.engine.job import Generation, Job
    from jupyter_turbopilot.protocol.engine_request import EngineRequest, Token
    from jupyter_turbopilot.protocol.errors import TurbopilotError

log = logging.getLogger(__name__)


class StepLoop:
    """Drives the engine. All methods except `interrupt` run on the worker's thread.

    An exception of one generation ends only that one. `broken` is set when the engine can no longer generate
    a token, and `gone` if the engine reported that it is gone.
    """

    def __init__(
        self,
        ended: Callable[[Generation, Job, TurbopilotError | None], None],
        threads: Callable[[], int] | None = None,
    ) -> None:
        """`ended` is called when a generation has ended for a job."""
        self.engine: Engine | None = None
        self.broken = False
        self.gone: EngineGoneError | None = None
        self.latest: EngineRequest | None = None  # the last request that got a slot
        self._ended = ended
        self._threads = threads
        self._active: dict[Generation, None] = {}  # in the order in which they began
        self.interrupted = Cancel()  # interrupts the step of this round

    def interrupt(self) -> None:
        self.interrupted.set("interrupt")

    def begin_round(self) -> None:
        """Reset the interrupt, begin with jobs that have taken a seat, and end what no job waits for."""
        self.interrupted = Cancel()
        for generation in list(self._active):
            # Read first: a job is superseded after the next one has taken the seat.
            is_cancelled = generation.is_cancelled
            if generation.job is not generation.served:
                self._begin(generation)
            elif is_cancelled:
                self._stop(generation)

    def step(
        self, generations: Sequence[Generation], others: Sequence[Generation]
    ) -> dict[Generation, int] | None:
        """Advance generations by one batch; return the number of tokens of each. None: none got a slot.

        Later ones give up their slots for earlier ones, and `others` for all of them.
        """
        for generation in generations:
            if generation not in self._active:
                self._begin(generation)
        begun = [one for one in generations if one in self._active]
        if not begun:
            return {}
        queue = [one for one in (*generations, *others) if one in self._active]
        ready = self._with_slots(begun, queue)
        # One that got a slot may have been stopped or suspended for a later one.
        runs = [(one, one.run) for one in ready if one.run and not one.suspended]
        engine = self.engine
        if not runs or not engine:
            return None if any(one in self._active for one in generations) else {}
        self._set_threads(engine)
        for generation, run in runs:
            generation.left = run.pending
        failure = None
        if not any(run.fresh or run.done for _, run in runs):  # otherwise the engine knew the first tokens
            failure = self._attempt(lambda: engine.step([run for _, run in runs], self.interrupted))
        served = self._count_tokens(runs)
        if failure:
            self._handle_failure(runs, failure)
            return served
        for generation, run in runs:
            if served[generation] or run.pending < generation.left_at_failure:
                generation.left_at_failure = 0
            self._feed(generation, run)
            self._check_prompt_deadline(generation, run)
        return served

    @staticmethod
    def _count_tokens(runs: Sequence[tuple[Generation, Run]]) -> dict[Generation, int]:
        """Return the number of new tokens of each; the end of a text counts as one."""
        generated = {generation: max(len(run.fresh), int(run.done)) for generation, run in runs}
        for one, _ in runs:
            if generated[one] and one.engine_request and not one.is_evaluated:
                usage = one.engine_request.usage
                one.is_evaluated = True
                one.uncharged += max(0, usage.prompt_tokens - usage.cached_tokens)
        return generated

    def _handle_failure(self, runs: Sequence[tuple[Generation, Run]], failure: BaseException) -> None:
        """Feed the tokens from before the failure to the jobs; end the generation that caused it."""
        for generation, run in runs:
            self._feed(generation, run)
        left = [generation for generation, run in runs if generation.run is run]
        if not isinstance(failure, TextFailedError):
            self._isolate_failure(left, failure)
            return
        for generation in left:
            if generation.run is failure.run:
                self._end(generation, failure.error)

    @staticmethod
    def _check_prompt_deadline(generation: Generation, run: Run) -> None:
        # Between two chunks of a prompt, so that the next request can use the evaluated ones.
        job = generation.served
        late = 0 < job.prompt_deadline < time.monotonic()
        if late and generation.run is run and run.pending > job.prompt_tail:
            job.cancel.set(DEADLINE)

    def end_all(self, error: TurbopilotError | None = None) -> None:
        """End all generations, with their text so far or with an error."""
        for generation in list(self._active):
            generation.served.cancel.set(SUPERSEDED)
            if error:
                self._end(generation, error)
            else:
                self._stop(generation)

    def close(self) -> None:
        """Free the engine's memory."""
        engine, keep = self.engine, not self.broken
        self.engine, self.broken, self.gone, self.latest = None, False, None, None
        self._free(engine, keep=keep)

    def replace(self, engine: Engine) -> None:
        """Use another engine from now on, while nothing has begun; free the memory of the one before."""
        before, self.engine = self.engine, engine
        self._free(before, keep=False)

    def _free(self, engine: Engine | None, *, keep: bool) -> None:
        if engine and (failure := self._attempt(partial(engine.close, keep=keep))):
            log.error("Turbopilot: The engine could not be closed", exc_info=failure)

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

    def _begin(self, generation: Generation) -> None:
        """Begin with the job in the seat, which may continue the run of the job before."""
        job = generation.job  # read once: another thread may seat the next one
        job.started_at = time.monotonic()
        if job.cancel.is_set() or not self.engine:
            self._close(generation)
            self._ended(generation, job, None)
            return
        generation.served = job
        self._attempt(generation.steps.close)
        generation.steps = generation.generate(self.engine)
        self._active[generation] = None
        self._advance(generation, None)

    def _with_slots(self, generations: Sequence[Generation], queue: Sequence[Generation]) -> list[Generation]:
        """Return those that get slots. After a failed batch, return one of its generations at a time."""
        failed = [one for one in generations if one.left_at_failure][:1]
        ready = [one for one in failed if self._assign_slot(one, queue)]
        return ready or [one for one in generations if self._assign_slot(one, queue)]

    def _assign_slot(self, generation: Generation, queue: Sequence[Generation]) -> bool:
        """Assign a slot to a generation; later ones in the queue give up theirs, the last first."""
        while generation in self._active and generation.engine_request and self.engine:
            take = partial(_take_slot, self.engine, generation, generation.engine_request)
            if failure := self._attempt(take):
                self._end(generation, as_error(failure))
                return False
            if generation.run and not generation.suspended:
                self.latest = generation.engine_request
                return True
            if not self._free_slot(queue[queue.index(generation) + 1 :]):
                return False
        return False

    def _free_slot(self, generations: Sequence[Generation]) -> bool:
        """Free the slot of the last of these that has one; return False if none has."""
        for generation in reversed(generations):
            if generation.run is None or generation.suspended:
                continue
            if generation.priority.awaited:
                self._suspend(generation)
            else:
                generation.served.cancel.watch(None)  # cancelling it must not interrupt the step
                generation.served.cancel.set(YIELDED)
                self._stop(generation)
            return True
        return False

    def _suspend(self, generation: Generation) -> None:
        """Suspend a generation until it gets a slot again."""
        if not generation.run or not self.engine:
            return
        failure = self._attempt(partial(self.engine.suspend, generation.run))
        generation.suspended = failure is None
        if failure:
            self.broken = True  # see `_release`
            self._end(generation, as_error(failure))

    def _isolate_failure(self, generations: Sequence[Generation], failure: BaseException) -> None:
        """Find the one that fails: retry each of several alone, and end one that fails alone."""
        if len(generations) > 1 and not self.gone:
            log.info("Turbopilot: A batch failed (%s). Its texts continue one by one", type(failure).__name__)
            for generation in generations:
                generation.left_at_failure = generation.left
            return
        for generation in generations:
            self._end(generation, as_error(failure))
        if self.engine and not self.broken:
            broken = self._attempt(partial(generate_one, self.engine))
            if broken and not self.gone:
                log.error("Turbopilot: The engine has failed", exc_info=broken)
            self.broken = broken is not None

    def _feed(self, generation: Generation, run: Run) -> None:
        """Feed the new tokens of a run to its job."""
        if not run.fresh and not run.done:
            return
        fresh, run.fresh = run.fresh, []
        self._advance(generation, fresh)
        if run.done and generation.run is run:
            self._advance(generation, [])

    def _stop(self, generation: Generation) -> None:
        """End a generation with its text so far."""
        generation.served.stopped = True
        if generation.engine_request and self._advance(generation, []):
            self._end(generation, None)

    def _advance(self, generation: Generation, tokens: list[Token] | None) -> bool:
        """Resume a generation with tokens, or begin it if they are None; return whether it continues."""
        engine_request: EngineRequest | None = None
        job, steps = generation.served, generation.steps

        def call() -> None:
            nonlocal engine_request
            with job.cancel.governing(), tenant_cache(job.tenant), suppress(StopIteration):
                engine_request = next(steps) if tokens is None else steps.send(tokens)

        failure = self._attempt(call)
        if engine_request is None:
            failed = failure is not None and not isinstance(failure, Cancelled)
            self._end(generation, as_error(failure) if failure and failed else None)
            return False
        if engine_request is not generation.engine_request or tokens == []:
            self._release(generation)
            generation.engine_request = engine_request
        return True

    def _release(self, generation: Generation) -> None:
        run, generation.run = generation.run, None
        generation.suspended = generation.is_evaluated = False
        if run and self.engine and (failure := self._attempt(partial(self.engine.release, run))):
            # The slot cannot be used again, so the engine must be replaced.
            if not self.gone:
                log.error("Turbopilot: The engine has failed", exc_info=failure)
            self.broken = True

    def _end(self, generation: Generation, error: TurbopilotError | None) -> None:
        if generation not in self._active:
            return
        if failure := self._close(generation):
            error = error or as_error(failure)
        self._ended(generation, generation.served, error)

    def _close(self, generation: Generation) -> BaseException | None:
        """End the run; return the exception of the job's steps."""
        self._active.pop(generation, None)
        self._release(generation)
        return self._attempt(generation.steps.close)


def _take_slot(engine: Engine, generation: Generation, engine_request: EngineRequest) -> None:
    """Start or resume a run if a slot is free."""
    if generation.run is None:
        generation.run = engine.start(engine_request)
    elif generation.suspended:
        generation.suspended = not engine.resume(generation.run)
