import json
import math
from typing import Any

import pytest

from jupyter_turbopilot.plugins.protocols.body import read_body
from jupyter_turbopilot.plugins.protocols.deltas import Deltas
from jupyter_turbopilot.plugins.protocols.openai_completions import CompletionFormat, CompletionsBody
from jupyter_turbopilot.protocol.engine_request import Token
from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.protocol.reply import Item, Reply, Timings


def asked(**fields: Any) -> CompletionsBody:
    return read_body(json.dumps({"prompt": "x"} | fields).encode(), CompletionsBody)


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
def test_prompt_is_a_text_ids_or_a_list_of_one_kind(prompt: Any, prompts: list[Any]) -> None:
    texts = asked(prompt=prompt).texts()
    assert [text.prompt for text in texts] == prompts
    assert {text.bulk for text in texts} == {len(prompts) > 1}


@pytest.mark.parametrize("prompt", [[], [1, "a"], ["a", [1]], ["a"] * 17])
def test_mixed_or_too_many_prompts_are_rejected_by_name(prompt: Any) -> None:
    with pytest.raises(BadRequestError) as refused:
        asked(prompt=prompt).texts()
    assert refused.value.field == "prompt"


@pytest.mark.parametrize("fields", [{"n": 3, "best_of": 2}, {"n": 1, "best_of": 2, "stream": True}])
def test_best_of_must_be_at_least_n_and_cannot_stream(fields: dict[str, Any]) -> None:
    with pytest.raises(BadRequestError) as refused:
        asked(**fields).texts()
    assert refused.value.field == "best_of"


@pytest.mark.parametrize(
    ("fields", "length"),
    [({}, 16), ({"max_tokens": 5}, 5), ({"max_tokens": 5, "n_predict": 7}, 7), ({"max_tokens": None}, 16)],
)
def test_max_tokens_and_n_predict_limit_the_length(fields: dict[str, Any], length: int) -> None:
    assert asked(**fields).texts()[0].sampling.max_tokens == length


def test_llama_cpp_options_are_accepted() -> None:
    fields = {"samplers": "kp", "repeat_last_n": 8, "post_sampling_probs": True, "cache_prompt": False}
    sampling = asked(**fields).texts()[0].sampling
    assert (sampling.samplers, sampling.penalty_last_n) == (("top_k", "top_p"), 8)
    assert (sampling.drawn, sampling.cached) == (True, False)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"prompt": "x"}, "prompt"),
        ({"prompt": ["x"]}, "prompt"),
        ({"prompt": [[1], [2]]}, "prompt"),
        ({"prompt": [1], "suffix": "y"}, "suffix"),
    ],
)
def test_turbopilot_field_requires_one_prompt_of_ids(fields: dict[str, Any], wrong: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        asked(turbopilot={}, **fields).texts()
    assert refused.value.field == wrong
    (text,) = asked(turbopilot={}, prompt=[[1, 2]]).texts()
    assert text.exact
    assert text.prompt == (1, 2)


def piece(token: int) -> bytes:
    return chr(token).encode()


def item(text: str, reason: str = "stop", index: int = 0) -> Item:
    tokens = tuple(Token(char.encode(), 0.5, ord(char), ((ord(char), -0.7), (33, -2.0))) for char in text)
    return Item(text, 0.5, reason, index, tokens=tokens)


def reply(*items: Item) -> Reply:
    return Reply(
        "id", "tiny", items, Timings(prompt_tokens=3, cached_tokens=1, predicted_tokens=2), done=True
    )


def whole(body: CompletionsBody, *replies: Reply) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(CompletionFormat(body, piece).whole(list(replies)))
    return answer


def test_chosen_token_is_added_to_top_logprobs() -> None:
    unlikely = Item("z", 0.1, "stop", tokens=(Token(b"z", 0.1, 122, ((97, -0.1), (33, -2.0))),))
    (top,) = whole(asked(logprobs=2), reply(unlikely))["choices"][0]["logprobs"]["top_logprobs"]
    assert list(top) == ["a", "!", "z"]
    assert top["z"] == pytest.approx(math.log(0.1))


def test_return_tokens_as_token_ids_names_tokens_by_id() -> None:
    body = asked(prompt=[120], logprobs=2, echo=True, return_tokens_as_token_ids=True)
    logprobs = whole(body, reply(item("ab")))["choices"][0]["logprobs"]
    assert logprobs["tokens"] == ["token_id:120", "token_id:97", "token_id:98"]
    assert [*logprobs["top_logprobs"][1]] == ["token_id:97", "token_id:33"]


@pytest.mark.parametrize("streamed", [True, False])
def test_token_ids_include_tokens_without_text(streamed: bool) -> None:
    # One token was typed already, one ends inside a character, and one follows a stop text.
    pieces = (b"", b"a", b"\xc3", b"\xa9", b"stop", b"\xf0")
    tokens = tuple(Token(data, 0.5, number) for number, data in enumerate(pieces))
    body = asked(stream=streamed, logprobs=0, return_tokens_as_token_ids=True)
    shown = [Item("a", 0.5, "streaming", tokens=tokens[:2]), Item("aé", 0.5, "stop", tokens=tokens)]
    wording = CompletionFormat(body, piece)
    deltas = Deltas(include_hidden=wording.include_hidden)
    choices = whole(body, reply(shown[-1]))["choices"]
    if streamed:
        events = [wording.chunk(0, reply(step), delta) for step in shown for delta in deltas.of(reply(step))]
        choices = [choice for event in events for choice in event["choices"]]
    assert "".join(choice["text"] for choice in choices) == "aé"
    logprobs = [choice["logprobs"] for choice in choices]
    assert [name for part in logprobs for name in part["tokens"]] == [f"token_id:{n}" for n in range(6)]
    assert len([chance for part in logprobs for chance in part["token_logprobs"]]) == 6


@pytest.mark.parametrize("wanted", [True, False])
def test_stream_usage_is_in_the_last_event_and_null_before(wanted: bool) -> None:
    options = {"stream_options": {"include_usage": True}} if wanted else {}
    wording, last = CompletionFormat(asked(stream=True, **options), piece), reply(item("a"))
    (delta,) = Deltas().of(last)
    assert ("usage" in wording.chunk(0, last, delta)) is wanted
    cost = wording.usage_chunk([last])
    assert (cost["choices"], cost["usage"]["total_tokens"]) == ([], 5)


def test_stream_tells_a_turbopilot_client_the_usage_before_the_end() -> None:
    wording, last = CompletionFormat(asked(prompt=[1], turbopilot={}), piece), reply(item("a"))
    (delta,) = Deltas().of(last)
    cost = wording.chunk(0, last, delta)["usage"]
    assert cost["prompt_tokens_details"] == {"cached_tokens": 1}
