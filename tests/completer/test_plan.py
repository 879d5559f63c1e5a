from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from jupyter_turbopilot.cache.results import Known
from jupyter_turbopilot.completer.plan import Plan, replay
from jupyter_turbopilot.completer.raw_plan import plan_raw
from jupyter_turbopilot.completer.suggestion_plan import plan_suggestion
from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.context.facts import NONE
from jupyter_turbopilot.errors import NotReadyError
from jupyter_turbopilot.generation import RawRequest, Token
from jupyter_turbopilot.request import Completion

from .desk import Desk, request


def test_alternatives_and_drawn_texts_are_never_remembered(desk: Callable[..., Desk]) -> None:
    d = desk("a")
    for more in ({"temperature": 0.8}, {"temperature": 0.8}, {"n": 2}, {"n": 2}):
        d.ask(request("x = ", **more))
    assert d.completer.counters["known"] == 0


def plan(asked: Completion) -> Plan:
    return plan_suggestion(asked, NONE, "model", Turbopilot())


def test_a_whole_answer_needs_no_computing_but_where_it_is_only_read_or_several_are_wanted() -> None:
    whole = Known((), "", complete=True, ended=True, aligned=True)
    assert plan(request()).is_answered_by(whole)
    assert not plan(request()).is_answered_by(replace(whole, complete=False))
    assert not plan(request(n=2)).is_answered_by(whole)
    assert not plan(request(trigger="warm")).is_answered_by(whole)
    text = plan_raw(RawRequest("x"), Turbopilot())
    assert not text.is_answered_by(whole)


def test_a_silent_answer_is_remembered_as_silent_but_not_for_who_asks(desk: Callable[..., Desk]) -> None:
    d = desk("a + b", probability=0.1)
    for _ in range(2):
        assert d.texts(request("x = ", trigger="automatic")) == []
    assert len(d.engine.asks) == 1
    assert d.texts(request("x = ")) == ["a + b"]


def test_a_model_that_is_gone_answers_nothing_from_memory(desk: Callable[..., Desk]) -> None:
    d = desk("a")
    d.ask(request("x = "))
    d.worker.stop()
    with pytest.raises(NotReadyError):
        d.completer.submit(request("x = "), lambda _: None)


def test_what_is_known_goes_through_the_same_trimming() -> None:
    planned = plan_raw(RawRequest("x = ", stop=("\n",)), Turbopilot())
    tokens = (Token(b"one", 0.5), Token(b" two\nthree", 0.5))
    reply = replay(
        "id", "model", planned, Known(tokens, "one two\nthree", complete=True, ended=False, aligned=True)
    )
    assert [(item.text, item.finish_reason, item.stopped_by) for item in reply.items] == [
        ("one two", "stop", "\n")
    ]


def test_nothing_to_show_is_no_item() -> None:
    planned = plan_raw(RawRequest("x = "), Turbopilot())
    known = Known((), "", complete=True, ended=True, aligned=True)
    assert replay("id", "model", planned, known).items == ()


@pytest.mark.parametrize(("typed", "text"), [(False, "pass"), (True, "  pass")])
def test_spaces_are_the_models_indentation_only_where_the_answer_begins(typed: bool, text: str) -> None:
    asked = request("if x:\n    ")
    planned = plan_suggestion(asked, NONE, "model", Turbopilot())
    known = Known((Token(b"  pass", 0.9),), "  pass", complete=True, ended=True, aligned=True, typed=typed)
    assert [item.text for item in replay("id", "model", planned, known).items] == [text]
