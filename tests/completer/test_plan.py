from __future__ import annotations

from collections.abc import Callable

import pytest

from jupyter_turbopilot.completer.cache.completion_cache import CachedCompletion
from jupyter_turbopilot.completer.plan import Plan
from jupyter_turbopilot.completer.raw_plan import plan_raw
from jupyter_turbopilot.completer.suggestion_plan import plan_suggestion
from jupyter_turbopilot.completer.text_generation import replay
from jupyter_turbopilot.protocol.engine_request import RawRequest, Token
from jupyter_turbopilot.protocol.errors import NotReadyError
from jupyter_turbopilot.protocol.request import Completion
from jupyter_turbopilot.settings.config import Turbopilot

from .desk import Desk, request


def plan(asked: Completion) -> Plan:
    return plan_suggestion(asked, "model", Turbopilot())


def test_hidden_answer_is_cached_for_automatic_requests_only(desk: Callable[..., Desk]) -> None:
    d = desk("a + b", probability=0.1)
    for _ in range(2):
        assert d.texts(request("x = ", trigger="automatic")) == []
    assert len(d.engine.asks) == 1
    assert d.texts(request("x = ")) == ["a + b"]


def test_cached_completion_needs_a_ready_engine(desk: Callable[..., Desk]) -> None:
    d = desk("a")
    d.ask(request("x = "))
    d.worker.stop()
    with pytest.raises(NotReadyError):
        d.ask(request("x = "))


def test_replay_trims_a_cached_completion() -> None:
    planned = plan_raw(RawRequest("x = ", stop=("\n",)), Turbopilot())
    tokens = (Token(b"one", 0.5), Token(b" two\nthree", 0.5))
    reply = replay(
        "id",
        "model",
        planned,
        CachedCompletion(tokens, "one two\nthree", complete=True, ended=False, aligned=True),
    )
    assert [(item.text, item.finish_reason, item.stopped_by) for item in reply.items] == [
        ("one two", "stop", "\n")
    ]


@pytest.mark.parametrize(("typed", "text"), [(False, "pass"), (True, "  pass")])
def test_raw_plan_converts_indentation_only_at_the_start(typed: bool, text: str) -> None:
    asked = request("if x:\n    ")
    planned = plan_suggestion(asked, "model", Turbopilot())
    known = CachedCompletion(
        (Token(b"  pass", 0.9),), "  pass", complete=True, ended=True, aligned=True, typed=typed
    )
    assert [item.text for item in replay("id", "model", planned, known).items] == [text]
