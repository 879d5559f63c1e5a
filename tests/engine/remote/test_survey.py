from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from jupyter_turbopilot.engine.remote.address import read_addresses
from jupyter_turbopilot.engine.remote.far_side import FarSide, Kind
from jupyter_turbopilot.engine.remote.http_side import HttpSide
from jupyter_turbopilot.engine.remote.survey import AWKWARD, TextForm, compare, look, text_form
from jupyter_turbopilot.engine.vocabulary import CodePoints, vocabulary_digest
from jupyter_turbopilot.errors import ModelRefusedError

from .conftest import Serve
from .far_server import FarServer, Wire, status, words

T = TypeVar("T")


def ask(server: FarServer, question: Callable[[HttpSide], Coroutine[Any, Any, T]]) -> T:
    async def asked() -> T:
        side = HttpSide(read_addresses([server.url], plain_http=False)[0], "", 5.0)
        try:
            return await question(side)
        finally:
            await side.close()

    return asyncio.run(asked())


def tokenizer(count: Callable[[list[int]], list[int]] = list) -> Callable[[Wire, dict[str, Any]], None]:
    def act(wire: Wire, body: dict[str, Any]) -> None:
        ids = [*map(ord, body.get("content", body.get("prompt")))]
        wire.answer(200, json.dumps({"tokens": count(ids)}).encode())

    return act


def test_llama_server_is_asked_for_its_slots(serve: Serve) -> None:
    server = serve()
    server.models = {"data": [{"id": "m", "owned_by": "llamacpp"}]}
    properties = {"total_slots": 2, "default_generation_settings": {"n_ctx": 64}}
    server.routes["/props"] = lambda wire, _: wire.answer(200, json.dumps(properties).encode())
    far = ask(server, lambda side: look(side, ""))
    assert (far.kind, far.places, far.context_size) == (Kind.LLAMA, 2, 64)


def test_a_server_without_a_list_of_models_is_taken_by_its_word(serve: Serve) -> None:
    server = serve()
    server.routes["/v1/models"] = status(404)
    assert ask(server, lambda side: look(side, "m")) == FarSide(Kind.OPENAI, "m")


@pytest.mark.parametrize("kind", [Kind.OURS, Kind.LLAMA, Kind.VLLM])
def test_the_same_vocabulary_is_known_by_awkward_texts(kind: Kind, serve: Serve) -> None:
    server = serve()
    server.routes["/tokenize"] = tokenizer()
    ask(server, lambda side: compare(side, FarSide(kind, "m"), CodePoints()))
    asked = server.asked("/tokenize")
    assert tuple(body.get("content") or body["prompt"] for body in asked) == AWKWARD


def test_a_stranger_is_refused_in_words(serve: Serve) -> None:
    server = serve()
    server.routes["/tokenize"] = tokenizer(lambda ids: [1, *ids])
    with pytest.raises(ModelRefusedError, match="another vocabulary") as refused:
        ask(server, lambda side: compare(side, FarSide(Kind.LLAMA, "m"), CodePoints()))
    assert refused.value.code == "vocabulary"


def test_of_our_own_server_the_digest_is_compared(serve: Serve) -> None:
    server, words = serve(), CodePoints()
    far = FarSide(Kind.OURS, "m", vocabulary=vocabulary_digest(words))
    ask(server, lambda side: compare(side, far, words))
    with pytest.raises(ModelRefusedError, match="another vocabulary"):
        ask(server, lambda side: compare(side, replace(far, vocabulary="other"), words))
    assert server.requests == []


def test_a_server_that_tells_ids_is_believed_where_it_cannot_tokenize(serve: Serve) -> None:
    ask(serve(words("a")), lambda side: compare(side, FarSide(Kind.OPENAI, "m"), CodePoints()))


@pytest.mark.parametrize("act", [status(400), words("")])
def test_a_server_that_takes_or_tells_no_ids_is_refused(act: Any, serve: Serve) -> None:
    def texts(wire: Wire, body: dict[str, Any]) -> None:
        wire.begin()
        wire.event(choices=[{"text": "a", "logprobs": {"tokens": ["a"], "token_logprobs": [-1]}}])

    server = serve(texts if act is not None and act.__name__ == "act" else act)
    with pytest.raises(ModelRefusedError, match="does not tell token ids"):
        ask(server, lambda side: compare(side, FarSide(Kind.OPENAI, "m"), CodePoints()))


def counting(ignored: bool) -> Callable[[Wire, dict[str, Any]], None]:
    """A server that says how long a prompt was; it may ignore the suffix."""

    def act(wire: Wire, body: dict[str, Any]) -> None:
        if body.get("stream"):
            told = {"tokens": ["a"], "token_logprobs": [-0.5]} if "logprobs" in body else None
            events = json.dumps({"choices": [{"text": "a", "logprobs": told, "finish_reason": "stop"}]})
            wire.answer(200, f"data: {events}\n\n".encode(), "text/event-stream")
            return
        size = len(body["prompt"]) + (0 if ignored else len(body.get("suffix", "")))
        wire.answer(200, json.dumps({"usage": {"prompt_tokens": size}}).encode())

    return act


@pytest.mark.parametrize(("ignored", "hole"), [(False, "suffix"), (True, "none")])
def test_a_suffix_is_sent_where_it_is_read(ignored: bool, hole: str, serve: Serve) -> None:
    server = serve()
    server.routes["/v1/completions"] = counting(ignored)
    form = ask(server, lambda side: text_form(side, FarSide(Kind.OPENAI, "m"), "auto"))
    assert form == TextForm(hole, chances=True)


def test_what_the_settings_say_is_not_asked(serve: Serve) -> None:
    form = ask(serve(words("a", logprob=None)), lambda side: text_form(side, FarSide(Kind.OPENAI), "suffix"))
    assert form == TextForm("suffix", chances=False)


def test_a_server_that_takes_no_logprobs_gets_none(serve: Serve) -> None:
    server = serve(status(400), words("a"))
    assert ask(server, lambda side: text_form(side, FarSide(Kind.VLLM, "m"), "auto")) == TextForm()


@pytest.mark.parametrize(("code", "hole"), [(200, "infill"), (404, "none"), (501, "none"), (400, "none")])
def test_llama_server_is_asked_whether_its_model_fills_in(code: int, hole: str, serve: Serve) -> None:
    server = serve()
    server.routes["/infill"] = status(code)
    form = ask(server, lambda side: text_form(side, FarSide(Kind.LLAMA, "m"), "auto"))
    assert form == TextForm(hole, chances=True)
