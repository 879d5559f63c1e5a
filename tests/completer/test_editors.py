from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jupyter_turbopilot.completer.cache.completion_cache import CompletionCache
from jupyter_turbopilot.completer.completion_job import CompletionJob
from jupyter_turbopilot.completer.plan import Plan
from jupyter_turbopilot.completer.shared import Shared
from jupyter_turbopilot.completer.suggestion_plan import plan_suggestion
from jupyter_turbopilot.context.kernel_context import NONE
from jupyter_turbopilot.engine.job import SUPERSEDED, Job
from jupyter_turbopilot.protocol.reply import Reply
from jupyter_turbopilot.settings.config import Turbopilot

from ..index.fake_index import FakeIndex
from ..index.folders import until
from ..scripted_engine import words
from .desk import Desk, request


def test_reply_after_the_deadline_has_no_hidden_reason(desk: Callable[..., Desk]) -> None:
    d = desk(words(400), pause=0.01, probability=0.97, settings={"deadline": 0.2})
    (reply,) = d.ask(request(trigger="automatic", max_tokens=400))
    assert (reply.items, reply.finish_reason, reply.hidden_reason) == ((), "deadline", "")


@pytest.fixture
def shared() -> Shared:
    return Shared(Turbopilot(), CompletionCache(1 << 20), {})


@pytest.fixture
def send(shared: Shared) -> Callable[..., CompletionJob]:
    """Let an editor send a request; return its job."""

    def sent(
        path: str = "a.ipynb", *, awaits_look_up: bool = False, caller: str = "ann", **more: Any
    ) -> CompletionJob:
        asked = request(path=path, client="tab", **more)
        plan = plan_suggestion(asked, NONE, "model", Turbopilot())
        job = CompletionJob(plan, caller, [], shared)
        job.awaits_look_up = awaits_look_up
        shared.editors.enter(job, plan)
        return job

    return sent


def test_editors_supersede_a_request_that_arrives_late(send: Callable[..., CompletionJob]) -> None:
    newer, late = send(sequence=8), send(sequence=7)
    assert late.cancel.reason == SUPERSEDED
    assert not newer.cancel.is_set()
    assert send(sequence=9).older is newer


def test_editors_take_over_from_the_predecessor_of_a_waiting_request(
    send: Callable[..., CompletionJob],
) -> None:
    first, looking_up = send(), send(awaits_look_up=True)
    newer = send()
    assert (newer.older, looking_up.cancel.reason) == (first, SUPERSEDED)
    assert not first.cancel.is_set()
    assert not looking_up.awaits_look_up


def test_editors_supersede_both_requests_in_another_document(send: Callable[..., CompletionJob]) -> None:
    first, looking_up = send(), send(awaits_look_up=True)
    assert send("b.ipynb").older is None
    assert first.cancel.reason == looking_up.cancel.reason == SUPERSEDED


def test_submit_ends_a_request_once_if_another_thread_supersedes_it(
    desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    d = desk("a b")
    d.notebook_index = FakeIndex()
    replies: list[Reply] = []
    enter = d.completer.shared.editors.enter

    def entered(job: Job, plan: Plan) -> Job | None:
        ended = enter(job, plan)
        if plan.cache_key.before == "x = ":
            # Another thread sends the editor's next request before this one continues.
            d.ask(request("x = a", client="tab", trigger="automatic"))
        return ended

    monkeypatch.setattr(d.completer.shared.editors, "enter", entered)
    d.completer.submit(
        request("x = ", client="tab", trigger="automatic"), replies.append, notebook_index=d.notebook_index
    )
    until(lambda: bool(replies))
    d.ask(request("y = ", client="tab"))
    assert [reply.finish_reason for reply in replies] == ["superseded"]
