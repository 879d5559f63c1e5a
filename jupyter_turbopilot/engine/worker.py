"""The one thread that touches the model."""

from __future__ import annotations

import logging
import math
import threading
import time
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.job import STOPPED, SUPERSEDED, YIELDED, Job, Priority
from jupyter_turbopilot.engine.lifecycle import EngineState, Lifecycle, Phase, engine_failed, not_ready
from jupyter_turbopilot.engine.scheduler import Scheduler
from jupyter_turbopilot.engine.step_loop import StepLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.engine.lifecycle import Factory
    from jupyter_turbopilot.errors import BusyError, TurbopilotError

log = logging.getLogger(__name__)

# When nobody finds room in the engine, it is asked again after so many seconds.
NO_ROOM = 0.01


class Worker:
    """Owns the engine. Jobs that somebody waits for advance together, step by step; others only without them.

    A second thread, the timer, ends waiting jobs that are cancelled or late, and makes the calls that
    `call_at` was given. Both are started when they are needed, and again if they have died.
    """

    def __init__(
        self,
        queue_limit: int = 32,
        threads: Callable[[], int] | None = None,
        idle: float = 0.0,
        *,
        running: int = 0,
        waiting: int = 0,
    ) -> None:
        """`running`, `waiting`: how many requests of a caller are served at a time, and may wait; 0: all."""
        self._wake = threading.Condition()
        self._scheduler = Scheduler(queue_limit, running=running, waiting=waiting)
        self._loop = StepLoop(self._end, threads)
        self._life = Lifecycle(self._loop)
        self._turn: Priority | None = None  # whose step is under way
        self._computed: Sequence[Job] = ()  # and for which of them
        self._idle = idle or None  # seconds without work after which the memory is freed
        self._thread: threading.Thread | None = None
        self._timer: threading.Thread | None = None
        self._calls: list[tuple[float, int, Callable[[], None]]] = []  # a heap; the number keeps their order
        self._numbers = count()
        self._changed = threading.Event()  # wakes the timer: a job or a call was added, or a job cancelled
        self._stopped = False  # whether the timer is to end

    @property
    def state(self) -> EngineState:
        """The state of the engine."""
        with self._wake:
            state = self._life.state
            if state.phase is Phase.READY and any(job.priority.awaited for job in self._scheduler.begun):
                return EngineState(Phase.THINKING, state.model)
            return state

    @property
    def engine(self) -> Engine | None:
        """The engine that is loaded; only its `vocabulary` and what describes it may be used from outside."""
        return self._loop.engine

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return self._scheduler.waiting

    def alive(self) -> bool:
        """Tell whether the thread is alive, or has not been needed yet."""
        return self._thread is None or self._thread.is_alive()

    def load(self, name: str, factory: Factory) -> None:
        """Replace the engine, in the background; what is running or waiting is stopped."""
        with self._wake:
            self._life.replace(name, factory)
            stopped = list(self._scheduler)
            self._revive()
            self._wake.notify()
        for job in stopped:
            job.cancel.set(SUPERSEDED)

    def fail(self, name: str, error: TurbopilotError) -> None:
        """Note why a model cannot be loaded, unless another is being loaded."""
        with self._wake:
            self._life.refuse(name, error)

    def submit(self, job: Job) -> None:
        """Put a job in the queue, in the place of its older one; an error says why not.

        What the older one has begun in the engine continues: the newer job decides what becomes of it.
        """
        with self._wake:
            self._life.wake()
            if self._life.state.phase not in {Phase.READY, Phase.WAKING}:
                raise not_ready(self._life.state)
            gone = self._scheduler.expire(time.monotonic())
            older = job.older
            while older and older not in self._scheduler:
                # It is on its way to the queue, or has ended: its own older one may be there.
                older.cancel.set(SUPERSEDED)
                older = older.older
            begun = older in self._scheduler.begun
            refused: tuple[Job, BusyError] | None = None
            job.older = older if older and not older.cancel.is_set() else None
            if job.cancel.is_set():
                gone.append(job)
            elif job.older and self._scheduler.replace(job.older, job):
                job.older.replaced = True
                job.older.cancel.watch(None)  # what it has the engine do is not cut short
                job.older.cancel.set(SUPERSEDED)
                gone.append(job.older)
            else:
                begun = False
                refused = self._scheduler.add(job)
            if job not in gone and (refused is None or refused[0] is not job):
                # A step that ends stops jobs that have begun, the timer ends those that wait.
                job.cancel.watch(self._loop.nudge if begun else self._changed.set)
                if self._cuts_short(job):
                    self._loop.nudge()
                self._revive()
                self._wake.notify()
                self._changed.set()
        for other in gone:
            other.finish(None)
        if refused:
            crowded_out, error = refused
            if crowded_out is job:
                raise error
            awaited = crowded_out.priority.awaited
            crowded_out.cancel.set(YIELDED)
            crowded_out.finish(error if awaited else None)

    def call_at(self, when: float, call: Callable[[], None]) -> None:
        """Make a call at a time of the monotonic clock, on the timer's thread; it must not block."""
        with self._wake:
            heappush(self._calls, (when, next(self._numbers), call))
            self._revive()
        self._changed.set()

    def wake(self) -> None:
        """Have an engine that is asleep loaded again."""
        with self._wake:
            self._life.wake()
            self._revive()
            self._wake.notify()

    def stop(self, timeout: float = 2.0) -> None:
        """End the thread and all jobs."""
        with self._wake:
            self._life.stop()
            loading, stopped = self._life.loading, list(self._scheduler)
            self._wake.notify()
            thread = self._thread
        if loading:
            loading.set(STOPPED)
        for job in stopped:
            job.cancel.set(STOPPED)
        self._end_timer()
        if thread and thread is not threading.current_thread():
            thread.join(timeout)

    def _cuts_short(self, job: Job) -> bool:
        """Tell whether the step that is under way is cut short for a job."""
        if self._turn is None:
            return False
        engine = self._loop.engine
        waits = engine is not None and engine.abilities.elsewhere
        return waits or (job.priority < self._turn and not self._is_computed(job))

    def _is_computed(self, job: Job | None) -> bool:
        """Tell whether the step that is under way is for a job, or for one whose place it takes."""
        while job and job not in self._computed:
            job = job.older
        return job is not None

    def _revive(self) -> None:
        """Start the threads, for the first time or because one has died."""
        # Daemons: nothing that llama.cpp does may keep the process from ending.
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="turbopilot", daemon=True)
            self._thread.start()
        if self._timer is None or not self._timer.is_alive():
            self._timer = threading.Thread(target=self._time, name="turbopilot-timer", daemon=True)
            self._timer.start()

    def _time(self) -> None:
        """End waiting jobs as soon as they are cancelled or late, and make the calls that are due."""
        stopped = False
        while not stopped:
            stopped = self._stopped
            with self._wake:
                now = time.monotonic()
                gone, due = self._scheduler.expire(now), []
                while self._calls and (stopped or self._calls[0][0] <= now):
                    due.append(heappop(self._calls)[-1])
                earliest = min(self._scheduler.earliest, self._calls[0][0] if self._calls else math.inf)
            for job in gone:
                job.finish(None)
            for call in due:
                try:
                    call()
                except Exception:
                    log.exception("Turbopilot: a delayed call failed")
            if not stopped:
                self._changed.wait(None if earliest == math.inf else max(0.0, earliest - time.monotonic()))
                self._changed.clear()

    def _end_timer(self) -> None:
        """End the timer once it has looked at the jobs for the last time."""
        self._stopped = True
        self._changed.set()

    # The thread ---------------------------------------------------------------------------------------------

    def _run(self) -> None:
        # A thread that died may have left jobs that had begun; those that wait are served now.
        self._clear(engine_failed(), waiting=False)
        going = True
        while going:
            try:
                going = self._round()
            except BaseException:
                log.exception("Turbopilot: the worker failed; it continues with the next request")
                self._clear(engine_failed())
        self._loop.end_all()
        self._clear(None)
        self._loop.close()
        self._end_timer()

    def _round(self) -> bool:
        """Load, serve or rest, whatever is next; False at the end."""
        with self._wake:
            unused = self._rests()
            if self._life.stopping:
                return False
            factory = self._life.take()
        if unused:
            self._loop.close()
        if factory:
            self._clear(None, waiting=False)
            self._load(factory)
        else:
            self._serve()
        return True

    def _rests(self) -> bool:
        """Wait for work; True when none came for so long that the engine is to be closed."""
        while not self._wanted():
            if self._wake.wait(self._patience()) or not self._loop.engine:
                continue
            if self._wanted():
                continue  # it came while the lock was waited for
            self._life.sleep()
            return True
        return False

    def _patience(self) -> float | None:
        """Return after how many seconds there may be something to do although nothing came."""
        if self._loop.engine:
            return self._idle
        again = self._life.again_at
        return None if again == math.inf else max(0.0, again - time.monotonic())

    def _wanted(self) -> bool:
        """Tell whether there is anything to do."""
        self._life.look(time.monotonic())
        return bool(self._life.stopping or self._life.pending or self._scheduler)

    def _serve(self) -> None:
        """Take one step for the jobs whose turn it is."""
        with self._wake:
            heirs = [job for job in self._scheduler if job.older]
        self._loop.listen(heirs)
        if self._loop.broken:
            self._renew()
            return
        engine = self._loop.engine
        together = engine is not None and engine.abilities.elsewhere
        with self._wake:
            priorities = self._scheduler.priorities()
        # A step that waits for one text of an engine elsewhere would keep the others': all take one together.
        for priority in [min(priorities)] if priorities and together else priorities:
            with self._wake:
                line = self._scheduler.together() if together else self._scheduler.line(priority)
                for job in line:
                    self._scheduler.begin(job)
                others = [job for job in self._scheduler if job.priority >= priority and job not in line]
                self._turn, self._computed = priority, line
            begun = time.monotonic()
            served = self._loop.step(line, others)
            with self._wake:
                self._turn, self._computed = None, ()
                if together:
                    self._scheduler.charge_tokens(served or {})
                else:
                    self._scheduler.charge(priority, time.monotonic() - begun, served or {})
            if self._loop.broken:
                self._renew()
                return
            if served is not None:
                return
        with self._wake:
            if priorities and not self._life.stopping and not self._life.pending:
                self._wake.wait(NO_ROOM)

    def _clear(self, error: TurbopilotError | None, *, waiting: bool = True) -> None:
        """End everything that has begun, and what waits."""
        self._loop.end_all(error)
        with self._wake:
            left = [job for job in self._scheduler if waiting or job in self._scheduler.begun]
        for job in left:
            job.cancel.set(STOPPED)
            self._end(job, error)

    def _end(self, job: Job, error: TurbopilotError | None) -> None:
        with self._wake:
            there = self._scheduler.remove(job)
            whole = not (error or job.stopped or job.cancel.is_set())
            if there and whole and job.started_at and job.priority.awaited:
                self._scheduler.ended(time.monotonic() - job.started_at)
        if there:
            job.finish(error)

    # Loading ------------------------------------------------------------------------------------------------

    def _renew(self) -> None:
        """Replace an engine that has failed, or give it up."""
        now, gone = time.monotonic(), self._loop.gone
        with self._wake:
            left = list(self._scheduler) if self._life.fail(now, gone) else []
        self._clear(gone or engine_failed(), waiting=False)
        self._loop.close()
        for job in left:
            self._end(job, gone or engine_failed())

    def _load(self, factory: Factory) -> None:
        """Load an engine; if there is none afterwards, end the jobs that wait."""
        state = self._life.load(factory)
        with self._wake:
            if self._loop.engine:
                self._scheduler.places = self._loop.engine.abilities.places
            left = list(self._scheduler) if self._life.settle(state) else []
        for job in left:
            self._end(job, not_ready(state))
