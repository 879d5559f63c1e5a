from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

from jupyter_turbopilot.errors import BadRequestError
from jupyter_turbopilot.request import MAX_BODY
from jupyter_turbopilot.server.routes import llamacpp, openai, options
from jupyter_turbopilot.server.routes.deltas import placed_tokens
from jupyter_turbopilot.server.routes.llamacpp import TokenizeBody, only
from jupyter_turbopilot.server.routes.options import LARGEST, MOST_BIASED, CompletionBody, read
from jupyter_turbopilot.suggestion.writing import Verbatim

from .conftest import Ask

LONG = "x" * (MAX_BODY // 2)


def body(**fields: Any) -> bytes:
    return json.dumps({"prompt": "x"} | fields).encode()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("json_schema", {"type": "string", "description": LONG}),
        ("json_schema", {"const": LONG, "enum": ["a"] * 256}),
        ("json_schema", {"$ref": "#/" + "/" * len(LONG)}),
        ("json_schema", {"type": ["null"] * 100_000}),
        ("logit_bias", [[1, 1]] * 30_000),
        ("logit_bias", {f"{number:05}" + "x" * 100: 1 for number in range(1000)}),
        ("logit_bias", {"x" * (MOST_BIASED + 1): 1}),
        ("response_fields", ["/" * len(LONG)]),
        ("samplers", LONG),
        ("samplers", [LONG]),
        ("prompt", [1] * 200_000),
        ("prompt", [[1] * 200_000]),
        ("prompt", [[1] * 30_000] * 16),
        ("prompt", {"prompt_string": [1] * 200_000}),
        ("prompt", [1, *["a"] * 100_000]),
        ("prompt", ["a"] * 100_000),
    ],
)
def test_what_would_hold_up_the_event_loop_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(BadRequestError) as refused:
        read(body(**{field: value}), CompletionBody).texts()
    assert str(refused.value.field).startswith(field)
    assert len(refused.value.message) < 500


def test_fields_that_nobody_knows_are_never_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = options._whole
    seen: list[bytes] = []
    monkeypatch.setattr(options, "_whole", lambda value: seen.append(value) or whole(value))
    found = read(body(**{f"x{number}": 1 for number in range(60_000)}, seed=5.0), CompletionBody)
    assert found.seed == 5
    assert seen == [b'"x"', b"5.0"]


def test_of_a_field_that_is_sent_twice_the_last_counts() -> None:
    assert read(b'{"prompt": "a", "seed": 1, "prompt": "b", "seed": 2}', CompletionBody).prompt == "b"


@pytest.mark.parametrize("seed", [2**64, -(2**64), 10**60])
def test_a_seed_of_any_size_is_a_seed(seed: int) -> None:
    assert 0 <= read(body(seed=seed), CompletionBody).texts()[0].sampling.seed < 2**32


@pytest.mark.parametrize("kind", [CompletionBody, openai.CompletionsBody])
@pytest.mark.parametrize("stop", [5, {"a": 1}, [5], ["x"] * 10_000, [["x"]]])
def test_stop_texts_that_are_none_or_too_many_are_refused_by_name(kind: type[Any], stop: object) -> None:
    with pytest.raises(BadRequestError) as caught:
        read(body(stop=stop), kind)
    assert str(caught.value.field).startswith("stop")


def test_an_empty_stop_text_stops_nothing() -> None:
    assert Verbatim(read(body(stop=""), CompletionBody).texts()[0].stop)._stops == []


def test_other_routes_have_the_same_bounds() -> None:
    for kind, value in (
        (openai.CompletionsBody, {"prompt": [1] * 200_000}),
        (openai.CompletionsBody, {"logit_bias": [[1, 1]] * 100_000}),
        (TokenizeBody, {"content": ["a"] * 200_000}),
    ):
        with pytest.raises(BadRequestError):
            read(body(**value), kind)


def test_each_answer_tells_the_settings_but_nothing_long() -> None:
    sent = {
        "grammar": "root ::= [a-z] #" + "x" * 60_000,
        "stop": ["y" * 1000] * 64,
        "logit_bias": [[1, 2.0]] * 4096,
        "response_fields": ["content"],
        "temperature": -1,
    }
    request = read(body(prompt=["x" * 60_000] * 16, n_cmpl=16, **sent), CompletionBody)
    told = request.settings(request.texts()[0].sampling)
    assert (told["temperature"], told["n_cmpl"]) == (0.0, 16)
    assert len(json.dumps(told)) < 2000


def test_the_bounds_leave_room_for_what_is_really_sent() -> None:
    schema = {"type": "object", "properties": {f"property_{n}": {"type": "string"} for n in range(100)}}
    request = read(
        body(
            prompt=[*range(100_000), "text"],
            json_schema=schema,
            logit_bias=[[100_000 + token, -100.5] for token in range(4096)],
            unknown=[[[LONG]]],
        ),
        CompletionBody,
    )
    assert len(request.texts()[0].sampling.logit_bias) == 4096
    assert len(json.dumps(schema)) < LARGEST["json_schema"]


def test_a_number_without_a_fraction_is_whole_and_others_stay_as_they_are() -> None:
    request = read(body(n_predict=8.0, seed=2**53 + 1, temperature=0.5, top_k=4e1), CompletionBody)
    assert (request.n_predict, request.seed, request.temperature, request.top_k) == (8, 2**53 + 1, 0.5, 40)
    with pytest.raises(BadRequestError):
        read(body(n_predict=8.5), CompletionBody)
    for digits in (b"1" * 5000, b"8." + b"0" * 5000, b"-0." + b"0" * 5000 + b"e1"):
        with pytest.raises(BadRequestError, match="64 characters"):
            read(b'{"prompt": "x", "n_predict": ' + digits + b"}", CompletionBody)


def test_a_field_that_is_wrong_is_named_as_it_was_sent() -> None:
    for kind in (CompletionBody, openai.CompletionsBody):
        for name in ("max_tokens", "n_predict"):
            with pytest.raises(BadRequestError) as refused:
                read(body(**{name: -7}), kind)
            assert refused.value.field == name


def test_who_wants_the_prompt_back_sends_one_that_fits() -> None:
    given = {"prompt": "x", "extra": {"next_indent": 0}}
    assert read(body(**given), openai.CompletionsBody).texts()[0].cut
    assert not read(body(**given, echo=True), openai.CompletionsBody).texts()[0].cut


def test_fields_of_fields_are_told_under_their_names() -> None:
    assert only({"timings": {"prompt_n": 1}, "content": ""}, ["timings/prompt_n", "no/such"]) == {
        "timings/prompt_n": 1
    }


@pytest.mark.parametrize(
    ("path", "asked", "module"),
    [("completion", {"n_probs": 2}, llamacpp), ("v1/completions", {"logprobs": 2}, openai)],
)
async def test_long_answers_are_written_beside_the_event_loop(
    ask: Ask, ready: Any, monkeypatch: pytest.MonkeyPatch, path: str, asked: dict[str, Any], module: Any
) -> None:
    threads: set[int] = set()

    def watched(item: Any) -> Any:
        threads.add(threading.get_ident())
        return placed_tokens(item)

    monkeypatch.setattr(module, "placed_tokens", watched)
    response = await ask(path, {"prompt": "x", "max_tokens": 4, "n": 2} | asked)
    assert response.code == 200
    assert threads
    assert threading.get_ident() not in threads


async def test_a_flood_leaves_jupyters_own_threads_alone(
    ask: Ask, ready: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = threading.Event()

    def stuck(*_: Any) -> bytes:
        free.wait(20)
        return b"{}"

    monkeypatch.setattr(llamacpp, "_tokenized", stuck)
    flood = [asyncio.create_task(ask("tokenize", {"content": "x"})) for _ in range(64)]
    try:
        await asyncio.sleep(0.2)
        assert await asyncio.wait_for(asyncio.to_thread(lambda: 7), 5) == 7
    finally:
        free.set()
        await asyncio.gather(*flood)


async def test_tokens_are_written_whole_over_many_slices(ask: Ask, ready: Any) -> None:
    text = 'a"é\\\n' * 5000
    answer = json.loads((await ask("tokenize", {"content": text, "with_pieces": True})).body)
    assert "".join(token["piece"] for token in answer["tokens"] if isinstance(token["piece"], str))
    ids = [token["id"] for token in answer["tokens"]]
    assert json.loads((await ask("tokenize", {"content": text})).body)["tokens"] == ids
    assert json.loads((await ask("detokenize", {"tokens": ids})).body)["content"] == text
