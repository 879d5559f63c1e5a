from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from jupyter_turbopilot.engine.base import Engine
from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.worker import DEADLINE, SUPERSEDED, YIELDED, Job, Priority, Worker
from jupyter_turbopilot.errors import BusyError, ModelRefusedError, NotReadyError, TurbopilotError

from ..scripted_engine import ScriptedEngine

Work = Callable[[Engine, Job], None]


class Told:
    """A job's end, waited for."""

    def __init__(self) -> None:
        self.event = threading.Event()
        self.error: TurbopilotError | None = None

    def __call__(self, error: TurbopilotError | None) -> None:
        self.error = error
        self.event.set()

    def wait(self) -> TurbopilotError | None:
        assert self.event.wait(5)
        return self.error


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker(queue_limit=2)
    worker.load("scripted", lambda _: ScriptedEngine())
    wait_until(lambda: worker.state.phase == "ready")
    yield worker
    worker.stop()


def wait_until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not true():
        assert time.monotonic() < end
        time.sleep(0.002)


def until_cancelled(_: Engine, job: Job) -> None:
    wait_until(job.cancel.is_set)


def nothing(_: Engine, __: Job) -> None: ...


def submit(worker: Worker, work: Work, **more: object) -> tuple[Job, Told]:
    told = Told()
    job = Job(work, told, **more)  # type: ignore[arg-type]
    worker.submit(job)
    return job, told


def test_a_job_runs_on_the_one_thread(worker: Worker) -> None:
    names: list[str] = []
    _, told = submit(worker, lambda *_: names.append(threading.current_thread().name))
    assert told.wait() is None
    assert names == ["turbopilot"]
    assert next(t for t in threading.enumerate() if t.name == "turbopilot").daemon


def test_a_job_that_raises_is_told_in_words_and_the_thread_lives_on(worker: Worker) -> None:
    def explode(*_: object) -> None:
        raise RuntimeError("secret path /home/ann")

    error = submit(worker, explode)[1].wait()
    assert error is not None
    assert "RuntimeError" in error.message
    assert "secret" not in error.message
    assert submit(worker, nothing)[1].wait() is None
    assert worker.alive()


def test_a_full_queue_is_said_to_be_full_and_nobody_is_lost(worker: Worker) -> None:
    running, first = submit(worker, until_cancelled)
    wait_until(lambda: running.started_at > 0)
    waiting = [submit(worker, nothing)[1] for _ in range(2)]
    with pytest.raises(BusyError):
        submit(worker, nothing)
    running.cancel.set(SUPERSEDED)
    for told in (first, *waiting):
        assert told.wait() is None


def test_cancelled_jobs_make_room_in_a_full_queue(worker: Worker) -> None:
    running, _ = submit(worker, until_cancelled)
    wait_until(lambda: running.started_at > 0)
    stale, gone = submit(worker, nothing)
    submit(worker, nothing)
    stale.cancel.set(SUPERSEDED)
    last = submit(worker, nothing)[1]
    gone.wait()
    running.cancel.set(SUPERSEDED)
    last.wait()


def test_a_person_interrupts_what_nobody_waits_for(worker: Worker) -> None:
    warm, told = submit(worker, until_cancelled, priority=Priority.WARM)
    wait_until(lambda: warm.started_at > 0)
    assert submit(worker, nothing)[1].wait() is None
    told.wait()
    assert warm.cancel.reason == YIELDED


def test_a_person_goes_before_what_nobody_waits_for(worker: Worker) -> None:
    order: list[str] = []
    running, _ = submit(worker, until_cancelled)
    wait_until(lambda: running.started_at > 0)
    warm = submit(worker, lambda *_: order.append("warm"), priority=Priority.WARM)[1]
    person = submit(worker, lambda *_: order.append("person"))[1]
    running.cancel.set(SUPERSEDED)
    warm.wait()
    person.wait()
    assert order == ["person", "warm"]


def test_a_job_past_its_deadline_is_stopped(worker: Worker) -> None:
    job, told = submit(worker, until_cancelled, deadline=0.05)
    told.wait()
    assert job.cancel.reason == DEADLINE


def test_before_a_model_is_loaded_the_reason_is_given() -> None:
    with pytest.raises(NotReadyError) as caught:
        Worker().submit(Job(nothing, Told()))
    assert caught.value.code == "empty"


def test_a_load_that_fails_is_a_state_with_its_reason() -> None:
    def refuse(_: Cancel) -> Engine:
        raise ModelRefusedError("Too large.")

    worker = Worker()
    worker.load("big", refuse)
    wait_until(lambda: worker.state.phase == "failed")
    assert (worker.state.reason, worker.state.code) == ("Too large.", "model_refused")
    worker.load("scripted", lambda _: ScriptedEngine())
    wait_until(lambda: worker.state.phase == "ready")
    worker.stop()


def test_changing_the_model_under_load_stops_what_runs_and_closes_the_old_one(worker: Worker) -> None:
    old = worker.engine
    running, told = submit(worker, until_cancelled)
    wait_until(lambda: running.started_at > 0)
    waiting = submit(worker, nothing)[1]
    worker.load("next", lambda _: ScriptedEngine("next"))
    told.wait()
    waiting.wait()
    wait_until(lambda: worker.state.phase == "ready")
    assert isinstance(old, ScriptedEngine)
    assert old.closed
    assert submit(worker, nothing)[1].wait() is None


def test_stopping_tells_everybody_and_takes_no_time(worker: Worker) -> None:
    running, first = submit(worker, until_cancelled)
    wait_until(lambda: running.started_at > 0)
    second = submit(worker, nothing)[1]
    begun = time.monotonic()
    worker.stop()
    assert time.monotonic() - begun < 2
    first.wait()
    second.wait()
    with pytest.raises(NotReadyError):
        submit(worker, nothing)
