from __future__ import annotations

import json
import math
from typing import Any

import pytest

from jupyter_turbopilot.errors import BadRequestError, BusyError, RefusedError
from jupyter_turbopilot.generation import Token
from jupyter_turbopilot.reply import Item, Reply, Timings
from jupyter_turbopilot.server.routes.deltas import Deltas
from jupyter_turbopilot.server.routes.openai_completions import (
    CompletionsBody,
    Wording,
    error_body,
    model_list,
)
from jupyter_turbopilot.server.routes.reading import read


def asked(**fields: Any) -> CompletionsBody:
    return read(json.dumps({"prompt": "x"} | fields).encode(), CompletionsBody)


def piece(token: int) -> bytes:
    return chr(token).encode()


def item(text: str, reason: str = "stop", index: int = 0) -> Item:
    tokens = tuple(Token(char.encode(), 0.5, ord(char), ((ord(char), -0.7), (33, -2.0))) for char in text)
    return Item(text, 0.5, reason, index, tokens=tokens)


def reply(*items: Item) -> Reply:
    return Reply("id", "tiny", items, Timings(prompt_tokens=3, predicted_tokens=2), done=True)


def whole(body: CompletionsBody, *replies: Reply) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(Wording(body, piece).whole(list(replies)))
    return answer


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("a", ["a"]),
        ("<|endoftext|>", [""]),
        ([1, 2], [(1, 2)]),
        (["a", "b"], ["a", "b"]),
        ([[1], [2, 3]], [(1,), (2, 3)]),
    ],
)
def test_a_prompt_is_a_text_or_token_ids_and_a_list_of_one_kind_is_several(
    prompt: Any, prompts: list[Any]
) -> None:
    texts = asked(prompt=prompt).texts()
    assert [text.prompt for text in texts] == prompts
    assert {text.bulk for text in texts} == {len(prompts) > 1}


@pytest.mark.parametrize("prompt", [[], [1, "a"], ["a", [1]], ["a"] * 17])
def test_prompts_of_several_kinds_or_too_many_are_refused_by_name(prompt: Any) -> None:
    with pytest.raises(BadRequestError) as refused:
        asked(prompt=prompt).texts()
    assert refused.value.field == "prompt"


@pytest.mark.parametrize("fields", [{"n": 3, "best_of": 2}, {"n": 1, "best_of": 2, "stream": True}])
def test_the_best_of_several_needs_several_and_cannot_be_streamed(fields: dict[str, Any]) -> None:
    with pytest.raises(BadRequestError) as refused:
        asked(**fields).texts()
    assert refused.value.field == "best_of"


@pytest.mark.parametrize(
    ("fields", "length"),
    [({}, 16), ({"max_tokens": 5}, 5), ({"max_tokens": 5, "n_predict": 7}, 7), ({"max_tokens": None}, 16)],
)
def test_an_answer_is_as_long_as_either_field_says(fields: dict[str, Any], length: int) -> None:
    assert asked(**fields).texts()[0].sampling.max_tokens == length


def test_what_the_model_cannot_draw_from_is_taken_to_the_nearest_bound() -> None:
    sampling = asked(top_p=7, min_p=-1, top_k=-5, temperature=None).texts()[0].sampling
    assert (sampling.top_p, sampling.min_p, sampling.top_k, sampling.temperature) == (1.0, 0.0, 0, 1.0)


def test_copilots_indentation_counts_only_where_it_is_to_be_trimmed() -> None:
    assert asked(extra={"next_indent": 4, "trim_by_indentation": True}).texts()[0].indent == 4
    assert asked(extra={"next_indent": 4}).texts()[0].indent == 0


def test_who_wants_the_prompt_back_sends_one_that_fits() -> None:
    assert asked(extra={"next_indent": 0}).texts()[0].cut
    assert not asked(extra={"next_indent": 0}, echo=True).texts()[0].cut


def test_the_texts_of_several_prompts_are_numbered_through() -> None:
    body = asked(prompt=["x", "y"], n=2)
    answer = whole(body, reply(item("a"), item("b", index=1)), reply(item("c"), item("d", index=1)))
    assert [(choice["index"], choice["text"]) for choice in answer["choices"]] == list(enumerate("abcd"))
    assert answer["usage"] == {"prompt_tokens": 6, "completion_tokens": 4, "total_tokens": 10}
    assert (answer["object"], answer["model"]) == ("text_completion", "tiny")


@pytest.mark.parametrize(
    ("reason", "worded"), [("stop", "stop"), ("length", "length"), ("deadline", "length")]
)
def test_an_end_is_a_stop_or_a_limit(reason: str, worded: str) -> None:
    assert whole(asked(), reply(item("a", reason)))["choices"][0]["finish_reason"] == worded


def test_each_token_has_its_probability_its_rivals_and_its_place() -> None:
    logprobs = whole(asked(logprobs=2), reply(item("ab")))["choices"][0]["logprobs"]
    assert logprobs["tokens"] == ["a", "b"]
    assert logprobs["token_logprobs"] == pytest.approx([math.log(0.5)] * 2)
    assert logprobs["top_logprobs"][0] == pytest.approx({"a": math.log(0.5), "!": -2.0})
    assert logprobs["text_offset"] == [0, 1]
    assert whole(asked(), reply(item("ab")))["choices"][0]["logprobs"] is None


def test_an_echoed_prompt_stands_before_its_text_and_its_tokens_have_no_probability() -> None:
    (choice,) = whole(asked(prompt=[120, 121], echo=True, logprobs=0), reply(item("ab")))["choices"]
    assert choice["text"] == "xyab"
    assert choice["logprobs"]["tokens"] == ["x", "y", "a", "b"]
    assert choice["logprobs"]["token_logprobs"][:2] == [None, None]
    assert choice["logprobs"]["text_offset"] == [0, 1, 2, 3]


def test_the_events_of_a_stream_make_up_the_whole_and_the_prompt_is_echoed_once() -> None:
    body = asked(echo=True, stream=True, logprobs=1)
    wording, deltas = Wording(body, piece), Deltas()
    steps = [item("a", "streaming"), item("ab", "streaming"), item("abc")]
    choices = [
        wording.chunk(0, "tiny", delta)["choices"][0] for step in steps for delta in deltas.of(reply(step))
    ]
    (expected,) = whole(body, reply(item("abc")))["choices"]
    assert "".join(choice["text"] for choice in choices) == expected["text"] == "xabc"
    tokens = [token for choice in choices for token in choice["logprobs"]["tokens"]]
    assert tokens == expected["logprobs"]["tokens"]
    assert [choice["finish_reason"] for choice in choices] == [None, None, "stop"]


@pytest.mark.parametrize("wanted", [True, False])
def test_the_cost_of_a_stream_is_the_last_event_and_null_in_the_others(wanted: bool) -> None:
    options = {"stream_options": {"include_usage": True}} if wanted else {}
    wording, last = Wording(asked(stream=True, **options), piece), reply(item("a"))
    (delta,) = Deltas().of(last)
    assert ("usage" in wording.chunk(0, "tiny", delta)) is wanted
    cost = wording.usage_chunk([last])
    assert (cost["choices"], cost["usage"]["total_tokens"]) == ([], 5)


def test_an_error_has_the_code_that_openais_clients_look_for() -> None:
    assert error_body(RefusedError(401), None)["error"]["code"] == "invalid_api_key"
    assert error_body(BusyError("Later."), None)["error"]["code"] == "rate_limit_exceeded"
    assert error_body(BadRequestError("No."), "stop")["error"] == {
        "message": "No.",
        "type": "invalid_request_error",
        "param": "stop",
        "code": "bad_request",
    }


def test_the_model_that_answers_is_listed_and_no_other() -> None:
    assert [model["id"] for model in model_list("tiny")["data"]] == ["tiny"]
    assert model_list("")["data"] == []
