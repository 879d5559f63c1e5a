"""The one thread that touches the model: a bounded queue by priority, cancel, loading in the background."""

from __future__ import annotations

import heapq
import logging
import threading
import time
from dataclasses import dataclass
from enum import IntEnum
from itertools import count
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.errors import BusyError, EngineError, NotReadyError, TurbopilotError

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.engine.base import Engine

log = logging.getLogger(__name__)

SUPERSEDED, DISCONNECTED, DEADLINE, STOPPED = "superseded", "disconnected", "deadline", "stopped"
YIELDED = "yielded"


class Priority(IntEnum):
    """Whose turn it is: a person waits for the first, nobody for the last."""

    PERSON = 0
    AHEAD = 1
    WARM = 2


@dataclass(frozen=True)
class State:
    """What the worker is about."""

    phase: str  # empty, loading, ready, thinking, failed, stopped
    model: str = ""
    reason: str = ""
    code: str = ""

    @property
    def ready(self) -> bool:
        """Tell whether a completion could begin at once."""
        return self.phase in {"ready", "thinking"}


class Job:
    """Something for the worker to do with the engine, once."""

    def __init__(
        self,
        work: Callable[[Engine, Job], None],
        done: Callable[[TurbopilotError | None], None],
        *,
        priority: Priority = Priority.PERSON,
        deadline: float = 0.0,
    ) -> None:
        self.work = work
        self.done = done
        self.priority = priority
        self.cancel = Cancel()
        self.queued_at = time.monotonic()
        self.started_at = 0.0
        self.deadline = self.queued_at + deadline if deadline else 0.0

    def late(self) -> bool:
        """Tell whether the deadline has passed."""
        return bool(self.deadline) and time.monotonic() > self.deadline


class Worker:
    """Owns the engine. Jobs run one at a time; a person's job interrupts one that nobody waits for."""

    def __init__(self, queue_limit: int = 32) -> None:
        self._limit = queue_limit
        self._wake = threading.Condition()
        self._queue: list[tuple[int, int, Job]] = []
        self._order = count()
        self._running: Job | None = None
        self._factory: Callable[[Cancel], Engine] | None = None
        self._loading: Cancel | None = None
        self._engine: Engine | None = None
        self._stopping = False
        self._state = State("empty")
        self._thread: threading.Thread | None = None

    @property
    def state(self) -> State:
        """What the worker is about."""
        with self._wake:
            if self._state.phase == "ready" and self._running and self._running.priority is Priority.PERSON:
                return State("thinking", self._state.model)
            return self._state

    @property
    def engine(self) -> Engine | None:
        """The engine that is loaded; only its `tokenize` may be called from outside."""
        return self._engine

    def alive(self) -> bool:
        """Tell whether the thread lives (or has not been needed yet)."""
        return self._thread is None or self._thread.is_alive()

    def load(self, name: str, factory: Callable[[Cancel], Engine]) -> None:
        """Replace the engine, in the background; what is running or waiting is stopped."""
        with self._wake:
            self._factory = factory
            self._state = State("loading", name)
            if self._loading:
                self._loading.set(SUPERSEDED)
            self._stop_jobs(SUPERSEDED)
            if self._thread is None:
                # A daemon: nothing that llama.cpp does may keep the process from ending.
                self._thread = threading.Thread(target=self._run, name="turbopilot", daemon=True)
                self._thread.start()
            self._wake.notify()

    def fail(self, name: str, error: TurbopilotError) -> None:
        """Say why there is no engine, where loading was not even tried."""
        with self._wake:
            if self._state.phase != "loading":
                self._state = State("failed", name, error.message, error.code)

    def submit(self, job: Job) -> None:
        """Put a job in the queue, or say why not."""
        dropped: list[Job] = []
        try:
            with self._wake:
                if self._state.phase != "ready":
                    raise not_ready(self._state)
                if len(self._queue) >= self._limit:
                    dropped = self._make_room(job)
                heapq.heappush(self._queue, (job.priority, next(self._order), job))
                if self._running and job.priority < self._running.priority:
                    self._running.cancel.set(YIELDED)
                self._wake.notify()
        finally:
            for gone in dropped:
                gone.cancel.set(YIELDED)
                gone.done(None)

    def _make_room(self, job: Job) -> list[Job]:
        """Take out what nobody waits for any more, or what matters less; else say that we are busy."""
        dropped = [entry for entry in self._queue if entry[2].cancel.is_set()]
        if not dropped:
            worst = max(self._queue, key=lambda entry: entry[:2])
            if worst[0] <= job.priority:
                raise BusyError("The model has more to do than it can. Try again in a moment.")
            dropped = [worst]
        self._queue = [entry for entry in self._queue if entry not in dropped]
        heapq.heapify(self._queue)
        return [entry[2] for entry in dropped]

    def stop(self, timeout: float = 2.0) -> None:
        """End the thread; whoever waits is told."""
        with self._wake:
            self._stopping = True
            self._state = State("stopped", reason="The server is stopping.")
            if self._loading:
                self._loading.set(STOPPED)
            self._stop_jobs(STOPPED)
            self._wake.notify()
            thread = self._thread
        if thread and thread is not threading.current_thread():
            thread.join(timeout)

    def _stop_jobs(self, reason: str) -> None:
        for _, _, job in self._queue:
            job.cancel.set(reason)
        if self._running:
            self._running.cancel.set(reason)

    def _run(self) -> None:
        while True:
            with self._wake:
                while not (self._stopping or self._factory or self._queue):
                    self._wake.wait()
                if self._stopping:
                    waiting = [job for _, _, job in self._queue]
                    self._queue.clear()
                    break
                factory, self._factory = self._factory, None
                if factory:
                    self._loading = Cancel()
                    job = None
                else:
                    job = heapq.heappop(self._queue)[2]
                    self._running = job
            if factory:
                self._load(factory)
            elif job:
                self._do(job)
        for job in waiting:
            job.done(None)
        if self._engine:
            self._engine.close()
            self._engine = None

    def _load(self, factory: Callable[[Cancel], Engine]) -> None:
        if self._engine:
            self._engine.close()
            self._engine = None
        name = self._state.model
        loading = self._loading or Cancel()
        try:
            self._engine = factory(loading)
            state = State("ready", self._engine.name)
        except TurbopilotError as error:
            state = State("failed", name, error.message, error.code)
        except MemoryError:
            state = State("failed", name, "There is not enough memory for this model.", "memory")
        except Exception as error:
            log.exception("Turbopilot: the model could not be loaded")
            state = State(
                "failed", name, f"The model could not be loaded ({type(error).__name__}).", "engine"
            )
        with self._wake:
            self._loading = None
            if self._factory is None and not self._stopping:
                self._state = state
                left = [] if state.phase == "ready" else [entry[2] for entry in self._queue]
                if left:
                    self._queue.clear()
            else:
                left = []
        for job in left:
            job.done(not_ready(state))

    def _do(self, job: Job) -> None:
        job.started_at = time.monotonic()
        error: TurbopilotError | None = None
        timer: threading.Timer | None = None
        if job.late():
            job.cancel.set(DEADLINE)
        try:
            if self._engine and not job.cancel.is_set():
                if job.deadline:
                    timer = threading.Timer(job.deadline - time.monotonic(), job.cancel.set, args=(DEADLINE,))
                    timer.daemon = True
                    timer.start()
                job.work(self._engine, job)
        except TurbopilotError as failure:
            error = failure
        except Exception as failure:
            # Code, paths and prompts stay out of what is sent; the type says enough to look here.
            log.exception("Turbopilot: a completion failed")
            error = EngineError(
                f"The completion failed ({type(failure).__name__}); the server's log has more."
            )
        finally:
            if timer:
                timer.cancel()
            with self._wake:
                self._running = None
        try:
            job.done(error)
        except Exception:
            log.exception("Turbopilot: nobody could take the answer")


def not_ready(state: State) -> NotReadyError:
    """Return the error that says why no engine answers."""
    texts = {
        "empty": "No model is loaded.",
        "loading": f"{state.model} is being loaded.",
        "stopped": "The server is stopping.",
    }
    return NotReadyError(state.reason or texts.get(state.phase, state.phase), code=state.code or state.phase)
