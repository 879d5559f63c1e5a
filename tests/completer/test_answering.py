from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from jupyter_turbopilot.completer.answering import Editor, LatestJobs
from jupyter_turbopilot.engine.job import Job, Priority

from ..scripted_engine import words
from .desk import Desk, request


def test_who_waited_longer_than_the_deadline_is_told_that_it_was_the_deadline(
    desk: Callable[..., Desk],
) -> None:
    d = desk(words(400), pause=0.005, settings={"deadline": 0.3})
    for number in range(8):
        d.begin(request(max_tokens=400), f"{number}")
    (reply,) = d.ask(request("y = ", max_tokens=400))
    assert (reply.items, reply.finish_reason) == ((), "deadline") or reply.items[
        0
    ].finish_reason == "deadline"


def test_after_a_thousand_requests_there_is_one_thread_and_nothing_is_kept(
    desk: Callable[..., Desk],
) -> None:
    d = desk("a b")
    before = threading.active_count()
    for number in range(1_000):
        d.ask(request(client=f"editor-{number}"))
    assert threading.active_count() <= before + 1
    assert len(d.completer.latest) == 0


def test_a_job_that_has_ended_is_forgotten_unless_another_was_asked_for_since() -> None:
    latest, ann = LatestJobs(), Editor("ann", "tab")
    first, second = job(), job()
    assert latest.follow(ann, "a.ipynb", first) is None
    assert latest.follow(ann, "a.ipynb", second) is first
    latest.forget(ann, first)
    assert len(latest) == 1
    latest.forget(ann, second)
    assert len(latest) == 0


def test_in_another_document_nothing_is_followed_but_what_was_asked_for_is_ended() -> None:
    latest, ann = LatestJobs(), Editor("ann", "tab")
    first, second = job(), job()
    latest.follow(ann, "a.ipynb", first)
    assert latest.follow(Editor("ann", "window"), "b.ipynb", job()) is None
    assert not first.cancel.is_set()
    assert latest.follow(ann, "b.ipynb", second) is None
    assert (first.cancel.reason, second.cancel.is_set()) == ("superseded", False)


@pytest.mark.parametrize(("priority", "awaited"), [(Priority.TYPING, True), (Priority.AHEAD, False)])
def test_somebody_waits_for_what_was_not_asked_for_ahead(priority: Priority, awaited: bool) -> None:
    latest, ann = LatestJobs(), Editor("ann", "tab")
    assert not latest.is_awaited(ann)
    latest.follow(ann, "a.ipynb", job(priority))
    assert latest.is_awaited(ann) is awaited


def job(priority: Priority = Priority.TYPING) -> Job:
    return Job(lambda *_: iter(()), lambda _: None, priority=priority)  # type: ignore[arg-type]
