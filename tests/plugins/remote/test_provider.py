from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest

from jupyter_turbopilot.plugins.remote.address import HUB_KEY, Address
from jupyter_turbopilot.plugins.remote.dialect import Request
from jupyter_turbopilot.plugins.remote.errors import (
    AskedToWaitError,
    DiedError,
    RemoteRefusalError,
)
from jupyter_turbopilot.plugins.remote.provider import ProviderClient, ProviderDialect, ensure_installed
from jupyter_turbopilot.plugins.remote.text_prompt import Spellings
from jupyter_turbopilot.protocol.engine_request import EngineRequest, Sampling
from jupyter_turbopilot.protocol.errors import EngineError, ModelRefusedError

from ...serving import Server
from ...tiny_model import write_tiny_model
from .conftest import Connect, Serve
from .fake_server import FarServer, Wire, status
from .test_engine import ask, write
from .test_text_prompt import ids

DIALECT = ProviderDialect(Spellings())


def stream(address: Address, key: str = "hf_1") -> bytes:
    async def received() -> bytes:
        side = ProviderClient(address, key, "owner/model", 5.0)
        events = side.stream(Request("", {"prompt": "x", "max_new_tokens": 4}), DIALECT)
        return b"".join([token.data async for one in events for token in one.tokens])

    return asyncio.run(received())


def here(server: FarServer) -> Address:
    return Address(f"http://127.0.0.1:{server.port}/v1/completions", "host", "url", local=True)


def generated(server: Server, prompt: str) -> str:
    body = {"inputs": prompt, "parameters": {"max_new_tokens": 3}}
    return str(server.client.post("/api/generate", json=body).json()["generated_text"])


def generates(wire: Wire, body: dict[str, Any]) -> None:
    token = {"id": 1, "text": "a", "logprob": -1, "special": False}
    event = {"token": token, "generated_text": "a", "details": None}
    wire.answer(200, b"data:" + json.dumps(event).encode() + b"\n\n", "text/event-stream")


def test_provider_generates_with_a_text_generation_server(
    tmp_path: Path, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = Server(write_tiny_model(tmp_path / "tiny.gguf"))
    try:
        monkeypatch.setenv(HUB_KEY, server.key)
        engine = connect(f"hf:{server.url}/api/generate", vocabulary=None, timeout=20.0)
        # A random model rarely generates valid text, so search a prompt for which it does.
        texts = {f"import {number}": generated(server, f"import {number}") for number in range(99)}
        prompt = next(prompt for prompt, text in texts.items() if text.isascii() and len(text) == 3)
        assert write(engine, ask(prompt, 3)).decode() == texts[prompt]
        assert not engine.capabilities.logprobs
    finally:
        server.stop()


def test_request_contains_only_common_fields() -> None:
    request = DIALECT.request(EngineRequest(ids("x"), Sampling(4, temperature=0.5, top_p=0.9, seed=3)))
    assert request is not None
    assert request.body == {"prompt": "x", "max_new_tokens": 4, "temperature": 0.5, "top_p": 0.9, "seed": 3}
    plain = DIALECT.request(EngineRequest(ids("x"), Sampling(0)))
    assert plain is not None
    assert plain.body == {"prompt": "x", "max_new_tokens": 1}
    assert DIALECT.request(EngineRequest(ids("'</s>"))) is None


def test_stream_never_sends_the_token_of_the_hub_login(serve: Serve) -> None:
    server = serve(generates)
    assert stream(here(server)) == b"a"
    assert stream(here(server), "") == b"a"
    assert [headers["authorization"] for _, headers, _ in server.requests] == ["Bearer hf_1", "Bearer none"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [(401, RemoteRefusalError), (500, RemoteRefusalError), (429, AskedToWaitError), (503, AskedToWaitError)],
)
def test_stream_reports_a_rejection_without_quoting_it(
    code: int, kind: type[Exception], serve: Serve
) -> None:
    with pytest.raises(kind) as refused:
        stream(here(serve(status(code, Retry_After="3"))))
    assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_stream_rejects_redirects(code: int, serve: Serve) -> None:
    other = serve(generates)
    first = serve(status(code, Location=other.url + "/completions"))
    with pytest.raises(RemoteRefusalError, match="redirects"):
        stream(here(first))
    assert (len(first.requests), other.requests) == (1, [])


def test_proxy_is_not_used_for_this_machine(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy, server = serve(status(502)), serve(generates)
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
    for variable in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(variable, raising=False)
    assert stream(here(server)) == b"a"
    assert proxy.requests == []


def test_stream_keeps_the_librarys_global_client(serve: Serve) -> None:
    before = huggingface_hub.utils._http._GLOBAL_ASYNC_CLIENT_FACTORY
    assert stream(here(serve(generates))) == b"a"
    assert huggingface_hub.utils._http._GLOBAL_ASYNC_CLIENT_FACTORY is before


def test_ensure_installed_rejects_a_library_that_would_redirect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "AsyncInferenceClient", object)
    with pytest.raises(ModelRefusedError, match="redirects"):
        ensure_installed()


def test_stream_reports_an_unreachable_server(serve: Serve) -> None:
    server = serve()
    server.stop()
    with pytest.raises(DiedError):
        stream(here(server))


@pytest.mark.parametrize("name", ["groq", "unknown"])
def test_stream_rejects_a_provider_that_only_chats(name: str) -> None:
    with pytest.raises(EngineError, match="chat"):
        stream(Address("", f"hf:{name}", name))


def test_ensure_installed_names_the_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelRefusedError, match=r"jupyter-turbopilot\[remote\]"):
        ensure_installed()


@pytest.mark.parametrize("reason", ["eos_token", "length"])
def test_read_reports_a_text_cut_at_a_limit(reason: str) -> None:
    token = SimpleNamespace(text="a", logprob=None, special=False)
    details = SimpleNamespace(finish_reason=reason)
    received = DIALECT.read(SimpleNamespace(token=token, generated_text="a", details=details))
    assert (received.ended, received.cut) == (True, reason == "length")
