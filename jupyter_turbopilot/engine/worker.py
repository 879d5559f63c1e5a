"""The one thread that touches the model: a queue by priority, one step loop for all, cancel, loading."""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from enum import IntEnum
from itertools import count
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.generation import Ask, Token
from jupyter_turbopilot.errors import BusyError, EngineError, NotReadyError, TurbopilotError

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.engine.base import Engine, Run

log = logging.getLogger(__name__)

SUPERSEDED, DISCONNECTED, DEADLINE, STOPPED = "superseded", "disconnected", "deadline", "stopped"
BUSY = "The model has more to do than it can. Try again in a moment."
YIELDED = "yielded"
# Work is written as a conversation: it yields what it wants written, is sent the tokens as they come, and
# yields the same again for more. No tokens: that text has ended.
Work = Generator[Ask, list[Token], None]
MAX_PERSONS = 8  # texts of persons written at a time; the others wait


class Priority(IntEnum):
    """Whose turn it is: a person waits for the first, nobody for the last."""

    PERSON = 0
    AHEAD = 1
    WARM = 2


@dataclass(frozen=True)
class State:
    """What the worker is about."""

    phase: str  # empty, loading, ready, thinking, asleep, waking, failed, stopped
    model: str = ""
    reason: str = ""
    code: str = ""

    @property
    def ready(self) -> bool:
        """Tell whether a completion could begin at once."""
        return self.phase in {"ready", "thinking", "asleep", "waking"}


class Job:
    """Something for the worker to do with the engine, once."""

    def __init__(
        self,
        work: Callable[[Engine, Job], Work],
        done: Callable[[TurbopilotError | None], None],
        *,
        priority: Priority = Priority.PERSON,
        deadline: float = 0.0,
        owner: str = "",
    ) -> None:
        self.work = work
        self.done = done
        self.priority = priority
        self.owner = owner
        self.cancel = Cancel()
        self.queued_at = time.monotonic()
        self.started_at = 0.0
        self.deadline = self.queued_at + deadline if deadline else 0.0
        # When its prompt should have been read, but for so many tokens; 0: it may take as long as it takes.
        self.read_by, self.read_but = 0.0, 0


class _Task:
    """A job under way."""

    def __init__(self, job: Job, work: Work) -> None:
        self.job = job
        self.work = work
        self.ask: Ask | None = None
        self.run: Run | None = None
        self.timer: threading.Timer | None = None


class Worker:
    """Owns the engine. Jobs of persons advance together, step by step; what nobody waits for stands still."""

    def __init__(
        self, queue_limit: int = 32, threads: Callable[[], int] | None = None, idle: float = 0.0
    ) -> None:
        self._limit = queue_limit
        self._wake = threading.Condition()
        self._queue: list[tuple[int, int, int, Job]] = []
        self._order = count()
        self._turns: dict[str, int] = {}  # of each caller who waits, the last
        self._now = 0  # whose turn it was last
        self._tasks: list[_Task] = []
        self._threads = threads
        self._idle = idle or None  # seconds without work after which the memory is given back
        self._attention: Cancel | None = None  # cuts the step under way short
        self._factory: Callable[[Cancel], Engine] | None = None
        self._loaded: Callable[[Cancel], Engine] | None = None  # what to wake up with
        self._loading: Cancel | None = None
        self._engine: Engine | None = None
        self._stopping = False
        self._state = State("empty")
        self._thread: threading.Thread | None = None

    @property
    def state(self) -> State:
        """What the worker is about."""
        with self._wake:
            if self._state.phase == "ready" and any(t.job.priority is Priority.PERSON for t in self._tasks):
                return State("thinking", self._state.model)
            return self._state

    @property
    def engine(self) -> Engine | None:
        """The engine that is loaded; only its `tokenize` may be called from outside."""
        return self._engine

    @property
    def waiting(self) -> int:
        """How many requests wait."""
        return len(self._queue)

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
                if self._state.phase == "asleep":
                    self._factory, self._state = self._loaded, State("waking", self._state.model)
                if self._state.phase not in {"ready", "waking"}:
                    raise not_ready(self._state)
                turn = self._turn(job)
                if len(self._queue) >= self._limit:
                    dropped = self._make_room(job.priority, turn)
                self._turns[job.owner] = turn
                heapq.heappush(self._queue, (job.priority, turn, next(self._order), job))
                if self._tasks and job.priority < min(task.job.priority for task in self._tasks):
                    self._nudge()
                self._wake.notify()
        finally:
            for gone in dropped:
                crowded_out = gone.priority is Priority.PERSON and not gone.cancel.is_set()
                gone.cancel.set(YIELDED)
                gone.done(BusyError(BUSY) if crowded_out else None)

    def _turn(self, job: Job) -> int:
        """Say when a job's turn is: behind its caller's others, but not behind all of somebody else's.

        The first of each caller stands where the queue is now; a caller's next is one turn later.
        """
        if not self._queue:
            self._turns.clear()
        return max(self._now, self._turns.get(job.owner, 0)) + 1

    def _make_room(self, priority: Priority, turn: int) -> list[Job]:
        """Take out what nobody waits for any more, or whose turn is later; else say that we are busy.

        So who asks for much at once does not keep others out.
        """
        dropped = [entry for entry in self._queue if entry[-1].cancel.is_set()]
        if not dropped:
            worst = max(self._queue, key=lambda entry: entry[:3])
            if worst[:2] <= (priority, turn):
                raise BusyError(BUSY)
            dropped = [worst]
        self._queue = [entry for entry in self._queue if entry not in dropped]
        heapq.heapify(self._queue)
        return [entry[-1] for entry in dropped]

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

    def _nudge(self) -> None:
        """Make the worker look up from its step."""
        if self._attention:
            self._attention.set("nudge")

    def _stop_jobs(self, reason: str) -> None:
        for job in [job for *_, job in self._queue] + [task.job for task in self._tasks]:
            job.cancel.set(reason)

    def _run(self) -> None:
        while True:
            with self._wake:
                unused = self._rest()
                if self._stopping:
                    waiting = [job for *_, job in self._queue]
                    self._queue.clear()
                    break
                factory, self._factory = self._factory, None
                if factory:
                    self._loading = Cancel()
                begun = [] if factory else self._admit()
            if unused:
                unused.close()
            if factory:
                self._end_all()
                self._load(factory)
            for job in begun:
                self._begin(job)
            if self._tasks:
                self._step()
        self._end_all()
        for job in waiting:
            job.done(None)
        if self._engine:
            self._engine.close()
            self._engine = None

    def _rest(self) -> Engine | None:
        """Wait for work; after long, return the engine to close: the next request loads the model again."""
        while not (self._stopping or self._factory or self._queue or self._tasks):
            if self._wake.wait(self._idle if self._engine else None) or not self._engine:
                continue
            unused, self._engine = self._engine, None
            self._state = State("asleep", self._state.model)
            return unused
        return None

    def _admit(self) -> list[Job]:
        """Take from the queue who may begin: some persons at a time, others one by one when all is quiet."""
        begun: list[Job] = []
        running = len(self._tasks)
        while self._queue:
            job = self._queue[0][-1]
            if job.priority is not Priority.PERSON and running:
                break
            persons = sum(task.job.priority is Priority.PERSON for task in self._tasks)
            if persons + len(begun) >= MAX_PERSONS and not job.cancel.is_set():
                break
            _, turn, _, job = heapq.heappop(self._queue)
            self._now = max(self._now, turn)
            begun.append(job)
            running += 1
        return begun

    def _begin(self, job: Job) -> None:
        job.started_at = time.monotonic()
        if job.deadline and job.started_at > job.deadline:
            job.cancel.set(DEADLINE)
        if job.cancel.is_set() or not self._engine:
            self._tell(job, None)
            return
        task = _Task(job, job.work(self._engine, job))
        with self._wake:
            self._tasks.append(task)
        job.cancel.watch(self._nudge)
        if job.deadline:
            task.timer = threading.Timer(job.deadline - job.started_at, job.cancel.set, args=(DEADLINE,))
            task.timer.daemon = True
            task.timer.start()
        self._advance(task, None)

    def _step(self) -> None:
        """Advance by one batch those who matter most."""
        engine = self._engine
        self._attention = Cancel()
        for task in [t for t in self._tasks if t.job.cancel.is_set()]:
            self._stop(task)
        if not self._tasks or not engine:
            return
        top = min(task.job.priority for task in self._tasks)
        active = [task for task in self._tasks if task.job.priority == top]
        try:
            computed = self._compute(engine, active, self._attention)
        except Exception as failure:  # noqa: BLE001 - whatever the engine raises is told to who asked
            for task in active:
                self._end(task, _as_error(failure))
            return
        if not computed:
            # What nobody waits for holds the room.
            for task in [t for t in self._tasks if t.job.priority > top]:
                task.job.cancel.set(YIELDED)
        for task in active:
            if task.run and (task.run.fresh or task.run.done):
                self._hand_over(task)
            # Only between pieces of the prompt: the next request goes on from where this one ended.
            slow = task.run and task.run.pending > task.job.read_but
            if slow and 0 < task.job.read_by < time.monotonic():
                task.job.cancel.set(DEADLINE)

    def _compute(self, engine: Engine, active: list[_Task], attention: Cancel) -> bool:
        if self._threads:
            engine.use_threads(self._threads())
        for task in active:
            if task.run is None and task.ask:
                try:
                    task.run = engine.start(task.ask)
                except TurbopilotError as failure:
                    self._end(task, failure)  # one prompt that does not fit is not the others' failure
        runs = [task.run for task in active if task.run]
        if runs:
            engine.step(runs, attention)
        return bool(runs) or not any(task in self._tasks for task in active)

    def _hand_over(self, task: _Task) -> None:
        run = task.run
        if run is None:
            return
        fresh, run.fresh = run.fresh, []
        self._advance(task, fresh)
        if run.done and task.run is run:
            self._advance(task, [])

    def _stop(self, task: _Task) -> None:
        """Let a cancelled job say what it has."""
        if task.ask and self._advance(task, []):
            self._end(task, None)

    def _advance(self, task: _Task, tokens: list[Token] | None) -> bool:
        """Give a job its tokens; tell whether it goes on."""
        try:
            ask = next(task.work) if tokens is None else task.work.send(tokens)
        except StopIteration:
            self._end(task, None)
            return False
        except Exception as failure:  # noqa: BLE001 - one job's mistake is not the others'
            self._end(task, _as_error(failure))
            return False
        if ask is not task.ask or (tokens is not None and not tokens):
            self._release(task)
            task.ask = ask
        return True

    def _release(self, task: _Task) -> None:
        if task.run and self._engine:
            self._engine.release(task.run)
        task.run = None

    def _end(self, task: _Task, error: TurbopilotError | None) -> None:
        self._release(task)
        task.job.cancel.watch(None)
        if task.timer:
            task.timer.cancel()
        task.work.close()
        with self._wake:
            if task in self._tasks:
                self._tasks.remove(task)
        self._tell(task.job, error)

    def _end_all(self) -> None:
        for task in list(self._tasks):
            task.job.cancel.set(SUPERSEDED)
            self._stop(task)

    @staticmethod
    def _tell(job: Job, error: TurbopilotError | None) -> None:
        try:
            job.done(error)
        except Exception:
            log.exception("Turbopilot: nobody could take the answer")

    @staticmethod
    def _made(factory: Callable[[Cancel], Engine], name: str, loading: Cancel) -> tuple[Engine | None, State]:
        """Try to load an engine; say how that went."""
        try:
            engine = factory(loading)
        except TurbopilotError as error:
            return None, State("failed", name, error.message, error.code)
        except MemoryError:
            return None, State("failed", name, "There is not enough memory for this model.", "memory")
        except Exception as error:
            log.exception("Turbopilot: the model could not be loaded")
            words = f"The model could not be loaded ({type(error).__name__})."
            return None, State("failed", name, words, "engine")
        return engine, State("ready", engine.name)

    def _load(self, factory: Callable[[Cancel], Engine]) -> None:
        name = self._state.model
        loading = self._loading or Cancel()
        engine, state = self._made(factory, name, loading)
        if engine is None and self._engine and state.code == "memory" and not loading.is_set():
            # There may be room when the one before has gone.
            self._engine.close()
            self._engine = None
            engine, state = self._made(factory, name, loading)
            if engine is None and self._loaded and not loading.is_set():
                self._engine, _ = self._made(self._loaded, name, loading)
        if engine:
            if self._engine:
                self._engine.close()
            self._engine, self._loaded = engine, factory
        elif self._engine:
            state = State("ready", self._engine.name, state.reason, state.code)
        with self._wake:
            self._loading = None
            if self._factory is None and not self._stopping:
                self._state = state
                left = [] if state.phase == "ready" else [entry[-1] for entry in self._queue]
                if left:
                    self._queue.clear()
            else:
                left = []
        for job in left:
            job.done(not_ready(state))


def _as_error(failure: Exception) -> TurbopilotError:
    if isinstance(failure, TurbopilotError):
        return failure
    # Code, paths and prompts stay out of what is sent; the type says enough to look here.
    log.error("Turbopilot: a completion failed", exc_info=failure)
    return EngineError(f"The completion failed ({type(failure).__name__}); the server's log has more.")


def not_ready(state: State) -> NotReadyError:
    """Return the error that says why no engine answers."""
    texts = {
        "empty": "No model is loaded.",
        "loading": f"{state.model} is being loaded.",
        "stopped": "The server is stopping.",
    }
    return NotReadyError(state.reason or texts.get(state.phase, state.phase), code=state.code or state.phase)
