from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jupyter_turbopilot.engine import scheduler, successor
from jupyter_turbopilot.engine.base import SLOTS, Engine
from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.job import ANSWERED, DEADLINE, DISCONNECTED, SUPERSEDED, Job
from jupyter_turbopilot.engine.load_shedding import Level
from jupyter_turbopilot.engine.worker import Worker
from jupyter_turbopilot.protocol.engine_request import EngineRequest
from jupyter_turbopilot.protocol.errors import (
    BusyError,
    EngineError,
    EngineGoneError,
    ModelRefusedError,
    NotReadyError,
)
from jupyter_turbopilot.protocol.phase import Phase

from ..scripted_engine import ScriptedEngine
from ..waiting import until
from .jobs import (
    Begin,
    FunctionGeneration,
    FunctionJob,
    Outcome,
    Work,
    generation,
    nothing_but_one,
    until_cancelled,
)


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = ready(lambda _: ScriptedEngine("word " * 5000, pause=0.002))
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
    job = FunctionJob(work, outcome, **more)
    worker.submit(FunctionGeneration(job))
    return job, outcome


def crowd(worker: Worker) -> list[tuple[Job, Outcome]]:
    """Submit as many jobs as can run at a time."""
    found = []
    for _ in range(SLOTS):
        found.append(submit(worker, until_cancelled))
        until(lambda: found[-1][0].started_at > 0)
    return found


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


def refusing(code: str) -> Callable[[Cancel], Engine]:
    def refuse(_: Cancel) -> Engine:
        raise ModelRefusedError("It cannot be.", code=code)

    return refuse


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


# Failures affect only their own task -------------------------------------------------------------------------


class Hostile(BaseException):
    """An exception that `except Exception` does not catch."""


def raising(error: BaseException) -> Callable[..., object]:
    def explode(*_: object, **__: object) -> object:
        raise error

    return explode


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

    worker.submit(generation(nothing, raising(error)))  # type: ignore[arg-type]
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


# The seat ----------------------------------------------------------------------------------------------------


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
    for _ in range(2):
        assert submit(worker, nothing_but_one, client="tab")[1].wait() is None
    engine = worker.engine
    assert isinstance(engine, ScriptedEngine)
    assert len(engine.prompts) == 2


def test_submit_begins_anew_if_the_older_job_was_cancelled_but_runs(worker: Worker) -> None:
    older, told, engine = begun(worker, client="tab")
    go_on = hold_step(engine)
    older.cancel.set(DISCONNECTED)
    _, newer_told = submit(worker, nothing_but_one, client="tab")
    go_on.set()
    assert (told.wait(), newer_told.wait()) == (None, None)
    assert (older.cancel.reason, len(engine.prompts)) == (DISCONNECTED, 2)


def test_submit_begins_anew_if_the_deadline_of_the_older_job_passed(worker: Worker) -> None:
    older, told, engine = begun(worker, deadline=60.0, client="tab")
    go_on = hold_step(engine)
    older.deadline = time.monotonic()
    _, newer_told = submit(worker, nothing_but_one, client="tab")
    go_on.set()
    assert (told.wait(), newer_told.wait()) == (None, None)
    assert (older.cancel.reason, len(engine.prompts)) == (DEADLINE, 2)


def test_submit_seats_nothing_while_another_model_is_loaded(worker: Worker) -> None:
    older, told, engine = begun(worker, client="tab")
    go_on, next_engine = hold_step(engine), ScriptedEngine("next")
    worker.load("next", lambda _: next_engine)
    with pytest.raises(NotReadyError):
        submit(worker, nothing_but_one, client="tab")
    go_on.set()
    assert told.wait() is None
    assert older.cancel.reason == SUPERSEDED
    until(lambda: worker.engine is next_engine)
    assert engine.closed
    assert next_engine.prompts == []


def test_submit_supersedes_the_older_job_of_a_cancelled_one(worker: Worker) -> None:
    older, told, _ = begun(worker, client="tab")
    newer_told = Outcome()
    newer = FunctionJob(until_cancelled, newer_told, client="tab")
    newer.cancel.set(DISCONNECTED)
    worker.submit(FunctionGeneration(newer))
    assert (told.wait(), newer_told.wait()) == (None, None)
    assert older.cancel.reason == SUPERSEDED
    until(lambda: not worker.waiting and worker.state.phase is Phase.READY)


def test_superseded_jobs_that_have_not_begun_are_never_begun(worker: Worker) -> None:
    running = crowd(worker)
    begun_names: list[str] = []

    def named(name: str) -> tuple[Job, Outcome]:
        def run(*arguments: Any) -> Any:
            begun_names.append(name)
            return until_cancelled(*arguments)

        return submit(worker, run, client="tab")

    told = [named("first")[1], named("second")[1]]
    for _ in range(2):  # a whole round
        hold_step(worker.engine).set()  # type: ignore[arg-type]
    third, third_told = named("third")
    third.cancel.set(DISCONNECTED)
    for outcome in (*told, third_told):
        assert outcome.wait() is None
    for job, outcome in running:
        job.cancel.set(DISCONNECTED)
        outcome.wait()
    last, last_told = named("last")
    until(lambda: "last" in begun_names)
    last.cancel.set(DISCONNECTED)
    last_told.wait()
    assert begun_names == ["last"]


def test_submit_supersedes_a_job_that_arrives_late(worker: Worker) -> None:
    newer, told, _ = begun(worker, client="tab", sequence=8)
    late, late_told = submit(worker, until_cancelled, client="tab", sequence=7)
    assert late_told.wait() is None
    assert (late.cancel.reason, newer.cancel.reason) == (SUPERSEDED, None)
    submit(worker, nothing, client="tab", sequence=9)
    assert told.wait() is None


def test_submit_seats_no_job_of_another_cell_or_tenant(worker: Worker) -> None:
    older, told, engine = begun(worker, client="tab", cell="a")
    other, _ = submit(worker, until_cancelled, client="tab", cell="b")
    assert told.wait() is None
    assert older.cancel.reason == SUPERSEDED
    submit(worker, until_cancelled, client="tab", cell="b", tenant="bob")
    until(lambda: len(engine.prompts) == 3)
    assert not other.cancel.is_set()


def test_submit_supersedes_the_older_job_of_a_refused_one(worker: Worker) -> None:
    older, told, _ = begun(worker, client="tab")
    with pytest.raises(BusyError):
        worker.submit(generation(nothing, Outcome(), client="tab"), BusyError("No."))
    assert told.wait() is None
    assert older.cancel.reason == SUPERSEDED


def test_submit_seats_a_job_while_the_queue_is_full(worker: Worker) -> None:
    crowd(worker)
    worker.limits.queue = 1
    submit(worker, until_cancelled, client="tab")
    with pytest.raises(BusyError):
        submit(worker, until_cancelled, client="other")
    newer, told = submit(worker, until_cancelled, client="tab")
    newer.cancel.set(DISCONNECTED)
    assert told.wait() is None


def test_a_seated_job_continues_the_run(worker: Worker) -> None:
    class Continued(FunctionGeneration):
        def generate(self, engine: Engine) -> Work:
            engine_request = self.engine_request or EngineRequest([1])
            while (yield engine_request):
                pass

    engine, told = worker.engine, [Outcome(), Outcome()]
    assert isinstance(engine, ScriptedEngine)
    for outcome in told:
        worker.submit(Continued(job := FunctionJob(nothing, outcome, client="tab")))
        until(lambda: job.started_at > 0)
    assert told[0].wait() is None
    assert (len(engine.prompts), engine.released) == (1, 0)
    job.cancel.set(DISCONNECTED)
    assert told[1].wait() is None
    until(lambda: engine.released == 1)


@pytest.mark.parametrize("other", [True, False])
def test_an_answered_job_does_not_interrupt_the_step_of_others(worker: Worker, *, other: bool) -> None:
    engine = worker.engine
    assert isinstance(engine, ScriptedEngine)
    answered, told, _ = begun(worker)
    engine.pause = 0.0
    if other:
        submit(worker, until_cancelled)
        until(lambda: len(engine.prompts) == 2)
    interrupted, going, go_on = threading.Event(), threading.Event(), threading.Event()

    def waiting(runs: Any, interrupt: Cancel) -> None:
        with interrupt.interrupting(interrupted.set):
            going.set()
            assert go_on.wait(30)

    engine.step = waiting  # type: ignore[method-assign]
    assert going.wait(30)
    answered.cancel.set(ANSWERED)
    if not other:
        assert interrupted.wait(30)
    go_on.set()
    assert told.wait() is None
    assert interrupted.is_set() == (not other)


def test_worker_sheds_load_only_if_its_callers_are_several_users(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler.Scheduler, "level", lambda *_: Level.REFUSE_BUSIEST)
    assert worker.level("ada") is worker.level() is Level.NONE
    worker.sheds_load = True
    assert worker.level("ada") is worker.level() is Level.REFUSE_BUSIEST


# Replacing the engine while idle ------------------------------------------------------------------------------


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(successor, "IDLE", 0.05)
    monkeypatch.setattr(successor, "PAUSE", 0.02)


def evaluated(worker: Worker) -> None:
    """Let the engine evaluate a prompt."""
    assert submit(worker, nothing_but_one)[1].wait() is None


@pytest.mark.usefixtures("_soon")
def test_worker_replaces_an_idle_engine_after_the_latest_prompt(worker: Worker) -> None:
    old, new = worker.engine, ScriptedEngine("new " * 50)
    evaluated(worker)
    phases: set[Phase] = set()
    installed: list[object] = []

    def install(*given: object) -> None:
        phases.add(worker.state.phase)
        installed.append(given)

    worker.replace_when_idle(lambda: new, install)
    while worker.engine is not new:
        phases.add(worker.state.phase)
    assert phases == {Phase.READY}
    assert installed == [(new, [2])]
    assert [request.prompt for request in new.asks] == [[2]]
    assert isinstance(old, ScriptedEngine)
    until(lambda: old.closed)
    assert not old.kept  # the sequences of the other weights
    evaluated(worker)
    assert len(new.asks) == 2
    assert worker.state.phase is Phase.READY


@pytest.mark.usefixtures("_soon")
def test_worker_serves_jobs_with_the_old_engine_until_the_new_one_is_ready(worker: Worker) -> None:
    old, new = worker.engine, ScriptedEngine("new " * 50, prompt_pause=1000.0)
    assert isinstance(old, ScriptedEngine)
    evaluated(worker)
    worker.replace_when_idle(lambda: new, lambda *_: None)
    until(lambda: bool(new.asks))
    for _ in range(3):  # each interrupts the evaluation
        asked = len(old.asks)
        evaluated(worker)
        assert len(old.asks) == asked + 1
    assert worker.engine is old
    new.prompt_pause = 0.0
    evaluated(worker)
    until(lambda: worker.engine is new)


@pytest.mark.usefixtures("_soon")
def test_worker_prefers_another_model_to_the_replacement(worker: Worker) -> None:
    begun, go = threading.Event(), threading.Event()
    late, other = ScriptedEngine(), ScriptedEngine()

    def load() -> Engine:
        begun.set()
        go.wait()
        return late

    installed: list[object] = []
    worker.replace_when_idle(load, lambda *given: installed.append(given))
    assert begun.wait(30)
    worker.load("other", lambda _: other)
    go.set()
    until(lambda: worker.engine is other)
    assert late.closed
    evaluated(worker)
    assert (worker.engine, installed) == (other, [])


@pytest.mark.usefixtures("_soon")
@pytest.mark.parametrize("failing", ["load", "start", "step", "release", "install"])
@pytest.mark.parametrize("error", [MemoryError(), Hostile()])
def test_worker_keeps_the_engine_if_the_replacement_fails(
    worker: Worker, failing: str, error: BaseException
) -> None:
    old, new = worker.engine, ScriptedEngine("new " * 50)
    evaluated(worker)
    setattr(new, failing, raising(error))
    load = raising(error) if failing == "load" else lambda: new
    tried = threading.Event()

    def counted() -> Any:
        tried.set()
        return load()

    install = raising(error) if failing == "install" else lambda *_: None
    worker.replace_when_idle(counted, install)
    assert tried.wait(30)
    until(lambda: new.closed or failing == "load")
    evaluated(worker)
    assert worker.engine is old
    assert worker.state.phase is Phase.READY


@pytest.mark.usefixtures("_soon")
def test_worker_tries_a_replacement_again_that_cannot_be_loaded_now(worker: Worker) -> None:
    new = ScriptedEngine()
    tries = iter([None, None, new])
    worker.replace_when_idle(lambda: next(tries), lambda *_: None)
    until(lambda: worker.engine is new)


@pytest.mark.usefixtures("_soon")
@pytest.mark.parametrize("end", ["stop", "break", "load"])
def test_worker_frees_a_replacement_that_is_not_used(end: str) -> None:
    made: list[ScriptedEngine] = []

    def make(_: Cancel) -> Engine:
        made.append(ScriptedEngine("word " * 50))
        return made[-1]

    worker = ready(make)
    evaluated(worker)
    new = ScriptedEngine("new " * 50, prompt_pause=1000.0)
    worker.replace_when_idle(lambda: new, lambda *_: None)
    until(lambda: bool(new.asks))
    if end == "stop":
        worker.stop()
    elif end == "load":
        worker.load("scripted", make)
    else:
        made[0].step = raising(GONE)  # type: ignore[assignment]
        assert isinstance(submit(worker, nothing_but_one)[1].wait(), EngineGoneError)
    until(lambda: new.closed and made[0].closed)
    worker.stop()
    assert all(one.closed for one in made)


@pytest.mark.usefixtures("_soon")
def test_worker_forgets_a_replacement_when_the_engine_is_unloaded() -> None:
    tries: list[int] = []
    worker = ready(lambda _: ScriptedEngine("word " * 50), idle=0.2)
    worker.replace_when_idle(lambda: tries.append(1), lambda *_: None)  # type: ignore[func-returns-value]
    until(lambda: worker.state.phase is Phase.UNLOADED)
    made = len(tries)
    evaluated(worker)
    until(lambda: worker.state.phase is Phase.UNLOADED)
    assert len(tries) == made > 0
    worker.stop()


@pytest.mark.usefixtures("_soon")
def test_worker_ends_each_job_once_while_engines_are_replaced(worker: Worker) -> None:
    ended: list[Outcome] = []
    replaced = 0
    for number in range(300):
        new = ScriptedEngine("new " * 50, prompt_pause=0.001 * (number % 7))
        before = worker.engine
        worker.replace_when_idle(lambda new=new: new, lambda *_: None)  # type: ignore[misc]
        time.sleep(0.004 * (number % 25))
        outcome = submit(worker, nothing_but_one, client="editor", cell=str(number % 3))[1]
        ended.append(outcome)
        replaced += worker.engine is not before
    assert all(outcome.wait() is None for outcome in ended)
    assert replaced
