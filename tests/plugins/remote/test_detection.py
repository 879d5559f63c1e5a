from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from jupyter_turbopilot.engine.base import SAMPLERS
from jupyter_turbopilot.engine.vocabulary import CodePoints
from jupyter_turbopilot.plugins.remote.address import read_addresses
from jupyter_turbopilot.plugins.remote.detection import (
    AWKWARD,
    TextForm,
    capabilities_of,
    check_vocabulary,
    choose_dialect,
    identify,
    text_form,
)
from jupyter_turbopilot.plugins.remote.errors import RemoteRefusalError
from jupyter_turbopilot.plugins.remote.http_client import HttpClient
from jupyter_turbopilot.plugins.remote.llama_dialect import LlamaDialect
from jupyter_turbopilot.plugins.remote.openai_dialect import OpenAIDialect
from jupyter_turbopilot.plugins.remote.remote_server import Kind, RemoteServer
from jupyter_turbopilot.plugins.remote.settings import TurbopilotRemote
from jupyter_turbopilot.plugins.remote.text_prompt import Spellings
from jupyter_turbopilot.protocol.errors import ModelRefusedError

from .conftest import Serve
from .fake_server import Act, FarServer, Wire, completion, status

T = TypeVar("T")


def ask(server: FarServer, question: Callable[[HttpClient], Coroutine[Any, Any, T]]) -> T:
    async def asked() -> T:
        side = HttpClient(read_addresses([server.url], allow_http=False)[0], "", 5.0)
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


def test_identify_accepts_a_server_without_a_list_of_models(serve: Serve) -> None:
    server = serve()
    server.routes["/v1/models"] = status(404)
    assert ask(server, lambda side: identify(side, "m")) == RemoteServer(Kind.OPENAI, "m")


@pytest.mark.parametrize("kind", [Kind.OURS, Kind.LLAMA, Kind.VLLM])
def test_check_vocabulary_compares_awkward_texts(kind: Kind, serve: Serve) -> None:
    server = serve()
    server.routes["/tokenize"] = tokenizer()
    ask(server, lambda side: check_vocabulary(side, RemoteServer(kind, "m"), CodePoints()))
    asked = server.asked("/tokenize")
    assert tuple(body.get("content") or body["prompt"] for body in asked) == AWKWARD


def test_check_vocabulary_rejects_another_vocabulary(serve: Serve) -> None:
    server = serve()
    server.routes["/tokenize"] = tokenizer(lambda ids: [1, *ids])
    with pytest.raises(ModelRefusedError, match="another vocabulary") as refused:
        ask(server, lambda side: check_vocabulary(side, RemoteServer(Kind.LLAMA, "m"), CodePoints()))
    assert refused.value.code == "vocabulary"


def test_check_vocabulary_accepts_ids_without_a_tokenize_route(serve: Serve) -> None:
    ask(
        serve(completion("a")),
        lambda side: check_vocabulary(side, RemoteServer(Kind.OPENAI, "m"), CodePoints()),
    )


@pytest.mark.parametrize("act", [status(400), completion("")])
def test_check_vocabulary_rejects_a_server_without_ids(act: Any, serve: Serve) -> None:
    def texts(wire: Wire, body: dict[str, Any]) -> None:
        wire.begin()
        wire.event(choices=[{"text": "a", "logprobs": {"tokens": ["a"], "token_logprobs": [-1]}}])

    server = serve(texts if act is not None and act.__name__ == "act" else act)
    with pytest.raises(ModelRefusedError, match="does not send token ids"):
        ask(server, lambda side: check_vocabulary(side, RemoteServer(Kind.OPENAI, "m"), CodePoints()))


def picky(*refused: str, logprob: float | None = -0.5) -> Act:
    """Reject bodies with any of these fields."""

    def act(wire: Wire, body: dict[str, Any]) -> None:
        if body.keys() & {*refused}:
            wire.answer(400, b"{}")
        else:
            completion("a", logprob=logprob if "logprobs" in body else None)(wire, body)

    return act


@pytest.mark.parametrize(
    ("refused", "form"),
    [
        ([], TextForm("suffix", logprobs=True)),
        (["suffix"], TextForm("none", logprobs=True)),
        (["logprobs"], TextForm("suffix", logprobs=False)),
        (["suffix", "logprobs"], TextForm("none", logprobs=False)),
    ],
)
def test_text_form_uses_the_first_accepted_format(refused: list[str], form: TextForm, serve: Serve) -> None:
    server = serve(picky(*refused))
    assert ask(server, lambda side: text_form(side, RemoteServer(Kind.OPENAI, "m"), "auto")) == form
    assert len(server.asked("/v1/completions")) <= 4


def test_text_form_reports_a_server_that_only_chats(serve: Serve) -> None:
    with pytest.raises(RemoteRefusalError, match="only chat"):
        ask(serve(status(404)), lambda side: text_form(side, RemoteServer(Kind.OPENAI, "m"), "auto"))


def test_text_form_uses_only_the_configured_format(serve: Serve) -> None:
    server = serve(picky(logprob=None))
    form = ask(server, lambda side: text_form(side, RemoteServer(Kind.OPENAI), "none"))
    assert form == TextForm("none", logprobs=False)
    (body,) = server.asked("/v1/completions")
    assert "suffix" not in body


@pytest.mark.parametrize(("code", "hole"), [(200, "infill"), (404, "none"), (501, "none"), (400, "none")])
def test_text_form_tries_infill_with_llama_server(code: int, hole: str, serve: Serve) -> None:
    def act(wire: Wire, body: dict[str, Any]) -> None:
        wire.begin()
        wire.event(content="a", completion_probabilities=[{"id": 1, "logprob": -0.5}], stop=True)

    server = serve()
    server.routes |= {"/infill": act if code == 200 else status(code), "/completion": act}
    form = ask(server, lambda side: text_form(side, RemoteServer(Kind.LLAMA, "m"), "auto"))
    assert form == TextForm(hole, logprobs=True)


OURS = RemoteServer(
    Kind.OURS, slots=5, top=9, prefix_constraints=True, logprobs=True, prefetch=True, samplers=SAMPLERS
)


@pytest.mark.parametrize(
    ("kind", "hole", "dialect"),
    [
        (Kind.OPENAI, "infill", LlamaDialect),
        (Kind.LLAMA, "infill", LlamaDialect),
        (Kind.LLAMA, "none", LlamaDialect),
        (Kind.LLAMA, "suffix", OpenAIDialect),
        (Kind.OPENAI, "suffix", OpenAIDialect),
    ],
)
def test_choose_dialect_uses_the_dialect_for_the_format(kind: Kind, hole: str, dialect: type) -> None:
    form = TextForm(hole, logprobs=False)
    spoken = choose_dialect(RemoteServer(kind), None, form, Spellings())
    capabilities = capabilities_of(RemoteServer(kind), spoken, TurbopilotRemote(), form)
    assert type(spoken) is dialect
    assert (capabilities.prefix_constraints, capabilities.logprobs) == (False, False)
    if dialect is LlamaDialect:
        assert not {"drawn", "logit_bias"} & capabilities.samplers  # they need token ids


@pytest.mark.parametrize(("ahead", "allowed"), [("auto", False), ("yes", True), ("no", False)])
def test_text_is_prefetched_only_if_configured(ahead: str, allowed: bool) -> None:
    form, remote = TextForm("suffix", logprobs=True), TurbopilotRemote(prefetch=ahead, slots=3)
    dialect = choose_dialect(RemoteServer(Kind.OPENAI), None, form, Spellings())
    capabilities = capabilities_of(RemoteServer(Kind.OPENAI), dialect, remote, form)
    assert (capabilities.prefetch, capabilities.logprobs, capabilities.slots) == (allowed, True, 3)


def test_slots_setting_overrides_the_reported_slots() -> None:
    dialect = choose_dialect(OURS, CodePoints(), TextForm(), Spellings())
    for places, expected in ((0, 5), (3, 3), (64, 64)):
        assert capabilities_of(OURS, dialect, TurbopilotRemote(slots=places)).slots == expected
    assert capabilities_of(RemoteServer(Kind.VLLM), dialect, TurbopilotRemote()).slots == 4
