from __future__ import annotations

import json
from typing import Any

import pytest

from jupyter_turbopilot.server.routes.llamacpp import only

from ...scripted_engine import ScriptedEngine
from .conftest import Ask

BODY = {"input_prefix": "x = ", "input_suffix": "\n", "n_predict": 8, "temperature": 0.0}


async def test_an_answer_has_the_fields_that_editors_read(ask: Ask, ready: Any) -> None:
    answer = json.loads((await ask("infill", BODY)).body)
    assert answer["content"] == "a + b + c"
    assert answer["stop"] is True
    assert {"tokens_predicted", "tokens_evaluated", "tokens_cached", "truncated", "stop_type"} <= set(answer)
    assert {"prompt_n", "prompt_ms", "predicted_n", "predicted_ms"} <= set(answer["timings"])


async def test_a_stream_in_pieces_is_the_whole(ask: Ask, ready: Any) -> None:
    response = await ask("infill", BODY | {"stream": True})
    assert response.headers["Content-Type"] == "text/event-stream"
    events = [
        json.loads(part.removeprefix("data: ")) for part in response.body.decode().split("\n\n") if part
    ]
    assert "".join(event["content"] for event in events) == "a + b + c"
    assert [event["stop"] for event in events] == [False] * (len(events) - 1) + [True]


async def test_fields_that_we_do_not_know_are_ignored(ask: Ask, ready: Any) -> None:
    more = {"samplers": ["top_k"], "top_k": 1, "cache_prompt": True, "t_max_predict_ms": 500, "id_slot": 0}
    assert (await ask("infill", BODY | more)).code == 200


async def test_stop_texts_are_kept_out(ask: Ask, ready: Any, engine: ScriptedEngine) -> None:
    engine.answer = "one two three"
    answer = json.loads((await ask("infill", BODY | {"stop": ["two"]})).body)
    assert answer["content"] == "one "


async def test_what_is_missing_is_named(ask: Ask, ready: Any) -> None:
    response = await ask("infill", {"input_prefix": "x"})
    assert response.code == 400
    assert json.loads(response.body)["error"]["field"] == "input_suffix"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("stop", ["x" * 5000]),
        ("stop", "x" * 5000),
        ("logit_bias", [[1, 10**400]]),
        ("logit_bias", [[10**400, 1]]),
    ],
)
async def test_numbers_and_texts_beyond_all_reason_are_refused(
    ask: Ask, ready: Any, field: str, value: Any
) -> None:
    response = await ask("completion", {"prompt": "x", "n_predict": 1, field: value})
    assert response.code in {200, 400}
    assert response.code == 400 or field == "logit_bias"


def test_fields_of_fields_are_told_under_their_names() -> None:
    assert only({"timings": {"prompt_n": 1}, "content": ""}, ["timings/prompt_n", "no/such", "nosuch"]) == {
        "timings/prompt_n": 1
    }
