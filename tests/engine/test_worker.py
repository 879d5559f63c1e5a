from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jupyter_turbopilot.engine import scheduler
from jupyter_turbopilot.engine.base import SLOTS, Engine
from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.job import DEADLINE, DISCONNECTED, SUPERSEDED, Job, Priority
from jupyter_turbopilot.engine.lifecycle import EngineState
from jupyter_turbopilot.engine.load_shedding import Level
from jupyter_turbopilot.engine.scheduler import QueueLimits
from jupyter_turbopilot.engine.worker import Worker
from jupyter_turbopilot.protocol.engine_request import EngineRequest, Sampling
from jupyter_turbopilot.protocol.errors import (
    BusyError,
    EngineError,
    EngineGoneError,
    ModelRefusedError,
    NotReadyError,
    TurbopilotError,
)
from jupyter_turbopilot.protocol.phase import Phase

from ..scripted_engine import ScriptedEngine
from ..waiting import until
from .jobs import Begin, FunctionJob, Outcome, SmallEngine, Work, nothing_but_one, until_cancelled


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = ready(lambda _: ScriptedEngine("word " * 5000, pause=0.002), limits=QueueLimits(2))
    yield worker
    worker.stop()


def ready(make: Callable[[Cancel], Engine], **options: Any) -> Worker:
    """Return a worker that has loaded the engine."""
    worker = Worker(**options)
    worker.load("scripted", make)
    until(lambda: worker.state.phase is Phase.READY)
    return worker


def nothing(*_: object) -> Work:
    yield from ()


def submit(worker: Worker, work: Begin, **more: object) -> tuple[Job, Outcome]:
    outcome = Outcome()
    job = FunctionJob(work, outcome, **more)  # type: ignore[arg-type]
    worker.submit(job)
    return job, outcome


def crowd(worker: Worker) -> list[tuple[Job, Outcome]]:
    """Submit as many jobs as can run at a time."""
    found = []
    for _ in range(SLOTS):
        found.append(submit(worker, until_cancelled))
        until(lambda: found[-1][0].started_at > 0)
    return found


def test_worker_rejects_jobs_if_the_queue_is_full(worker: Worker) -> None:
    running = crowd(worker)
    waiting = [submit(worker, nothing)[1] for _ in range(2)]
    with pytest.raises(BusyError):
        submit(worker, nothing)
    for job, _ in running:
        job.cancel.set(SUPERSEDED)
    for outcome in (*(outcome for _, outcome in running), *waiting):
        assert outcome.wait() is None


def test_worker_frees_an_idle_engine_and_loads_it_again() -> None:
    made: list[ScriptedEngine] = []

    def make(_: Cancel) -> Engine:
        made.append(ScriptedEngine("word " * 50))
        return made[-1]

    worker = Worker(idle=0.05)
    worker.load("scripted", make)
    until(lambda: worker.state.phase is Phase.UNLOADED)
    assert made[0].closed
    assert worker.state.ready
    outcome = submit(worker, nothing)[1]
    assert outcome.wait() is None
    assert len(made) == 2
    until(lambda: worker.state.phase is Phase.UNLOADED)
    worker.stop()


def test_worker_stops_jobs_and_closes_the_engine_for_another_model(worker: Worker) -> None:
    old = worker.engine
    running, outcome = submit(worker, until_cancelled)
    until(lambda: running.started_at > 0)
    waiting = submit(worker, nothing)[1]
    worker.load("next", lambda _: ScriptedEngine("next"))
    outcome.wait()
    waiting.wait()
    until(lambda: worker.state.phase is Phase.READY)
    assert isinstance(old, ScriptedEngine)
    assert old.closed
    assert submit(worker, nothing)[1].wait() is None


def refusing(code: str) -> Callable[[Cancel], Engine]:
    def refuse(_: Cancel) -> Engine:
        raise ModelRefusedError("It cannot be.", code=code)

    return refuse


def test_worker_keeps_the_engine_if_a_load_fails(worker: Worker) -> None:
    old = worker.engine
    worker.load("bad", refusing("model_refused"))
    until(lambda: worker.state.phase is Phase.READY)
    assert worker.state == EngineState(Phase.READY, "scripted", "It cannot be.", "model_refused", 2)
    assert worker.engine is old
    assert submit(worker, nothing)[1].wait() is None


def test_worker_closes_the_engine_first_if_memory_is_short(worker: Worker) -> None:
    old = worker.engine
    tries = iter((refusing("memory"), lambda _: ScriptedEngine("next")))

    def load(cancel: Cancel) -> Engine:
        return next(tries)(cancel)

    worker.load("large", load)
    until(lambda: worker.state.phase is Phase.READY)
    assert isinstance(old, ScriptedEngine)
    assert old.closed
    assert worker.engine is not old
    assert worker.state.reason == ""


def test_worker_reloads_the_engine_if_memory_is_too_small(worker: Worker) -> None:
    worker.load("large", refusing("memory"))
    until(lambda: worker.state.phase is Phase.READY)
    assert worker.state.model == "scripted"
    assert worker.state.reason == "It cannot be."
    assert submit(worker, nothing)[1].wait() is None


def test_worker_stop_ends_all_jobs(worker: Worker) -> None:
    running, first = submit(worker, until_cancelled)
    until(lambda: running.started_at > 0)
    second = submit(worker, nothing)[1]
    worker.stop()
    first.wait()
    second.wait()
    with pytest.raises(NotReadyError):
        submit(worker, nothing)


# Failures affect only their own task -------------------------------------------------------------------------


class Hostile(BaseException):
    """An exception that `except Exception` does not catch."""


def raising(error: BaseException) -> Callable[..., object]:
    def explode(*_: object, **__: object) -> object:
        raise error

    return explode


def test_worker_ends_only_the_job_that_fails_a_batch(worker: Worker) -> None:
    engine = worker.engine
    assert isinstance(engine, ScriptedEngine)
    worker.limits.queue = 8
    good = [submit(worker, until_cancelled) for _ in range(3)]
    until(
        lambda: (
            all(engine_request.usage.predicted_tokens for engine_request in engine.asks)
            and len(engine.asks) == 3
        )
    )
    step = engine.step

    def poisoned(runs: list[Any], interrupt: Cancel) -> None:
        if any(run.request.prompt == [66] for run in runs):
            raise IndexError("list index out of range")
        step(runs, interrupt)

    engine.step = poisoned  # type: ignore[assignment,method-assign]

    def bad(*_: object) -> Work:
        yield EngineRequest([66])

    assert isinstance(submit(worker, bad)[1].wait(), EngineError)
    before = [engine_request.usage.predicted_tokens for engine_request in engine.asks[:3]]
    until(lambda: all(a.usage.predicted_tokens > n + 3 for a, n in zip(engine.asks, before, strict=False)))
    assert worker.engine is engine
    for job, outcome in good:
        assert not outcome.event.is_set()
        job.cancel.set(SUPERSEDED)
        assert outcome.wait() is None


GONE = EngineGoneError("Its process has ended.")


@pytest.mark.parametrize(
    ("method", "error"),
    [("step", Hostile()), ("release", Hostile()), ("start", GONE), ("step", GONE), ("release", GONE)],
)
def test_worker_reloads_a_broken_engine_and_serves_waiting_jobs(method: str, error: BaseException) -> None:
    made: list[ScriptedEngine] = []

    def make(_: Cancel) -> Engine:
        made.append(ScriptedEngine("word " * 5000, pause=0.002))
        return made[-1]

    worker = ready(make)
    setattr(made[0], method, raising(error))
    job, outcome = submit(worker, until_cancelled)
    if method == "release":
        until(lambda: job.started_at > 0)
        job.cancel.set(SUPERSEDED)
        assert outcome.wait() is None
    else:
        text = outcome.wait()
        assert isinstance(text, EngineGoneError if error is GONE else EngineError)
        assert error is not GONE or text.message == GONE.message
    job, outcome = submit(worker, until_cancelled)
    until(lambda: len(made) == 2 and bool(made[1].asks))
    # The state of a broken engine must not be saved.
    assert (made[0].closed, made[0].kept) == (True, False)
    job.cancel.set(SUPERSEDED)
    assert outcome.wait() is None
    worker.stop()
    assert made[1].kept


def test_worker_gives_up_an_engine_until_it_is_chosen_again() -> None:
    worker = ready(lambda _: ScriptedEngine("word " * 50, fail=EngineError("lost")))
    for _ in range(2):
        assert submit(worker, until_cancelled)[1].wait() is not None
    until(lambda: worker.state.phase is Phase.FAILED)
    assert worker.engine is None
    with pytest.raises(NotReadyError, match="keeps failing"):
        submit(worker, nothing)
    worker.load("scripted", lambda _: ScriptedEngine())
    until(lambda: worker.state.phase is Phase.READY)
    assert submit(worker, nothing)[1].wait() is None
    worker.stop()


@pytest.mark.parametrize("error", [ValueError("x"), Hostile()])
def test_worker_continues_if_end_or_threads_raise(error: BaseException) -> None:
    counted = threading.Event()

    def threads() -> int:
        counted.set()
        raise error

    worker = ready(lambda _: ScriptedEngine("word " * 5000, pause=0.002), threads=threads)
    running, outcome = submit(worker, until_cancelled)

    def no_generator(*_: object) -> Work:
        raise error

    def never_closes(*_: object) -> Work:
        while True:
            try:
                yield EngineRequest([1])
            except GeneratorExit:
                raise error from None

    def raises_at_once(*_: object) -> Work:
        raise error
        yield EngineRequest([1])

    worker.submit(FunctionJob(nothing, raising(error)))  # type: ignore[arg-type]
    for work in (no_generator, raises_at_once):
        assert isinstance(submit(worker, work)[1].wait(), EngineError)
    job, ended = submit(worker, never_closes)
    until(lambda: job.started_at > 0)
    job.cancel.set(SUPERSEDED)
    ended.wait()
    assert counted.is_set()
    assert worker.alive()
    assert not outcome.event.is_set()
    running.cancel.set(SUPERSEDED)
    assert outcome.wait() is None
    worker.stop()


@pytest.mark.parametrize("error", [OSError("disk"), Hostile()])
def test_worker_survives_exceptions_of_load_and_close(error: BaseException) -> None:
    worker = Worker()
    worker.load("bad", raising(error))  # type: ignore[arg-type]
    until(lambda: worker.state.phase is Phase.FAILED)
    stubborn = ScriptedEngine()
    stubborn.close = raising(error)  # type: ignore[assignment,method-assign]
    worker.load("stubborn", lambda _: stubborn)
    until(lambda: worker.state.phase is Phase.READY)
    worker.load("next", lambda _: ScriptedEngine())
    until(lambda: worker.state.phase is Phase.READY and worker.engine is not stubborn)
    assert submit(worker, nothing)[1].wait() is None
    worker.stop()


# Waiting callers are notified immediately --------------------------------------------------------------------


@pytest.fixture
def stuck() -> Iterator[tuple[Worker, threading.Event]]:
    """A worker that loads until the event is set, and accepts jobs meanwhile."""
    go, loads = threading.Event(), []

    def make(_: Cancel) -> Engine:
        loads.append(1)
        if len(loads) > 1:
            go.wait(30)
        return ScriptedEngine("word " * 50)

    worker = Worker(idle=0.02)
    worker.load("slow", make)
    until(lambda: worker.state.phase is Phase.UNLOADED)
    worker._idle = None
    yield worker, go
    go.set()
    worker.stop()


def test_worker_ends_waiting_jobs_stopped_during_a_load(stuck: tuple[Worker, threading.Event]) -> None:
    worker, go = stuck
    superseded, first = submit(worker, until_cancelled)
    _, late = submit(worker, until_cancelled, deadline=0.05)
    _, patient = submit(worker, nothing)
    until(lambda: worker._life.loading is not None)
    superseded.cancel.set(SUPERSEDED)
    assert first.wait() is None
    assert late.wait() is None
    assert worker.waiting == 1
    # If another model is chosen, waiting jobs wait for neither of the two.
    worker.load("other", lambda _: ScriptedEngine())
    assert patient.wait() is None
    assert not go.is_set()


def test_worker_ends_a_waiting_job_at_its_deadline(worker: Worker) -> None:
    running = crowd(worker)
    job, outcome = submit(worker, until_cancelled, deadline=0.05)
    assert outcome.wait() is None
    assert job.cancel.reason == DEADLINE
    assert not job.started_at
    for other, _ in running:
        assert not other.cancel.is_set()
        other.cancel.set(SUPERSEDED)


# Shares and priorities ---------------------------------------------------------------------------------------


def test_worker_suspends_bulk_for_typing() -> None:
    engine = SmallEngine("one two three four five six", pause=0.002)
    worker = ready(lambda _: engine)
    text: list[str] = []

    def write(*_: object) -> Work:
        engine_request = EngineRequest([1], Sampling(max_tokens=6))
        while tokens := (yield engine_request):
            text.extend(token.data.decode() for token in tokens)

    engine.gate.clear()
    _, bulk = submit(worker, write, priority=Priority.BULK)
    until(lambda: len(text) >= 2)
    _, typing = submit(worker, nothing_but_one)
    engine.gate.set()
    assert typing.wait() is None
    assert bulk.wait() is None
    assert "".join(text) == "one two three four five six"
    assert engine.made_way
    worker.stop()


def test_submit_lets_a_job_take_over_the_run_of_an_older_one(worker: Worker) -> None:
    engine_request = EngineRequest([1], Sampling(max_tokens=5000))
    got: dict[str, int] = {"older": 0, "newer": 0}

    def going_on(name: str) -> Begin:
        def work(_: Engine, __: Job) -> Work:
            while tokens := (yield engine_request):
                got[name] += len(tokens)

        return work

    older, outcome = submit(worker, going_on("older"))
    until(lambda: got["older"] > 3)
    newer = FunctionJob(going_on("newer"), Outcome(), older=older)
    worker.submit(newer)
    assert outcome.wait() is None
    assert older.cancel.reason == SUPERSEDED
    until(lambda: got["newer"] > 3)
    engine = worker.engine
    assert isinstance(engine, ScriptedEngine)
    assert (len(engine.prompts), engine.released) == (1, 0)
    newer.cancel.set(SUPERSEDED)
    until(lambda: engine.released == 1)


def begun(worker: Worker, **more: object) -> tuple[Job, Outcome, ScriptedEngine]:
    """Start a job; return it and its engine."""
    job, outcome = submit(worker, until_cancelled, **more)
    engine = worker.engine
    assert isinstance(engine, ScriptedEngine)
    until(lambda: len(engine.prompts) == 1)
    return job, outcome, engine


def hold_step(engine: ScriptedEngine) -> threading.Event:
    """Let the engine wait within a step until the event is set."""
    going, go_on, step = threading.Event(), threading.Event(), engine.step

    def held(*given: Any) -> None:
        going.set()
        assert go_on.wait(30)
        step(*given)

    engine.step = held  # type: ignore[method-assign]
    assert going.wait(30)
    return go_on


def test_submit_begins_anew_if_the_older_job_has_ended(worker: Worker) -> None:
    older, told = submit(worker, nothing_but_one)
    assert told.wait() is None
    newer_told = Outcome()
    worker.submit(FunctionJob(nothing_but_one, newer_told, older=older))
    assert newer_told.wait() is None
    engine = worker.engine
    assert isinstance(engine, ScriptedEngine)
    assert len(engine.prompts) == 2


def test_submit_begins_anew_if_the_older_job_was_cancelled_but_runs(worker: Worker) -> None:
    older, told, engine = begun(worker)
    go_on, newer_told = hold_step(engine), Outcome()
    older.cancel.set(DISCONNECTED)
    worker.submit(FunctionJob(nothing_but_one, newer_told, older=older))
    go_on.set()
    assert (told.wait(), newer_told.wait()) == (None, None)
    assert (older.replaced, len(engine.prompts)) == (False, 2)


def test_submit_begins_anew_if_the_deadline_of_the_older_job_passed(worker: Worker) -> None:
    older, told, engine = begun(worker, deadline=60.0)
    go_on, newer_told = hold_step(engine), Outcome()
    older.deadline = time.monotonic()
    worker.submit(FunctionJob(nothing_but_one, newer_told, older=older))
    go_on.set()
    assert (told.wait(), newer_told.wait()) == (None, None)
    assert (older.cancel.reason, older.replaced, len(engine.prompts)) == (DEADLINE, False, 2)


def test_submit_takes_over_nothing_while_another_model_is_loaded(worker: Worker) -> None:
    older, told, engine = begun(worker)
    go_on, next_engine = hold_step(engine), ScriptedEngine("next")
    worker.load("next", lambda _: next_engine)
    with pytest.raises(NotReadyError):
        worker.submit(FunctionJob(nothing_but_one, Outcome(), older=older))
    go_on.set()
    assert told.wait() is None
    assert (older.cancel.reason, older.replaced) == (SUPERSEDED, False)
    until(lambda: worker.engine is next_engine)
    assert next_engine.prompts == []


def test_submit_supersedes_the_older_job_of_a_cancelled_one(worker: Worker) -> None:
    older, told, _ = begun(worker)
    newer_told = Outcome()
    newer = FunctionJob(until_cancelled, newer_told, older=older)
    newer.cancel.set(DISCONNECTED)
    worker.submit(newer)
    assert (told.wait(), newer_told.wait()) == (None, None)
    assert older.cancel.reason == SUPERSEDED


def test_replaced_jobs_that_have_not_begun_are_never_begun(worker: Worker) -> None:
    running = crowd(worker)
    begun_names: list[str] = []

    def named(name: str, older: Job | None = None) -> tuple[Job, Outcome]:
        def run(*arguments: Any) -> Any:
            begun_names.append(name)
            return until_cancelled(*arguments)

        outcome = Outcome()
        job = FunctionJob(run, outcome, older=older)
        worker.submit(job)
        return job, outcome

    first, _ = named("first")
    second, _ = named("second", first)
    for _ in range(2):  # a whole round
        hold_step(worker.engine).set()
    third, third_told = named("third", second)
    third.cancel.set(DISCONNECTED)
    assert third_told.wait() is None
    for job, outcome in running:
        job.cancel.set(DISCONNECTED)
        outcome.wait()
    last, last_told = named("last")
    until(lambda: "last" in begun_names)
    last.cancel.set(DISCONNECTED)
    last_told.wait()
    assert begun_names == ["last"]


def test_submit_reports_an_engine_failure_to_the_newer_job(worker: Worker) -> None:
    older, _, engine = begun(worker)
    going, fail = threading.Event(), threading.Event()

    def step(*_: object) -> None:
        going.set()
        fail.wait(30)
        raise Hostile

    engine.step = step  # type: ignore[method-assign]
    assert going.wait(30)
    outcome = Outcome()
    worker.submit(FunctionJob(until_cancelled, outcome, older=older))
    fail.set()
    assert isinstance(outcome.wait(), TurbopilotError)


def test_submit_takes_over_through_a_job_that_is_not_in_the_queue_yet(worker: Worker) -> None:
    first, first_told, _ = begun(worker)
    late_told, newest_told = Outcome(), Outcome()
    late = FunctionJob(until_cancelled, late_told, older=first)
    worker.submit(FunctionJob(until_cancelled, newest_told, older=late))
    assert first_told.wait() is None
    worker.submit(late)
    assert late_told.wait() is None
    assert late.cancel.reason == SUPERSEDED
    assert not newest_told.event.is_set()
    assert worker.waiting == 0


def test_submit_keeps_the_queue_position_of_an_older_job(worker: Worker) -> None:
    running = crowd(worker)
    waiting, waits = submit(worker, until_cancelled)
    newer_told = Outcome()
    newer = FunctionJob(nothing, newer_told, older=waiting)
    worker.submit(newer)
    assert waits.wait() is None
    assert worker.waiting == 1
    for job, _ in running:
        job.cancel.set(SUPERSEDED)
    assert newer_told.wait() is None


def test_worker_rejects_jobs_of_a_caller_with_too_many_waiting() -> None:
    worker = ready(
        lambda _: ScriptedEngine("word " * 5000, pause=0.002), limits=QueueLimits(running=1, waiting=1)
    )
    running: list[Job] = []
    for number in range(2):  # the second one in bulk
        running.append(submit(worker, until_cancelled, caller="a")[0])
        until(lambda number=number: running[number].started_at > 0)  # type: ignore[misc]
    _, ahead = submit(worker, until_cancelled, caller="a", priority=Priority.PREFETCH)
    waiting, _ = submit(worker, until_cancelled, caller="a")
    assert ahead.wait() is None
    with pytest.raises(BusyError) as refused:
        submit(worker, until_cancelled, caller="a")
    assert (refused.value.code, refused.value.status) == ("too_many_waiting", 429)
    _, other = submit(worker, nothing_but_one, caller="b")
    assert other.wait() is None
    assert not waiting.started_at
    running[1].cancel.set(SUPERSEDED)
    until(lambda: waiting.started_at > 0)
    worker.stop()


def test_worker_sheds_load_only_if_its_callers_are_several_users(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler.Scheduler, "level", lambda *_: Level.REFUSE_BUSIEST)
    assert worker.level("ada") is worker.level() is Level.NONE
    worker.sheds_load = True
    assert worker.level("ada") is worker.level() is Level.REFUSE_BUSIEST
