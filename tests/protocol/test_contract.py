import pytest
from msgspec import to_builtins

from jupyter_turbopilot.protocol.contract import Answer, Frame
from jupyter_turbopilot.protocol.reply import Item, Reply, Timings

ITEMS = (Item("a", 0.9, "stop"), Item("b", 0.2, "length", 1))
TIMINGS = Timings(queue_ms=1.23456, prompt_tokens=3)


def test_answer_contains_every_text_and_rounded_timings() -> None:
    body = to_builtins(Answer.of(Reply("id", "tiny", ITEMS, TIMINGS, done=True)))
    assert body["items"] == [
        {"text": "a", "confidence": 0.9, "finish_reason": "stop"},
        {"text": "b", "confidence": 0.2, "finish_reason": "length"},
    ]
    assert (body["id"], body["model"]) == ("id", "tiny")
    assert (body["timings"]["queue_ms"], body["timings"]["prompt_tokens"]) == (1.23, 3)


def test_frame_contains_only_the_text_before_the_end() -> None:
    assert to_builtins(Frame.of(Reply("id", "tiny", (Item("a", 0.9, "streaming"),)))) == {
        "id": "id",
        "text": "a",
        "confidence": 0.9,
    }


def test_frame_contains_what_belongs_to_the_text() -> None:
    item = Item("a", 0.9, "stop", imports=("import b",), opens="(", table="orders")
    more = {"imports": ["import b"], "opens": "(", "table": "orders"}
    assert (
        to_builtins(Frame.of(Reply("id", "tiny", (item,))))
        == {"id": "id", "text": "a", "confidence": 0.9} | more
    )


def test_last_frame_contains_all_fields() -> None:
    frame = to_builtins(Frame.of(Reply("id", "tiny", ITEMS[:1], TIMINGS, done=True)))
    assert (frame["text"], frame["done"], frame["finish_reason"], frame["model"]) == (
        "a",
        True,
        "stop",
        "tiny",
    )
    assert frame["timings"]["queue_ms"] == 1.23


@pytest.mark.parametrize(("reason", "worded"), [("superseded", "superseded"), (None, "stop")])
def test_last_frame_without_items_has_empty_text_and_reason(reason: str | None, worded: str) -> None:
    frame = to_builtins(Frame.of(Reply("id", done=True, finish_reason=reason)))
    assert (frame["text"], frame["confidence"], frame["finish_reason"]) == ("", 0.0, worded)
