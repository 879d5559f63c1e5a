from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from jupyter_turbopilot.completer.raw_task import raw_task
from jupyter_turbopilot.completer.suggestion_task import suggestion_task
from jupyter_turbopilot.completer.task import Task
from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.context.facts import NONE
from jupyter_turbopilot.generation import RawRequest, Token
from jupyter_turbopilot.request import Completion
from jupyter_turbopilot.suggestion.cache import Known, Results

from .desk import Desk, request


def test_alternatives_and_drawn_texts_are_never_remembered(desk: Callable[..., Desk]) -> None:
    d = desk("a")
    for more in ({"temperature": 0.8}, {"temperature": 0.8}, {"n": 2}, {"n": 2}):
        d.ask(request("x = ", **more))
    assert d.completer.counters["known"] == 0


def task(asked: Completion) -> Task:
    return suggestion_task(asked, NONE, "model", Turbopilot(), lambda _: pytest.fail("no engine"))


def test_a_task_can_follow_what_was_laid_out_for_another_key_of_the_same_kind() -> None:
    anchor = task(request("x = ")).place
    assert task(request("x = al")).follows(anchor)
    for other in (
        {"n": 2},
        {"temperature": 0.8},
        {"max_tokens": 3},
        {"path": "b.ipynb"},
        {"trigger": "automatic"},
    ):
        assert not task(request("x = al", **other)).follows(anchor)


def test_a_whole_answer_needs_no_computing_but_where_it_is_only_read_or_several_are_wanted() -> None:
    whole = Known((), "", complete=True, ended=True, aligned=True)
    assert task(request()).is_answered_by(whole)
    assert not task(request()).is_answered_by(replace(whole, complete=False))
    assert not task(request(n=2)).is_answered_by(whole)
    assert not task(request(trigger="warm")).is_answered_by(whole)
    text = raw_task(RawRequest("x"), Turbopilot(), lambda _: pytest.fail("no engine"))
    assert not text.is_answered_by(whole)


def test_only_for_the_likeliest_text_is_looked_up_what_is_known() -> None:
    results, asked = Results(1 << 20), task(request())
    results.remember(asked.place, [Token(b"a", 0.9)], ended=True)
    assert asked.look_up(results)
    assert task(request(temperature=0.8)).look_up(results) is None
