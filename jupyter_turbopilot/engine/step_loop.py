"""The jobs that have begun, and the engine that writes for them: one batch after the other."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.cancel import Cancel, Cancelled
from jupyter_turbopilot.engine.job import DEADLINE, SUPERSEDED, YIELDED, Job, Work, as_error
from jupyter_turbopilot.generation import Ask, Sampling, Token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from jupyter_turbopilot.engine.base import Engine, Run
    from jupyter_turbopilot.errors import TurbopilotError

log = logging.getLogger(__name__)
# A text of one token is written within so many steps, or not at all.
_ENOUGH_STEPS = 8


class _Task:
    """A job that has begun."""

    def __init__(self, job: Job, work: Work) -> None:
        self.job = job
        self.work = work
        self.ask: Ask | None = None
        self.run: Run | None = None
        self.standing = False  # whether its run has given its room to others
        self.suspect = False  # whether a batch failed that it was in

    def take(self, older: _Task) -> None:
        """Take over what is computed for an older one."""
        self.ask, self.run, older.run = older.ask, older.run, None
        self.standing, self.suspect = older.standing, older.suspect


class StepLoop:
    """Everything here happens on the worker's thread, but for `nudge`.

    What one job raises is that job's end. An engine is `broken` when it cannot write a single token any more.
    """

    def __init__(
        self,
        ended: Callable[[Job, TurbopilotError | None], None],
        threads: Callable[[], int] | None = None,
    ) -> None:
        self.engine: Engine | None = None
        self.broken = False
        self._ended = ended
        self._threads = threads
        self._tasks: dict[Job, _Task] = {}
        self._attention = Cancel()

    def nudge(self) -> None:
        """Cut the step short that is under way: there is something more important."""
        self._attention.set("nudge")

    def listen(self, heirs: Iterable[Job] = ()) -> None:
        """Hear what is nudged from now on; let heirs take over, stop what was cancelled until now."""
        self._attention = Cancel()
        for job in heirs:
            if job not in self._tasks:
                self._begin(job)
        over = [task for task in self._tasks.values() if task.job.cancel.is_set() and not task.job.replaced]
        for task in over:
            self._stop(task)

    def step(self, line: Sequence[Job], others: Sequence[Job]) -> dict[Job, bool] | None:
        """Advance jobs by one batch; return which, and whether each wrote anything. None: there was no room.

        Who stands further back gives room to who stands before, and `others` to all in the line.
        """
        for job in line:
            if job not in self._tasks:
                self._begin(job)
        tasks = [self._tasks[job] for job in line if job in self._tasks]
        if not tasks:
            return {}
        behind = [self._tasks[job] for job in (*line, *others) if job in self._tasks]
        ready = self._seated(tasks, behind)
        # Who was seated first may have been stopped or moved since.
        runs = [(task, task.run) for task in ready if task.run and not task.standing]
        engine = self.engine
        if not runs or not engine:
            return None if any(job in self._tasks for job in line) else {}
        self._set_threads(engine)
        try:
            engine.step([run for _, run in runs], self._attention)
        except BaseException as failure:  # noqa: BLE001 - whatever the engine raises
            served = self._served(runs)
            for task, run in runs:
                self._hand_over(task, run)  # what was written before it failed
            self._failed([task for task, run in runs if task.run is run], failure)
            return served
        served = self._served(runs)
        for task, run in runs:
            task.suspect = task.suspect and self._attention.is_set()
            self._go_on(task, run)
        return served

    @staticmethod
    def _served(runs: Sequence[tuple[_Task, Run]]) -> dict[Job, bool]:
        """Return who was in a step, and whether each wrote anything."""
        return {task.job: bool(run.fresh or run.done) for task, run in runs}

    def _go_on(self, task: _Task, run: Run) -> None:
        """Hand over what a step has written; end a prompt whose time is up."""
        self._hand_over(task, run)
        # Only between pieces of the prompt: the next request goes on from where this one ended.
        late = 0 < task.job.read_by < time.monotonic()
        if late and task.run is run and run.pending > task.job.read_but:
            task.job.cancel.set(DEADLINE)

    def end_all(self, error: TurbopilotError | None = None) -> None:
        """End everything: with what it has, or with an error."""
        for task in list(self._tasks.values()):
            task.job.cancel.set(SUPERSEDED)
            if error:
                self._end(task, error)
            else:
                self._stop(task)

    def close(self) -> None:
        """Give the engine's memory back."""
        engine, keep = self.engine, not self.broken
        self.engine, self.broken = None, False
        if engine:
            _close(engine, keep=keep)

    def _set_threads(self, engine: Engine) -> None:
        if self._threads:
            try:
                engine.use_threads(self._threads())
            except BaseException:
                # What cannot be measured changes nothing.
                log.debug("Turbopilot: the threads stay as they are", exc_info=True)

    def _begin(self, job: Job) -> None:
        """Begin a job; where it takes the place of another, that has its run until then."""
        over = job.cancel.is_set()  # looked at first: whoever takes its place says so before ending it
        if job.replaced:
            return  # whoever has taken its place finds what it was to go on with
        job.started_at = time.monotonic()
        older = self._place_of(job)
        if older:
            job.progress = older.job.progress
        if over or not self.engine:
            self._ended(job, None)
            self._give_up(older)
            return
        try:
            task = _Task(job, job.work(self.engine, job))
        except BaseException as failure:  # noqa: BLE001 - one job's mistake is not the others'
            self._ended(job, as_error(failure))
            self._give_up(older)
            return
        if older:
            task.take(older)
        self._tasks[job] = task
        if not job.replaced:
            job.cancel.watch(self.nudge)
        self._advance(task, None)  # a run that it has no use for is released
        self._give_up(older)

    def _place_of(self, job: Job) -> _Task | None:
        """Take out the task whose place a job takes: others may have been meant to take it before."""
        older, job.older = job.older, None
        while older and older not in self._tasks:
            older = older.older
        return self._tasks.pop(older) if older else None

    def _give_up(self, task: _Task | None) -> None:
        """End the work on a task that is in nobody's place any more."""
        if task:
            self._release(task)
            with suppress(Exception):
                task.work.close()

    def _seated(self, tasks: Sequence[_Task], behind: Sequence[_Task]) -> list[_Task]:
        """Give room to all of them; one that may have failed a batch is computed alone, if there is room."""
        suspects = [task for task in tasks if task.suspect][:1]
        ready = [task for task in suspects if self._seat(task, behind)]
        return ready or [task for task in tasks if self._seat(task, behind)]

    def _seat(self, task: _Task, behind: Sequence[_Task]) -> bool:
        """Give a task room in the engine; those behind it make way, the last first."""
        while task.job in self._tasks and task.ask and self.engine:
            try:
                if task.run is None:
                    task.run = self.engine.start(task.ask)
                elif task.standing:
                    task.standing = not self.engine.resume(task.run)
            except BaseException as failure:  # noqa: BLE001 - a prompt that does not fit is not the others' failure
                self._end(task, as_error(failure))
                return False
            if task.run and not task.standing:
                return True
            if not self._make_way(behind[behind.index(task) + 1 :]):
                return False
        return False

    def _make_way(self, behind: Sequence[_Task]) -> bool:
        """Let the last of these that has room in the engine give it up; tell whether there was one."""
        for task in reversed(behind):
            if task.run is None or task.standing:
                continue
            if task.job.priority.awaited:
                self._stand(task)
            else:
                task.job.cancel.watch(None)  # it would cut the step short that it makes room for
                task.job.cancel.set(YIELDED)
                self._stop(task)
            return True
        return False

    def _stand(self, task: _Task) -> None:
        """Let a text stand still; it goes on where it was when there is room again."""
        if not task.run or not self.engine:
            return
        try:
            self.engine.suspend(task.run)
            task.standing = True
        except BaseException as failure:  # noqa: BLE001 - see `_release`
            self.broken = True
            self._end(task, as_error(failure))

    def _failed(self, tasks: Sequence[_Task], failure: BaseException) -> None:
        """Find out whose fault it was: each of several is tried alone; one that fails alone is ended."""
        if len(tasks) > 1:
            log.info("Turbopilot: a batch failed (%s); its texts go on one by one", type(failure).__name__)
            for task in tasks:
                task.suspect = True
            return
        for task in tasks:
            self._end(task, as_error(failure))
        self.broken = self.broken or not self._works()

    def _works(self) -> bool:
        """Tell whether the engine can write a token."""
        engine = self.engine
        if engine is None:
            return True
        try:
            run = engine.start(Ask([0], Sampling(max_tokens=1)))
            if run is None:
                return True  # others have all the room: their steps will tell
            try:
                for _ in range(_ENOUGH_STEPS):
                    engine.step([run], Cancel())
                    if run.done or run.fresh:
                        break
            finally:
                engine.release(run)
        except BaseException:
            log.exception("Turbopilot: the engine has failed")
            return False
        return True

    def _hand_over(self, task: _Task, run: Run) -> None:
        if not run.fresh and not run.done:
            return
        fresh, run.fresh = run.fresh, []
        self._advance(task, fresh)
        if run.done and task.run is run:
            self._advance(task, [])

    def _stop(self, task: _Task) -> None:
        """Let a cancelled job say what it has."""
        task.job.stopped = True
        if task.ask and self._advance(task, []):
            self._end(task, None)

    def _advance(self, task: _Task, tokens: list[Token] | None) -> bool:
        """Give a job its tokens; tell whether it goes on."""
        try:
            with task.job.cancel.governing():
                ask = next(task.work) if tokens is None else task.work.send(tokens)
        except (StopIteration, Cancelled):
            self._end(task, None)
            return False
        except BaseException as failure:  # noqa: BLE001 - one job's mistake is not the others'
            self._end(task, as_error(failure))
            return False
        if ask is not task.ask or (tokens is not None and not tokens):
            self._release(task)
            task.ask = ask
        return True

    def _release(self, task: _Task) -> None:
        run, task.run, task.standing = task.run, None, False
        if run and self.engine:
            try:
                self.engine.release(run)
            except BaseException:
                # What it holds would never come back: the engine is worth nothing any more.
                log.exception("Turbopilot: the engine has failed")
                self.broken = True

    def _end(self, task: _Task, error: TurbopilotError | None) -> None:
        if self._tasks.pop(task.job, None) is None:
            return
        self._release(task)
        try:
            task.work.close()
        except BaseException as failure:  # noqa: BLE001 - it has ended all the same
            error = error or as_error(failure)
        self._ended(task.job, error)


def _close(engine: Engine, *, keep: bool) -> None:
    """Give an engine's memory back, as far as it lets us."""
    try:
        engine.close(keep=keep)
    except BaseException:
        log.exception("Turbopilot: the engine could not be closed")
