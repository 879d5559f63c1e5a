"""The jobs that have begun, and the engine that writes for them, one batch after the other."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.base import can_write
from jupyter_turbopilot.engine.cancel import Cancel, Cancelled
from jupyter_turbopilot.engine.job import DEADLINE, SUPERSEDED, YIELDED, Job, Work, as_error
from jupyter_turbopilot.errors import EngineGoneError, TextFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from jupyter_turbopilot.engine.base import Engine, Run
    from jupyter_turbopilot.errors import TurbopilotError
    from jupyter_turbopilot.generation import Ask, Token

log = logging.getLogger(__name__)


class _ActiveJob:
    """A job that has begun."""

    def __init__(self, job: Job, work: Work) -> None:
        self.job = job
        self.work = work
        self.ask: Ask | None = None
        self.run: Run | None = None
        self.suspended = False  # whether its run has given its room to others
        self.left = 0  # tokens that were to be read before the last batch that it was in
        self.suspect = 0  # the same, where that batch failed and it has not got beyond it since
        self.is_read = False  # whether its prompt has been read, and counted

    def take(self, older: _ActiveJob) -> None:
        """Take over what is computed for an older one."""
        self.ask, self.run, older.run = older.ask, older.run, None
        self.suspended, self.suspect = older.suspended, older.suspect
        self.is_read = older.is_read


class StepLoop:
    """Drives the engine. Everything here happens on the worker's thread, except `nudge`.

    An exception of one job ends that job alone. An engine is `broken` when it can no longer write a token;
    where it says itself that it is gone, `gone` is why.
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
        self._active: dict[Job, _ActiveJob] = {}
        self._attention = Cancel()

    def nudge(self) -> None:
        """Interrupt the step that is under way: something more important has come."""
        self._attention.set("nudge")

    def listen(self, heirs: Iterable[Job] = ()) -> None:
        """Begin a round: forget earlier nudges, let heirs take over, stop what has been cancelled."""
        self._attention = Cancel()
        for job in heirs:
            if job not in self._active:
                self._begin(job)
        ended = [active for job, active in self._active.items() if job.cancel.is_set() and not job.replaced]
        for active in ended:
            self._stop(active)

    def step(self, line: Sequence[Job], others: Sequence[Job]) -> dict[Job, int] | None:
        """Advance jobs by one batch; return which, and how many tokens each wrote. None: there was no room.

        Jobs further back in the line give their room to those before them, and `others` to all in the line.
        """
        for job in line:
            if job not in self._active:
                self._begin(job)
        active_jobs = [self._active[job] for job in line if job in self._active]
        if not active_jobs:
            return {}
        behind = [self._active[job] for job in (*line, *others) if job in self._active]
        ready = self._with_room(active_jobs, behind)
        # Those that got room first may have been stopped since, or have given it up.
        runs = [(active, active.run) for active in ready if active.run and not active.suspended]
        engine = self.engine
        if not runs or not engine:
            return None if any(job in self._active for job in line) else {}
        self._set_threads(engine)
        for active, run in runs:
            active.left = run.pending
        try:
            engine.step([run for _, run in runs], self._attention)
        except BaseException as failure:  # noqa: BLE001 - whatever the engine raises
            served = self._count(runs)
            self._after_failure(runs, failure)
            return served
        served = self._count(runs)
        for active, run in runs:
            if served[active.job] or run.pending < active.suspect:
                active.suspect = 0
            self._after_step(active, run)
        return served

    @staticmethod
    def _count(runs: Sequence[tuple[_ActiveJob, Run]]) -> dict[Job, int]:
        """Return the jobs of a step, and how many tokens each wrote: the end of a text counts as one."""
        written = {active.job: max(len(run.fresh), int(run.done)) for active, run in runs}
        for active, _ in runs:
            if written[active.job] and active.ask and not active.is_read:
                usage = active.ask.usage
                active.is_read = True
                active.job.read += max(0, usage.prompt_tokens - usage.cached_tokens)
        return written

    def _after_failure(self, runs: Sequence[tuple[_ActiveJob, Run]], failure: BaseException) -> None:
        """Hand over what was written before a step failed; end who is at fault."""
        self._note(failure)
        for active, run in runs:
            self._hand_over(active, run)
        left = [active for active, run in runs if active.run is run]
        if not isinstance(failure, TextFailedError):
            self._failed(left, failure)
            return
        for active in left:
            if active.run is failure.run:
                self._end(active, failure.error)

    def _after_step(self, active: _ActiveJob, run: Run) -> None:
        """Hand over what a step has written; end a prompt whose time is up."""
        self._hand_over(active, run)
        # Only between pieces of the prompt: the next request goes on from where this one ended.
        late = 0 < active.job.read_by < time.monotonic()
        if late and active.run is run and run.pending > active.job.read_but:
            active.job.cancel.set(DEADLINE)

    def end_all(self, error: TurbopilotError | None = None) -> None:
        """End everything: with what it has, or with an error."""
        for active in list(self._active.values()):
            active.job.cancel.set(SUPERSEDED)
            if error:
                self._end(active, error)
            else:
                self._stop(active)

    def close(self) -> None:
        """Free the engine's memory."""
        engine, keep = self.engine, not self.broken
        self.engine, self.broken, self.gone = None, False, None
        if engine:
            _close(engine, keep=keep)

    def _set_threads(self, engine: Engine) -> None:
        if self._threads:
            try:
                engine.use_threads(self._threads())
            except BaseException:
                # Without a measurement nothing changes.
                log.debug("Turbopilot: the threads stay as they are", exc_info=True)

    def _begin(self, job: Job) -> None:
        """Begin a job; if it takes the place of another, it takes over that one's run."""
        over = job.cancel.is_set()  # read first: a job that takes its place sets `replaced` before it cancels
        if job.replaced:
            return  # the job that has taken its place finds the run to continue
        job.started_at = time.monotonic()
        older = self._place_of(job)
        if older:
            job.progress = older.job.progress
        if over or not self.engine:
            self._ended(job, None)
            self._abandon(older)
            return
        try:
            active = _ActiveJob(job, job.work(self.engine, job))
        except BaseException as failure:  # noqa: BLE001 - one job's mistake is not the others'
            self._ended(job, as_error(failure))
            self._abandon(older)
            return
        if older:
            active.take(older)
        self._active[job] = active
        if not job.replaced:
            job.cancel.watch(self.nudge)
        self._advance(active, None)  # a run that it has no use for is released
        self._abandon(older)

    def _place_of(self, job: Job) -> _ActiveJob | None:
        """Remove and return the job whose place another takes; those between the two never began."""
        older, job.older = job.older, None
        while older and older not in self._active:
            older = older.older
        return self._active.pop(older) if older else None

    def _abandon(self, active: _ActiveJob | None) -> None:
        """End a job whose place has been taken."""
        if active:
            self._release(active)
            with suppress(Exception):
                active.work.close()

    def _with_room(self, active_jobs: Sequence[_ActiveJob], behind: Sequence[_ActiveJob]) -> list[_ActiveJob]:
        """Return those that get room; one that may have failed a batch is computed alone if it gets room."""
        suspects = [active for active in active_jobs if active.suspect][:1]
        ready = [active for active in suspects if self._give_room(active, behind)]
        return ready or [active for active in active_jobs if self._give_room(active, behind)]

    def _give_room(self, active: _ActiveJob, behind: Sequence[_ActiveJob]) -> bool:
        """Give a job room in the engine; those behind it give up theirs, the last first."""
        while active.job in self._active and active.ask and self.engine:
            try:
                if active.run is None:
                    active.run = self.engine.start(active.ask)
                elif active.suspended:
                    active.suspended = not self.engine.resume(active.run)
            except BaseException as failure:  # noqa: BLE001 - a prompt that does not fit is not the others' failure
                self._note(failure)
                self._end(active, as_error(failure))
                return False
            if active.run and not active.suspended:
                return True
            if not self._free_room(behind[behind.index(active) + 1 :]):
                return False
        return False

    def _free_room(self, behind: Sequence[_ActiveJob]) -> bool:
        """Have the last of these that has room in the engine give it up; tell whether there was one."""
        for active in reversed(behind):
            if active.run is None or active.suspended:
                continue
            if active.job.priority.awaited:
                self._suspend(active)
            else:
                active.job.cancel.watch(None)  # it would cut the step short that it makes room for
                active.job.cancel.set(YIELDED)
                self._stop(active)
            return True
        return False

    def _suspend(self, active: _ActiveJob) -> None:
        """Suspend a text; it continues when there is room again."""
        if not active.run or not self.engine:
            return
        try:
            self.engine.suspend(active.run)
            active.suspended = True
        except BaseException as failure:  # noqa: BLE001 - see `_release`
            self._note(failure)
            self.broken = True
            self._end(active, as_error(failure))

    def _note(self, failure: BaseException) -> None:
        """Note that an engine is gone, if that is why it failed."""
        if isinstance(failure, EngineGoneError):
            self.broken, self.gone = True, failure

    def _failed(self, active_jobs: Sequence[_ActiveJob], failure: BaseException) -> None:
        """Find the job at fault: each of several is tried alone, and one that fails alone is ended."""
        if len(active_jobs) > 1 and not self.gone:
            log.info("Turbopilot: a batch failed (%s); its texts continue one by one", type(failure).__name__)
            for active in active_jobs:
                active.suspect = active.left
            return
        for active in active_jobs:
            self._end(active, as_error(failure))
        if self.engine and not self.broken:
            try:
                self.broken = not can_write(self.engine)
            except EngineGoneError as gone:
                self._note(gone)

    def _hand_over(self, active: _ActiveJob, run: Run) -> None:
        if not run.fresh and not run.done:
            return
        fresh, run.fresh = run.fresh, []
        self._advance(active, fresh)
        if run.done and active.run is run:
            self._advance(active, [])

    def _stop(self, active: _ActiveJob) -> None:
        """Let a cancelled job hand over what it has."""
        active.job.stopped = True
        if active.ask and self._advance(active, []):
            self._end(active, None)

    def _advance(self, active: _ActiveJob, tokens: list[Token] | None) -> bool:
        """Give a job its tokens; tell whether it continues."""
        try:
            with active.job.cancel.governing():
                ask = next(active.work) if tokens is None else active.work.send(tokens)
        except (StopIteration, Cancelled):
            self._end(active, None)
            return False
        except BaseException as failure:  # noqa: BLE001 - one job's mistake is not the others'
            self._end(active, as_error(failure))
            return False
        if ask is not active.ask or (tokens is not None and not tokens):
            self._release(active)
            active.ask = ask
        return True

    def _release(self, active: _ActiveJob) -> None:
        run, active.run, active.suspended, active.is_read = active.run, None, False, False
        if run and self.engine:
            try:
                self.engine.release(run)
            except BaseException as failure:
                # Its room in the cache is lost: the engine has to be replaced.
                self._note(failure)
                if not self.gone:
                    log.exception("Turbopilot: the engine has failed")
                self.broken = True

    def _end(self, active: _ActiveJob, error: TurbopilotError | None) -> None:
        if self._active.pop(active.job, None) is None:
            return
        self._release(active)
        try:
            active.work.close()
        except BaseException as failure:  # noqa: BLE001 - it has ended all the same
            error = error or as_error(failure)
        self._ended(active.job, error)


def _close(engine: Engine, *, keep: bool) -> None:
    """Free an engine's memory; an engine that cannot is left."""
    try:
        engine.close(keep=keep)
    except BaseException:
        log.exception("Turbopilot: the engine could not be closed")
