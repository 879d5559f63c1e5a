from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.deadlines import Deadlines
from jupyter_turbopilot.engine.job import DEADLINE, SUPERSEDED, Job
from jupyter_turbopilot.engine.queue import Queue

from .jobs import Told, until_cancelled


@pytest.fixture
def queue() -> Queue[Job]:
    return Queue(32)


@pytest.fixture
def watching(queue: Queue[Job]) -> Iterator[Callable[..., tuple[Job, Told]]]:
    """Put jobs in a queue that is watched, as the worker does."""
    lock = threading.Condition()
    deadlines = Deadlines(queue, lock)
    deadlines.start()

    def add(*, begun: bool = False, deadline: float = 0.0) -> tuple[Job, Told]:
        told = Told()
        job = Job(until_cancelled, told, deadline=deadline)
        with lock:
            queue.add(job)
            if begun:
                queue.begin(job)
        job.cancel.watch(deadlines.look)
        deadlines.look()
        return job, told

    yield add
    deadlines.stop()
    assert deadlines._thread
    deadlines._thread.join(30)
    assert not deadlines._thread.is_alive()


def test_a_job_that_waits_is_told_at_once_when_it_is_cancelled(
    queue: Queue[Job], watching: Callable[..., tuple[Job, Told]]
) -> None:
    job, told = watching()
    other, _ = watching()
    job.cancel.set(SUPERSEDED)
    assert told.wait() is None
    assert list(queue) == [other]


def test_a_job_whose_time_is_up_is_told_when_it_passes(
    queue: Queue[Job], watching: Callable[..., tuple[Job, Told]]
) -> None:
    patient, _ = watching(deadline=3600)
    late, told = watching(deadline=0.02)
    assert told.wait() is None
    assert late.cancel.reason == DEADLINE
    assert not patient.cancel.is_set()


def test_a_job_that_has_begun_is_cancelled_and_stays_for_the_step_to_end(
    queue: Queue[Job], watching: Callable[..., tuple[Job, Told]]
) -> None:
    begun, told = watching(begun=True, deadline=0.02)
    _, waits = watching(deadline=0.04)
    waits.wait()
    assert begun.cancel.reason == DEADLINE
    assert begun in queue
    assert not told.event.is_set()


def test_the_last_look_comes_after_the_stop() -> None:
    queue: Queue[Job] = Queue(4)
    deadlines = Deadlines(queue, threading.Condition())
    told = Told()
    job = Job(until_cancelled, told)
    queue.add(job)
    job.cancel.set(SUPERSEDED)
    deadlines.stop()
    deadlines.start()
    assert told.wait() is None


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=12))
def test_only_what_was_cancelled_before_it_began_is_removed(states: list[tuple[bool, bool]]) -> None:
    queue: Queue[Job] = Queue(32)
    expected = []
    for begun, cancelled in states:
        job = Job(until_cancelled, Told())
        queue.add(job)
        if begun:
            queue.begin(job)
        if cancelled:
            job.cancel.set(SUPERSEDED)
        if cancelled and not begun:
            expected.append(job)
    left = [job for job in queue if job not in expected]
    assert Deadlines(queue, threading.Condition()).remove_cancelled() == expected
    assert list(queue) == left
