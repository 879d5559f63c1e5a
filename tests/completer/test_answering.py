from __future__ import annotations

from collections.abc import Callable

from jupyter_turbopilot.errors import EngineError

from ..scripted_engine import words
from .desk import Desk, request


def test_a_failing_engine_is_an_answer_and_the_next_request_succeeds(desk: Callable[..., Desk]) -> None:
    d = desk("ok", fail=EngineError("llama.cpp failed with code -3."))
    assert d.ask(request())[-1].error is not None
    d.engine.fail = None
    assert d.texts(request()) == ["ok"]


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
