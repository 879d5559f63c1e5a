from __future__ import annotations

from collections.abc import Callable

from .desk import Desk, heard, request


def test_another_editors_request_waits_its_turn(desk: Callable[..., Desk]) -> None:
    d = desk("a b c", pause=0.01)
    _, first = d.begin(request(client="one"))
    assert d.ask(request(client="two"))[-1].items
    (reply,) = heard(first, 0.001)  # it is there already
    assert reply.items


def test_warming_never_ends_a_persons_request(desk: Callable[..., Desk]) -> None:
    d = desk("a b c", pause=0.02)
    _, replies = d.begin(request(client="editor"))
    d.begin(request(trigger="warm", client="editor"))
    assert heard(replies, 5)[-1].items


def test_while_the_machine_is_needed_nothing_is_done_ahead(desk: Callable[..., Desk]) -> None:
    d = desk("a")
    d.resting = True
    for trigger in ("warm", "ahead"):
        (reply,) = d.ask(request("x = ", trigger=trigger))
        assert (reply.items, reply.finish_reason) == ((), "yielded")
    assert d.engine.asks == []
    assert d.texts(request("x = ", trigger="automatic", eagerness="always")) == ["a"]


def test_an_answer_that_is_known_ends_what_the_editor_asked_for_before(desk: Callable[..., Desk]) -> None:
    d = desk(lambda prompt: "a " * 400 if "y = " in prompt else "known", pause=0.005)
    assert d.texts(request("x = ", client="editor")) == ["known"]
    _, older = d.begin(request("y = ", client="editor", max_tokens=400))
    assert d.texts(request("x = ", client="editor")) == ["known"]
    assert heard(older, 5)[-1].finish_reason == "superseded"
    assert d.completer.counters["known"] == 1


def test_what_was_not_worth_showing_is_counted_where_nobody_asked_for_it(desk: Callable[..., Desk]) -> None:
    d = desk("a + b", probability=0.1)
    for trigger in ("automatic", "ahead"):
        d.ask(request("x = ", trigger=trigger))
    assert d.completer.counters["hidden"] == 1
