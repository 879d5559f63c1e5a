"""The jobs that have begun, and the engine that writes for them, one batch after the other."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.base import can_write
from jupyter_turbopilot.engine.cancel import Cancel, Cancelled
from jupyter_turbopilot.engine.job import DEADLINE, SUPERSEDED, YIELDED, Job, as_error
from jupyter_turbopilot.errors import EngineGoneError, TextFailedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from jupyter_turbopilot.engine.base import Engine, Run
    from jupyter_turbopilot.errors import TurbopilotError
    from jupyter_turbopilot.generation import Ask

log = logging.getLogger(__name__)


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
        self._active: dict[Job, None] = {}  # in the order in which they began
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
        for job in [job for job in self._active if job.cancel.is_set() and not job.replaced]:
            self._stop(job)

    def step(self, line: Sequence[Job], others: Sequence[Job]) -> dict[Job, int] | None:
        """Advance jobs by one batch; return which, and how many tokens each wrote. None: there was no room.

        Jobs further back in the line give their room to those before them, and `others` to all in the line.
        """
        for job in line:
            if job not in self._active:
                self._begin(job)
        begun = [job for job in line if job in self._active]
        if not begun:
            return {}
        behind = [job for job in (*line, *others) if job in self._active]
        ready = self._with_room(begun, behind)
        # Those that got room first may have been stopped since, or have given it up.
        runs = [(job, job.run) for job in ready if job.run and not job.suspended]
        engine = self.engine
        if not runs or not engine:
            return None if any(job in self._active for job in line) else {}
        self._set_threads(engine)
        for job, run in runs:
            job.left = run.pending
        try:
            engine.step([run for _, run in runs], self._attention)
        except BaseException as failure:  # noqa: BLE001 - whatever the engine raises
            served = self._count(runs)
            self._after_failure(runs, failure)
            return served
        served = self._count(runs)
        for job, run in runs:
            if served[job] or run.pending < job.suspect:
                job.suspect = 0
            self._after_step(job, run)
        return served

    @staticmethod
    def _count(runs: Sequence[tuple[Job, Run]]) -> dict[Job, int]:
        """Return the jobs of a step, and how many tokens each wrote: the end of a text counts as one."""
        written = {job: max(len(run.fresh), int(run.done)) for job, run in runs}
        for job, _ in runs:
            if written[job] and job.ask and not job.is_read:
                usage = job.ask.usage
                job.is_read = True
                job.read += max(0, usage.prompt_tokens - usage.cached_tokens)
        return written

    def _after_failure(self, runs: Sequence[tuple[Job, Run]], failure: BaseException) -> None:
        """Hand over what was written before a step failed; end who is at fault."""
        self._note(failure)
        for job, run in runs:
            self._hand_over(job, run)
        left = [job for job, run in runs if job.run is run]
        if not isinstance(failure, TextFailedError):
            self._failed(left, failure)
            return
        for job in left:
            if job.run is failure.run:
                self._end(job, failure.error)

    def _after_step(self, job: Job, run: Run) -> None:
        """Hand over what a step has written; end a prompt whose time is up."""
        self._hand_over(job, run)
        # Only between pieces of the prompt: the next request goes on from where this one ended.
        late = 0 < job.read_by < time.monotonic()
        if late and job.run is run and run.pending > job.read_but:
            job.cancel.set(DEADLINE)

    def end_all(self, error: TurbopilotError | None = None) -> None:
        """End everything: with what it has, or with an error."""
        for job in list(self._active):
            job.cancel.set(SUPERSEDED)
            if error:
                self._end(job, error)
            else:
                self._stop(job)

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
        if over or not self.engine:
            self._ended(job, None)
        else:
            if older:
                job.take(older)
            self._active[job] = None
            if not job.replaced:
                job.cancel.watch(self.nudge)
            self._advance(job, partial(job.begin, self.engine, older))
        if older:  # a run that the job has no use for is released
            self._release(older)
            with suppress(Exception):
                older.close()

    def _place_of(self, job: Job) -> Job | None:
        """Remove and return the job whose place another takes; those between the two never began."""
        older, job.older = job.older, None
        while older and older not in self._active:
            older = older.older
        if older:
            del self._active[older]
        return older

    def _with_room(self, jobs: Sequence[Job], behind: Sequence[Job]) -> list[Job]:
        """Return those that get room; one that may have failed a batch is computed alone if it gets room."""
        suspects = [job for job in jobs if job.suspect][:1]
        ready = [job for job in suspects if self._give_room(job, behind)]
        return ready or [job for job in jobs if self._give_room(job, behind)]

    def _give_room(self, job: Job, behind: Sequence[Job]) -> bool:
        """Give a job room in the engine; those behind it give up theirs, the last first."""
        while job in self._active and job.ask and self.engine:
            try:
                if job.run is None:
                    job.run = self.engine.start(job.ask)
                elif job.suspended:
                    job.suspended = not self.engine.resume(job.run)
            except BaseException as failure:  # noqa: BLE001 - a prompt that does not fit is not the others' failure
                self._note(failure)
                self._end(job, as_error(failure))
                return False
            if job.run and not job.suspended:
                return True
            if not self._free_room(behind[behind.index(job) + 1 :]):
                return False
        return False

    def _free_room(self, behind: Sequence[Job]) -> bool:
        """Have the last of these that has room in the engine give it up; tell whether there was one."""
        for job in reversed(behind):
            if job.run is None or job.suspended:
                continue
            if job.priority.awaited:
                self._suspend(job)
            else:
                job.cancel.watch(None)  # it would cut the step short that it makes room for
                job.cancel.set(YIELDED)
                self._stop(job)
            return True
        return False

    def _suspend(self, job: Job) -> None:
        """Suspend a text; it continues when there is room again."""
        if not job.run or not self.engine:
            return
        try:
            self.engine.suspend(job.run)
            job.suspended = True
        except BaseException as failure:  # noqa: BLE001 - see `_release`
            self._note(failure)
            self.broken = True
            self._end(job, as_error(failure))

    def _note(self, failure: BaseException) -> None:
        """Note that an engine is gone, if that is why it failed."""
        if isinstance(failure, EngineGoneError):
            self.broken, self.gone = True, failure

    def _failed(self, jobs: Sequence[Job], failure: BaseException) -> None:
        """Find the job at fault: each of several is tried alone, and one that fails alone is ended."""
        if len(jobs) > 1 and not self.gone:
            log.info("Turbopilot: a batch failed (%s); its texts continue one by one", type(failure).__name__)
            for job in jobs:
                job.suspect = job.left
            return
        for job in jobs:
            self._end(job, as_error(failure))
        if self.engine and not self.broken:
            try:
                self.broken = not can_write(self.engine)
            except EngineGoneError as gone:
                self._note(gone)

    def _hand_over(self, job: Job, run: Run) -> None:
        if not run.fresh and not run.done:
            return
        fresh, run.fresh = run.fresh, []
        self._advance(job, partial(job.feed, fresh), ends=not fresh)
        if run.done and job.run is run:
            self._advance(job, partial(job.feed, []), ends=True)

    def _stop(self, job: Job) -> None:
        """Let a cancelled job hand over what it has."""
        job.stopped = True
        if job.ask and self._advance(job, partial(job.feed, []), ends=True):
            self._end(job, None)

    def _advance(self, job: Job, advance: Callable[[], Ask | None], *, ends: bool = False) -> bool:
        """Let a job begin or take tokens; return whether it continues. `ends`: its text has ended."""
        try:
            with job.cancel.governing():
                ask = advance()
        except Cancelled:
            ask = None
        except BaseException as failure:  # noqa: BLE001 - one job's mistake is not the others'
            self._end(job, as_error(failure))
            return False
        if ask is None:
            self._end(job, None)
            return False
        if ask is not job.ask or ends:
            self._release(job)
            job.ask = ask
        return True

    def _release(self, job: Job) -> None:
        run, job.run, job.suspended, job.is_read = job.run, None, False, False
        if run and self.engine:
            try:
                self.engine.release(run)
            except BaseException as failure:
                # Its room in the cache is lost: the engine has to be replaced.
                self._note(failure)
                if not self.gone:
                    log.exception("Turbopilot: the engine has failed")
                self.broken = True

    def _end(self, job: Job, error: TurbopilotError | None) -> None:
        if job not in self._active:
            return
        del self._active[job]
        self._release(job)
        try:
            job.close()
        except BaseException as failure:  # noqa: BLE001 - it has ended all the same
            error = error or as_error(failure)
        self._ended(job, error)


def _close(engine: Engine, *, keep: bool) -> None:
    """Free an engine's memory; an engine that cannot is left."""
    try:
        engine.close(keep=keep)
    except BaseException:
        log.exception("Turbopilot: the engine could not be closed")
