"""The worker: the only thread that uses the engine, and the queue of its generations."""

from __future__ import annotations

import logging
import math
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.job import ANSWERED, STOPPED, SUPERSEDED, YIELDED, Priority
from jupyter_turbopilot.engine.lifecycle import EngineState, Lifecycle, engine_failed, not_ready
from jupyter_turbopilot.engine.load_shedding import Level
from jupyter_turbopilot.engine.scheduler import QueueLimits, Scheduler
from jupyter_turbopilot.engine.step_loop import StepLoop
from jupyter_turbopilot.engine.successor import Successor
from jupyter_turbopilot.protocol.phase import Phase
from jupyter_turbopilot.util.threads import Alarm, start_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.engine.job import Generation, Job
    from jupyter_turbopilot.engine.lifecycle import Factory
    from jupyter_turbopilot.protocol.errors import TurbopilotError

log = logging.getLogger(__name__)

NO_SLOT_DELAY = 0.01  # seconds until the next try if no job got a slot


class Worker:
    """Owns the engine. Awaited generations advance together, step by step. Others run when there are none.

    The timer's thread ends waiting jobs that are cancelled, answered or late.
    """

    def __init__(
        self,
        limits: QueueLimits | None = None,
        threads: Callable[[], int] | None = None,
        idle: float = 0.0,
        *,
        deadline: float = 10.0,
    ) -> None:
        """`deadline`: the usual deadline of a request in seconds."""
        self.limits = limits or QueueLimits()
        # False if one user owns all callers: notebooks, kernels and editors.
        self.sheds_load = False
        self._wake = threading.Condition()
        self._scheduler = Scheduler(self.limits, deadline=deadline)
        self._loop = StepLoop(self._end, threads)
        self._threads = threads
        self._life = Lifecycle(self._loop)
        self._step_priority: Priority | None = None  # of the running step
        self._step: Sequence[Generation] = ()  # the generations of the running step
        self._idle = idle or math.inf  # seconds without work after which the engine's memory is freed
        self._used_at = 0.0  # when the last request arrived, or was served
        self._successor: Successor | None = None  # the engine that replaces the loaded one
        self._thread: threading.Thread | None = None
        self._expiry = Alarm(self._expire)

    @property
    def state(self) -> EngineState:
        with self._wake:
            state = self._life.state
            if state.phase is Phase.READY and any(one.priority.awaited for one in self._scheduler.begun):
                return EngineState(Phase.GENERATING, state.model)
            return state

    @property
    def engine(self) -> Engine | None:
        """The loaded engine. Other threads may use its attributes, but not call its methods."""
        return self._loop.engine

    @property
    def waiting(self) -> int:
        return self._scheduler.waiting

    def level(self, caller: str | None = None) -> Level:
        """Return the level of load shedding, for a caller if given."""
        engine = self.engine
        if engine is not None and engine.capabilities.remote:
            # Only the server that computes can predict a wait. It refuses requests itself.
            return min(engine.level or Level.NONE, Level.SHORT_SUGGESTIONS)
        if not self.sheds_load:
            return Level.NONE
        with self._wake:
            return self._scheduler.level(caller)

    def seconds_by_caller(self) -> dict[str, float]:
        """Return the seconds of computing for each caller; for a remote engine, they are estimated."""
        with self._wake:
            return dict(self._scheduler.seconds)

    def alive(self) -> bool:
        """Return whether the thread is alive, or has not been needed yet."""
        return self._thread is None or self._thread.is_alive()

    def load(self, name: str, factory: Factory) -> None:
        """Replace the engine in the background; all jobs are superseded."""
        with self._wake:
            self._life.replace(name, factory)
            self._interrupt_successor()
            stopped = [generation.job for generation in self._scheduler]
            self._thread = self._thread or start_thread("turbopilot", self._round, self._fail_all)
            if not self._thread:
                self._life.state = EngineState(Phase.FAILED, name, "The system cannot start another thread.")
            self._wake.notify()
        for job in stopped:
            job.cancel.set(SUPERSEDED)

    def replace_when_idle(
        self, load: Callable[[], Engine | None], installed: Callable[[Engine, Sequence[int]], object]
    ) -> None:
        """Replace the engine by a faster one of the same model (`Successor`) while no user waits.

        Any other load takes precedence. If this one fails, the engine stays.
        """
        with self._wake:
            self._successor = self._successor or Successor(load, installed)
            self._wake.notify()

    def set_error(self, name: str, error: TurbopilotError) -> None:
        """Set the error of a model that cannot be loaded, unless another is being loaded."""
        with self._wake:
            self._life.refuse(name, error)

    def submit(self, new: Generation, refusal: TurbopilotError | None = None) -> None:
        """Seat the job of a new generation in that of its editor, or queue the new one; or raise an error.

        The job before is superseded. If the client numbers its jobs, one that arrives late is superseded
        instead. In another cell, the new generation begins at the end of the queue. `refusal`: queue nothing,
        and raise this error.
        """
        job, error = new.job, refusal
        with self._wake:
            self._used_at = time.monotonic()
            self._life.request_reload()
            if self._life.state.phase not in {Phase.READY, Phase.RELOADING}:
                raise not_ready(self._life.state)
            gone = self._scheduler.expire(time.monotonic())
            dropped: Job | None = None
            current = self._scheduler.find(job)
            if current and 0 < job.sequence < current.job.sequence:
                job.cancel.set(SUPERSEDED)
                gone.append(job)
            elif current and current.job.cell == job.cell and not refusal:
                older, new = current.job, current
                self._scheduler.seat(current, job)
                older.cancel.watch(None)  # its generation continues
                older.cancel.set(SUPERSEDED)
                gone.append(older)
            else:
                if current:
                    current.job.cancel.set(SUPERSEDED)
                    gone += self._scheduler.expire(time.monotonic())
                if not refusal and (refused := self._scheduler.add(new)):
                    dropped, error = refused[0].job, refused[1]
            if new in self._scheduler:
                self._begin_soon(new)
        for other in gone:
            other.finish(None)
        if dropped and dropped is not job:
            awaited = dropped.priority.awaited
            dropped.cancel.set(YIELDED)
            dropped.finish(error if awaited else None)
        elif error and not job.cancel.is_set():
            raise error

    def is_awaited(self, job: Job) -> bool:
        """Return whether the user waits for a job of the same editor."""
        with self._wake:
            current = self._scheduler.find(job)
            return current is not None and current.job.priority.awaited

    def ensure_loaded(self) -> None:
        with self._wake:
            self._used_at = time.monotonic()
            self._life.request_reload()
            self._wake.notify()

    def stop(self, timeout: float = 2.0) -> None:
        with self._wake:
            self._life.stop()
            self._interrupt_successor()
            loading, stopped = self._life.loading, [generation.job for generation in self._scheduler]
            self._wake.notify()
            thread = self._thread
        if loading:
            loading.set(STOPPED)
        for job in stopped:
            job.cancel.set(STOPPED)
        if thread and thread is not threading.current_thread():
            thread.join(timeout)

    def _begin_soon(self, generation: Generation) -> None:
        """Let the worker's thread begin with the job in the seat, and the timer's end it."""
        # By the timer's thread, as a thread that cancels the job may hold a lock.
        generation.job.cancel.watch(partial(self._expiry.set, 0.0))
        self._expiry.set(generation.job.deadline)
        if self._interrupts(generation):
            self._loop.interrupt()
        self._wake.notify()

    def _interrupts(self, generation: Generation) -> bool:
        """Return whether a new job of a generation interrupts the running step."""
        if self._step_priority is None:
            return False
        engine = self._loop.engine
        waits = engine is not None and engine.capabilities.remote
        return waits or (generation.priority < self._step_priority and generation not in self._step)

    def _expire(self) -> None:
        """End waiting jobs that are cancelled, answered or late. The worker's thread ends others soon."""
        with self._wake:
            gone = self._scheduler.expire(time.monotonic())
            # The look-up answers often: it does not interrupt the step of other users.
            is_shared = any(not one.is_cancelled for one in self._step)
            reasons = {one.job.cancel.reason for one in self._scheduler.begun} - {None}
            if reasons - {ANSWERED} or (reasons and not is_shared):
                self._loop.interrupt()
            self._expiry.set(self._scheduler.earliest)
        for job in gone:
            job.finish(None)

    # The worker's thread ------------------------------------------------------------------------------------

    def _fail_all(self) -> bool:
        """End all jobs after an unexpected error of a round, and continue."""
        self._end_all(engine_failed())
        return True

    def _round(self) -> bool:
        """Wait for work, then load an engine or take a step; return False when the server stops."""
        with self._wake:
            unused = self._wait_for_work()
            stopping, loads, serves = self._life.stopping, self._life.pending, bool(self._scheduler)
        if stopping:
            self._end_all(None)
            self._drop_successor()
            self._loop.close()
            return False
        if unused:
            self._drop_successor()
            self._loop.close()  # a request that arrives meanwhile has requested a load
        elif loads:
            self._load()
        elif serves:
            self._serve()
        else:
            self._advance_successor()
        return True

    def _wait_for_work(self) -> bool:
        """Wait for work; return True if there was none for so long that the engine must be closed."""
        while not self._has_work():
            self._wake.wait(self._timeout())
            if not self._loop.engine or time.monotonic() < self._used_at + self._idle or self._has_work():
                continue
            self._life.state = EngineState(Phase.UNLOADED, self._life.state.model)
            return True
        return False

    def _timeout(self) -> float | None:
        """Return the seconds until the engine is closed, replaced or loaded again; None for no limit."""
        if self._loop.engine:
            until = min(self._used_at + self._idle, self._successor_due())
        else:
            until = self._life.retry_at
        return None if until == math.inf else max(0.0, until - time.monotonic())

    def _successor_due(self) -> float:
        usable = self._successor and self._loop.engine
        return self._successor.due(self._used_at) if usable and self._successor else math.inf

    def _has_work(self) -> bool:
        now = time.monotonic()
        if now >= self._life.retry_at:
            self._life.retry()
        return self._has_urgent_work() or now >= self._successor_due()

    def _has_urgent_work(self) -> bool:
        return bool(self._life.stopping or self._life.pending or self._scheduler)

    def _serve(self) -> None:
        """Take one step for the generations that the scheduler selects."""
        self._loop.begin_round()
        if self._loop.broken:
            self._replace_engine()
            return
        engine = self._loop.engine
        remote = engine is not None and engine.capabilities.remote
        with self._wake:
            priorities = self._scheduler.priorities()
        # A step of a remote engine waits for the next token of any text, so all priorities take it together.
        for priority in [min(priorities)] if priorities and remote else priorities:
            with self._wake:
                step = self._scheduler.begin_next(priority, remote=remote)
                others = [one for one in self._scheduler if one.priority >= priority and one not in step]
                self._step_priority, self._step = priority, step
            begun = time.monotonic()
            served = self._loop.step(step, others)
            with self._wake:
                self._step_priority, self._step = None, ()
                self._used_at = time.monotonic()
                if remote:
                    self._scheduler.charge_tokens(served or {})
                else:
                    self._scheduler.charge(priority, time.monotonic() - begun, served or {})
            if self._loop.broken:
                self._replace_engine()
                return
            if served is not None:
                return
        with self._wake:
            if priorities and not self._life.stopping and not self._life.pending:
                self._wake.wait(NO_SLOT_DELAY)

    def _end_all(self, error: TurbopilotError | None, *, waiting: bool = True) -> None:
        """End all generations that have begun, and with `waiting` those that wait."""
        self._loop.end_all(error)
        with self._wake:
            left = [one for one in self._scheduler if waiting or one in self._scheduler.begun]
        for generation in left:
            generation.job.cancel.set(STOPPED)
            self._end(generation, generation.job, error)

    def _end(self, generation: Generation, job: Job, error: TurbopilotError | None) -> None:
        """End a generation for a job. Another one that has taken the seat waits, and begins anew."""
        with self._wake:
            if generation.job is not job:
                self._scheduler.begun.discard(generation)
                self._expiry.set(0.0)  # the other one may have been cancelled
                return
            removed = self._scheduler.remove(generation)
        if removed:
            job.finish(error)

    # Loading ------------------------------------------------------------------------------------------------

    def _replace_engine(self) -> None:
        """Close an engine that has failed; end all waiting jobs unless it is loaded again immediately."""
        now, gone = time.monotonic(), self._loop.gone
        with self._wake:
            left = list(self._scheduler) if self._life.recover(now, gone) else []
        self._end_all(gone or engine_failed(), waiting=False)
        self._drop_successor()
        self._loop.close()
        for generation in left:
            self._end(generation, generation.job, gone or engine_failed())

    def _load(self) -> None:
        """End the jobs that have begun, and load an engine; end the waiting jobs if that fails."""
        self._end_all(None, waiting=False)
        self._drop_successor()
        with self._wake:
            factory = self._life.take_factory()
        if not factory:
            return
        state = self._life.load(factory)
        with self._wake:
            self._used_at = time.monotonic()
            if self._loop.engine:
                self._scheduler.slots = self._loop.engine.capabilities.slots
            left = list(self._scheduler) if self._life.finish_load(state) else []
        for generation in left:
            self._end(generation, generation.job, not_ready(state))

    def _advance_successor(self) -> None:
        """Take one step of the successor; use it if it is ready and no job has come meanwhile."""
        self._loop.begin_round()
        with self._wake:
            if self._has_urgent_work() or not (successor := self._successor):
                return
            self._step_priority = Priority.WARMUP  # each job of a user interrupts the step
        try:
            engine = successor.advance(self._loop.latest, self._threads, self._loop.interrupted)
            with self._wake:
                self._step_priority = None
                if not engine or self._has_urgent_work():
                    return
            successor.install()
            self._loop.replace(engine)
            with self._wake:
                self._successor = None
        except BaseException:
            log.exception("Turbopilot: The faster copy of the model could not be used")
            self._drop_successor()

    def _interrupt_successor(self) -> None:
        if self._successor:
            self._loop.interrupt()

    def _drop_successor(self) -> None:
        with self._wake:
            successor, self._successor, self._step_priority = self._successor, None, None
        if successor:
            successor.close()
