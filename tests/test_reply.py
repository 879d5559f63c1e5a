from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.reply import Item, Reply, Timings, compact

ITEMS = (Item("a", 0.9, "stop"), Item("b", 0.2, "length", 1))
TIMINGS = Timings(queue_ms=1.23456, prompt_tokens=3)


def test_an_answer_holds_every_text_and_rounded_timings() -> None:
    body = Reply("id", "tiny", ITEMS, TIMINGS, done=True).body()
    assert body["items"] == [
        {"text": "a", "confidence": 0.9, "finish_reason": "stop"},
        {"text": "b", "confidence": 0.2, "finish_reason": "length"},
    ]
    assert (body["id"], body["model"]) == ("id", "tiny")
    assert (body["timings"]["queue_ms"], body["timings"]["prompt_tokens"]) == (1.23, 3)


def test_imports_are_told_with_their_text_where_there_are_any() -> None:
    line = "import seaborn as sns"
    reply = Reply("id", "tiny", (Item("sns.", 0.9, "stop", imports=(line,)),))
    assert reply.body()["items"][0]["imports"] == [line]
    assert reply.frame()["imports"] == [line]


@pytest.mark.parametrize(("reason", "there"), [(None, False), ("superseded", True)])
def test_an_answer_has_a_reason_of_its_own_only_where_there_is_nothing(
    reason: str | None, there: bool
) -> None:
    assert ("finish_reason" in Reply("id", finish_reason=reason).body()) is there


def test_a_frame_on_the_way_holds_the_text_alone() -> None:
    assert Reply("id", "tiny", (Item("a", 0.9, "streaming"),)).frame() == {
        "id": "id",
        "text": "a",
        "confidence": 0.9,
    }


@pytest.mark.parametrize("done", [False, True])
def test_each_frame_says_where_it_is_not_to_be_kept(done: bool) -> None:
    assert Reply("id", "tiny", ITEMS, passing=True, done=done).frame()["passing"] is True
    assert "passing" not in Reply("id", "tiny", ITEMS, done=done).frame()


def test_the_last_frame_holds_the_rest() -> None:
    frame = Reply("id", "tiny", ITEMS[:1], TIMINGS, done=True).frame()
    assert (frame["text"], frame["done"], frame["finish_reason"], frame["model"]) == (
        "a",
        True,
        "stop",
        "tiny",
    )
    assert frame["timings"]["queue_ms"] == 1.23


@pytest.mark.parametrize(("reason", "worded"), [("superseded", "superseded"), (None, "stop")])
def test_the_last_frame_of_nothing_is_empty_and_says_why(reason: str | None, worded: str) -> None:
    frame = Reply("id", done=True, finish_reason=reason).frame()
    assert (frame["text"], frame["confidence"], frame["finish_reason"]) == ("", 0.0, worded)


def test_what_ended_a_request_goes_before_how_its_text_ended() -> None:
    assert Reply("id", "", ITEMS, done=True, finish_reason="deadline").frame()["finish_reason"] == "deadline"


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda part: st.lists(part) | st.dictionaries(TEXT, part),
)


@given(JSON)
def test_what_is_written_reads_back_as_it_was(value: Any) -> None:
    assert json.loads(compact(value)) == value


def test_there_is_no_space_behind_a_colon() -> None:
    assert compact({"content": "a: b", "n": [1, 2]}) == b'{"content":"a: b","n":[1,2]}'


def test_what_cannot_be_written_as_utf8_is_replaced() -> None:
    assert compact({"name": "\udcff", "é": 1.5}) == '{"name":"?","é":1.5}'.encode()


def test_parts_that_are_json_already_are_kept_beside_such_text() -> None:
    assert compact({"name": "\udcff", "choices": [msgspec.Raw(b'{"text":"a"}')]}) == (
        b'{"name":"?","choices":[{"text":"a"}]}'
    )
