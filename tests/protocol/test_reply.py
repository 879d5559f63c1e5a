import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.protocol.reply import Item, Reply, Timings, compact

ITEMS = (Item("a", 0.9, "stop"), Item("b", 0.2, "length", 1))
TIMINGS = Timings(queue_ms=1.23456, prompt_tokens=3)


def test_body_contains_every_text_and_rounded_timings() -> None:
    body = Reply("id", "tiny", ITEMS, TIMINGS, done=True).body()
    assert body["items"] == [
        {"text": "a", "confidence": 0.9, "finish_reason": "stop"},
        {"text": "b", "confidence": 0.2, "finish_reason": "length"},
    ]
    assert (body["id"], body["model"]) == ("id", "tiny")
    assert (body["timings"]["queue_ms"], body["timings"]["prompt_tokens"]) == (1.23, 3)


def test_frame_contains_only_the_text_before_the_end() -> None:
    assert Reply("id", "tiny", (Item("a", 0.9, "streaming"),)).frame() == {
        "id": "id",
        "text": "a",
        "confidence": 0.9,
    }


def test_frame_contains_what_belongs_to_the_text() -> None:
    item = Item("a", 0.9, "stop", imports=("import b",), opens="(", table="orders")
    more = {"imports": ["import b"], "opens": "(", "table": "orders"}
    assert Reply("id", "tiny", (item,)).frame() == {"id": "id", "text": "a", "confidence": 0.9} | more


def test_last_frame_contains_all_fields() -> None:
    frame = Reply("id", "tiny", ITEMS[:1], TIMINGS, done=True).frame()
    assert (frame["text"], frame["done"], frame["finish_reason"], frame["model"]) == (
        "a",
        True,
        "stop",
        "tiny",
    )
    assert frame["timings"]["queue_ms"] == 1.23


@pytest.mark.parametrize(("reason", "worded"), [("superseded", "superseded"), (None, "stop")])
def test_last_frame_without_items_has_empty_text_and_reason(reason: str | None, worded: str) -> None:
    frame = Reply("id", done=True, finish_reason=reason).frame()
    assert (frame["text"], frame["confidence"], frame["finish_reason"]) == ("", 0.0, worded)


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda part: st.lists(part) | st.dictionaries(TEXT, part),
)


@given(JSON)
def test_compact_is_read_back_unchanged(value: Any) -> None:
    assert json.loads(compact(value)) == value


def test_compact_replaces_lone_surrogates() -> None:
    assert compact({"name": "\udcff", "é": 1.5}) == '{"name":"?","é":1.5}'.encode()


def test_compact_keeps_encoded_parts_beside_lone_surrogates() -> None:
    assert compact({"name": "\udcff", "choices": [msgspec.Raw(b'{"text":"a"}')]}) == (
        b'{"name":"?","choices":[{"text":"a"}]}'
    )
