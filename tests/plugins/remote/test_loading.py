import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.vocabulary import CHARACTERS
from jupyter_turbopilot.plugins.remote.address import ENGINE_KEY
from jupyter_turbopilot.plugins.remote.errors import RemoteRefusalError
from jupyter_turbopilot.plugins.remote.llama_dialect import LlamaDialect
from jupyter_turbopilot.plugins.remote.loading import (
    AWKWARD,
    CONTEXT_SIZE,
    capabilities_of,
    check_vocabulary,
    choose_dialect,
    choose_text_dialect,
    client_for,
    load,
    text_dialects,
)
from jupyter_turbopilot.plugins.remote.openai_dialect import OpenAIDialect
from jupyter_turbopilot.plugins.remote.remote_server import Kind, RemoteServer
from jupyter_turbopilot.plugins.remote.settings import TurbopilotRemote
from jupyter_turbopilot.plugins.remote.vocabulary import CodePoints
from jupyter_turbopilot.protocol.engine_request import PrefixConstraint, Sampling
from jupyter_turbopilot.protocol.errors import (
    CancelledError,
    EngineGoneError,
    ModelRefusedError,
    TurbopilotError,
)
from jupyter_turbopilot.settings.config import Turbopilot

from .conftest import Connect, Serve, with_client
from .fake_server import Act, FakeServer, Wire, always, completion, settings_for, status
from .test_engine import ask, write


def tokenizer(count: Callable[[list[int]], list[int]] = list) -> Callable[[Wire, dict[str, Any]], None]:
    def act(wire: Wire, body: dict[str, Any]) -> None:
        ids = [*map(ord, body.get("content", body.get("prompt")))]
        wire.answer(200, json.dumps({"tokens": count(ids)}).encode())

    return act


def picky(*refused: str, logprob: float | None = -0.5) -> Act:
    """Reject bodies with any of these fields."""

    def act(wire: Wire, body: dict[str, Any]) -> None:
        if body.keys() & {*refused}:
            wire.answer(400, b"{}")
        else:
            completion("a", logprob=logprob if "logprobs" in body else None)(wire, body)

    return act


OFFER = {"version": 1, "slots": 3, "context_size": 2048, "top": 20, "samplers": ["temperature", "seed"]}
OFFER |= {"prefix_constraints": True}


def ours(serve: Serve, **offer: Any) -> FakeServer:
    server = serve(completion("a"))
    server.models = {"data": [{"id": "far", "turbopilot": OFFER | offer}]}
    server.routes["/tokenize"] = tokenizer()
    return server


def test_load_uses_the_capabilities_of_a_turbopilot_server(serve: Serve, connect: Connect) -> None:
    engine = connect(ours(serve, identity="1", logprobs=False))
    capabilities = engine.capabilities
    assert (engine.name, engine.context_size, engine.vocabulary.unit) == ("far", 2048, CHARACTERS)
    assert (capabilities.slots, capabilities.prefix_constraints, capabilities.logprobs, capabilities.top) == (
        3,
        True,
        False,
        20,
    )
    assert (capabilities.samplers, capabilities.prefetch, capabilities.remote) == (
        {"temperature", "seed"},
        True,
        True,
    )
    assert connect(ours(serve, identity="2")).identity != engine.identity
    assert not capabilities.persistent
    assert connect(ours(serve, identity="2", persistent=True)).capabilities.persistent
    assert write(engine, ask()) == b"a"


def llama(serve: Serve, text: str) -> FakeServer:
    """Return a scripted llama-server that generates a text, whose tokens are its characters."""
    server = serve()
    server.models = {"data": [{"id": "m", "owned_by": "llamacpp"}]}
    server.routes["/tokenize"] = tokenizer()

    def completion(wire: Wire, body: dict[str, Any]) -> None:
        at = len(body["prompt"]) - len(ask().prompt)
        wire.begin()
        for character in text[at : at + body["n_predict"]]:
            token = ord(character)
            listed = [{"id": token, "logprob": -2.0}, {"id": 33, "logprob": -0.5}][: body["n_probs"]]
            listing = {"id": token, "logprob": -2.0, "top_logprobs": listed}
            wire.event(content=character, tokens=[token], completion_probabilities=[listing])
        wire.event(content="", stop=True, stop_type="limit")

    server.routes["/completion"] = completion
    return server


@pytest.mark.parametrize(
    "beginning",
    [PrefixConstraint((b"lin",), 1), PrefixConstraint(banned=33), PrefixConstraint((b"!", b"lin"), 1, 33)],
)
def test_llama_server_gets_two_requests_for_a_prefix_constraint(
    beginning: PrefixConstraint, serve: Serve, connect: Connect
) -> None:
    server = llama(serve, "line = 1")
    engine = connect(server)
    asked = replace(ask(), sampling=Sampling(8, beginning=beginning))
    assert write(engine, asked) == b"line = 1"[beginning.typed :]
    first, rest = server.asked("/completion")
    assert ("grammar" in first, "grammar" in rest) == (bool(beginning.candidates), bool(beginning.candidates))
    assert (first["n_predict"], rest["n_predict"]) == (1, 7)
    assert bool(first.get("logit_bias")) == (beginning.banned is not None)
    assert "logit_bias" not in rest


@pytest.mark.parametrize(("text", "limit"), [("", 8), ("line", 0)])
def test_llama_server_gets_one_request_without_a_first_token(
    text: str, limit: int, serve: Serve, connect: Connect
) -> None:
    server = llama(serve, text)
    asked = replace(ask(), sampling=Sampling(limit, beginning=PrefixConstraint(banned=33)))
    assert write(connect(server), asked) == b""
    assert len(server.asked("/completion")) == 1


def test_load_uses_the_slots_of_llama_server(serve: Serve, connect: Connect) -> None:
    server = llama(serve, "")
    properties = {"total_slots": 2, "default_generation_settings": {"n_ctx": 64}}
    server.routes["/props"] = lambda wire, _: wire.answer(200, json.dumps(properties).encode())

    def completion(wire: Wire, body: dict[str, Any]) -> None:
        events = [
            {"content": "ab", "tokens": [98], "completion_probabilities": [{"id": 98, "logprob": -0.1}]},
            {"content": "", "stop": True, "tokens": [], "timings": {"cache_n": 2}},
        ]
        data = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
        wire.answer(200, data, "text/event-stream")

    server.routes["/completion"] = completion
    engine = connect(server)
    capabilities = engine.capabilities
    assert (
        capabilities.slots,
        capabilities.prefix_constraints,
        capabilities.logprobs,
        engine.context_size,
    ) == (2, True, True, 64)
    asked = ask()
    assert write(engine, asked) == b"ab"
    assert asked.usage.cached_tokens == 2
    server.routes["/infill"] = status(501)
    text = connect(server, vocabulary=None)
    assert text.vocabulary.markers.middle is None
    assert write(text, ask()) == b"ab"


def test_load_without_a_vocabulary_uses_characters(serve: Serve, connect: Connect) -> None:
    server = serve()
    server.models = {"data": [{"id": "far"}]}
    server.routes["/v1/completions"] = picky()
    engine = connect(server, vocabulary=None)
    capabilities = engine.capabilities
    assert engine.context_size == CONTEXT_SIZE * CHARACTERS
    assert engine.vocabulary.markers.middle is not None
    assert (
        capabilities.prefix_constraints,
        capabilities.logprobs,
        capabilities.top,
        capabilities.prefetch,
    ) == (False, True, 0, False)
    assert write(engine, ask()) == b"a"


def test_engine_sends_nothing_if_the_line_contains_a_marker(serve: Serve) -> None:
    server = serve()
    server.routes["/v1/completions"] = picky()
    engine = load(settings_for(server), Cancel(), always(None))
    try:
        before = len(server.requests)
        assert write(engine, ask("x = '<|fim_middle|>")) == b""
        assert len(server.requests) == before
    finally:
        engine.close()


def test_load_prefetches_with_token_ids(serve: Serve, connect: Connect) -> None:
    assert connect(serve(completion("a"))).capabilities.prefetch


def test_load_reports_a_server_that_fails_the_vocabulary_check(serve: Serve, connect: Connect) -> None:
    server = serve(completion("a"))
    server.routes["/tokenize"] = lambda _wire, _body: None  # hangs up
    with pytest.raises(EngineGoneError, match="cannot be reached"):
        connect(server)
    assert server.asked("/tokenize")


def test_load_requests_the_vocabulary_by_model_name(serve: Serve) -> None:
    asked = []

    def vocabulary_of(model: str) -> CodePoints:
        asked.append(model)
        return CodePoints()

    load(settings_for(serve(completion("a"))), Cancel(), vocabulary_of).close()
    assert asked == ["", "far"]


def test_load_names_an_unreachable_host_without_the_key(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENGINE_KEY, "sk-hush")
    server = serve()
    server.stop()
    with pytest.raises(EngineGoneError, match=f"{server.port}.*nothing answers") as gone:
        load(settings_for(server), Cancel(), always(CodePoints()))
    assert "hush" not in repr(gone.value)


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([], "has no model"),
        (None, "has no model"),
        ([{"id": "far", "turbopilot": {"version": 1}}], "not loaded its model yet"),
        ([{"id": "far", "turbopilot": {"version": 1, "missing": True}}], "no usable model"),
    ],
)
def test_load_distinguishes_missing_and_loading_models(
    models: list[dict[str, Any]] | None, message: str, serve: Serve
) -> None:
    server = serve()
    server.models = {"data": models}
    with pytest.raises(EngineGoneError, match=message):
        load(settings_for(server), Cancel(), always(CodePoints()))


@pytest.mark.parametrize(("code", "after"), [(503, 7.0), (429, 7.0)])
def test_load_honours_retry_after(code: int, after: float, serve: Serve) -> None:
    server = serve()
    server.routes["/v1/models"] = status(code, Retry_After="7")
    with pytest.raises(EngineGoneError) as gone:
        load(settings_for(server), Cancel(), always(CodePoints()))
    assert gone.value.after == after


@pytest.mark.parametrize("content", [b"<html>SECRET", b"", b"\xff", b"[" * 9999])
def test_load_reports_an_invalid_server(content: bytes, serve: Serve) -> None:
    server = serve()
    server.routes["/v1/models"] = lambda wire, _: wire.answer(200, content, "text/html")
    with pytest.raises(TurbopilotError, match=r"c\.TurbopilotRemote\.url") as refused:
        load(settings_for(server), Cancel(), always(CodePoints()))
    assert "SECRET" not in refused.value.message


def test_load_can_be_cancelled(serve: Serve) -> None:
    cancel, go = Cancel(), threading.Event()

    def act(wire: Wire, body: dict[str, Any]) -> None:
        cancel.set("test")
        go.wait(30)

    server = serve()
    server.routes["/v1/models"] = act
    with pytest.raises(CancelledError):
        load(settings_for(server), cancel, always(CodePoints()))
    go.set()


def test_client_validates_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert client_for(settings_for("https://far.example/v1")).address.host == "far.example"
    with pytest.raises(ModelRefusedError):
        client_for(settings_for("https://me:hush@far.example"))
    with pytest.raises(ModelRefusedError, match=r"c\.TurbopilotRemote\.model"):
        client_for(settings_for("hf:together"))
    monkeypatch.setenv(ENGINE_KEY, "two words")
    with pytest.raises(ModelRefusedError, match=ENGINE_KEY):
        client_for(settings_for("http://127.0.0.1:1"))
    with pytest.raises(ModelRefusedError, match="url is empty"):
        client_for(Turbopilot())


def test_load_never_sends_the_jupyterhub_token_to_a_redirect(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "hub-token")
    other = serve(completion("a"))
    server = serve(completion("a"))
    server.routes["/v1/models"] = lambda wire, _: wire.answer(307, b"", Location=f"{other.url}/v1/models")
    with pytest.raises(TurbopilotError, match="redirects"):
        load(settings_for(server, auth="jupyterhub"), Cancel(), always(CodePoints()))
    assert [headers["authorization"] for _, headers, _ in server.requests] == ["Bearer hub-token"]
    assert other.requests == []


@pytest.mark.parametrize(("code", "message"), [(401, "revoked"), (403, "firewall"), (503, "JupyterHub")])
def test_load_explains_a_rejected_jupyterhub_token(
    code: int, message: str, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "hub-token")
    server = serve()
    server.routes["/v1/models"] = status(code)
    with pytest.raises(TurbopilotError, match=message) as refused:
        load(settings_for(server, auth="jupyterhub"), Cancel(), always(CodePoints()))
    assert ENGINE_KEY not in refused.value.message


@pytest.mark.parametrize("kind", [Kind.OURS, Kind.LLAMA, Kind.VLLM])
def test_check_vocabulary_compares_awkward_texts(kind: Kind, serve: Serve) -> None:
    server = serve()
    server.routes["/tokenize"] = tokenizer()
    with_client(server, lambda client: check_vocabulary(client, RemoteServer(kind, "m"), CodePoints()))
    asked = server.asked("/tokenize")
    assert tuple(body.get("content") or body["prompt"] for body in asked) == AWKWARD


def test_check_vocabulary_rejects_another_vocabulary(serve: Serve) -> None:
    server = serve()
    server.routes["/tokenize"] = tokenizer(lambda ids: [1, *ids])
    with pytest.raises(ModelRefusedError, match="another vocabulary") as refused:
        with_client(
            server, lambda client: check_vocabulary(client, RemoteServer(Kind.LLAMA, "m"), CodePoints())
        )
    assert refused.value.code == "vocabulary"


def test_check_vocabulary_accepts_ids_without_a_tokenize_route(serve: Serve) -> None:
    with_client(
        serve(completion("a")),
        lambda client: check_vocabulary(client, RemoteServer(Kind.OPENAI, "m"), CodePoints()),
    )


@pytest.mark.parametrize("act", [status(400), completion("")])
def test_check_vocabulary_rejects_a_server_without_ids(act: Any, serve: Serve) -> None:
    def texts(wire: Wire, body: dict[str, Any]) -> None:
        wire.begin()
        wire.event(choices=[{"text": "a", "logprobs": {"tokens": ["a"], "token_logprobs": [-1]}}])

    server = serve(texts if act is not None and act.__name__ == "act" else act)
    with pytest.raises(ModelRefusedError, match="does not send token ids"):
        with_client(
            server, lambda client: check_vocabulary(client, RemoteServer(Kind.OPENAI, "m"), CodePoints())
        )


@pytest.mark.parametrize(
    ("refused", "fills", "logprobs"),
    [
        ([], True, True),
        (["suffix"], False, True),
        (["logprobs"], True, False),
        (["suffix", "logprobs"], False, False),
    ],
)
def test_text_is_sent_in_the_first_accepted_format(
    refused: list[str], fills: bool, logprobs: bool, serve: Serve
) -> None:
    server = serve(picky(*refused))
    assert form_of(server, Kind.OPENAI) == (OpenAIDialect, fills, logprobs)
    assert len(server.asked("/v1/completions")) <= 4


def form_of(server: FakeServer, kind: Kind, fim: str = "auto") -> tuple[type, bool, bool]:
    """Return the dialect for text that is chosen for a server, whether it sends suffixes, and gets logprobs."""
    peer = RemoteServer(kind, "m")
    dialect = with_client(server, lambda client: choose_text_dialect(client, peer, fim))
    return type(dialect), dialect.fills, dialect.logprobs


def test_text_is_sent_without_logprobs_that_cannot_be_read(serve: Serve) -> None:
    def act(wire: Wire, body: dict[str, Any]) -> None:
        wire.begin()
        wire.event(choices=[{"text": "a", "logprobs": 0.5 if "logprobs" in body else None}])

    assert form_of(serve(act), Kind.PROVIDER) == (OpenAIDialect, False, False)


def test_load_reports_a_server_that_only_chats(serve: Serve) -> None:
    with pytest.raises(RemoteRefusalError, match="only chat"):
        form_of(serve(status(404)), Kind.OPENAI)


def test_text_is_sent_only_in_the_configured_format(serve: Serve) -> None:
    server = serve(picky(logprob=None))
    assert form_of(server, Kind.OPENAI, "none") == (OpenAIDialect, False, False)
    (body,) = server.asked("/v1/completions")
    assert "suffix" not in body


@pytest.mark.parametrize(("code", "fills"), [(200, True), (404, False), (501, False), (400, False)])
def test_infill_is_tried_with_llama_server(code: int, fills: bool, serve: Serve) -> None:
    def act(wire: Wire, body: dict[str, Any]) -> None:
        wire.begin()
        wire.event(content="a", completion_probabilities=[{"id": 1, "logprob": -0.5}], stop=True)

    server = serve()
    server.routes |= {"/infill": act if code == 200 else status(code), "/completion": act}
    assert form_of(server, Kind.LLAMA) == (LlamaDialect, fills, True)


OURS = RemoteServer(Kind.OURS, slots=5, top=9, prefix_constraints=True)


@pytest.mark.parametrize(
    ("kind", "fim", "dialect"),
    [
        (Kind.OPENAI, "infill", LlamaDialect),
        (Kind.LLAMA, "infill", LlamaDialect),
        (Kind.LLAMA, "none", LlamaDialect),
        (Kind.LLAMA, "suffix", OpenAIDialect),
        (Kind.OPENAI, "suffix", OpenAIDialect),
    ],
)
def test_text_dialects_depend_on_the_setting(kind: Kind, fim: str, dialect: type) -> None:
    first, *_ = text_dialects(RemoteServer(kind), fim)
    capabilities = capabilities_of(RemoteServer(kind), first, TurbopilotRemote())
    assert type(first) is dialect
    assert first.fills is (fim != "none")
    assert not capabilities.prefix_constraints
    if dialect is LlamaDialect:
        assert not {"drawn", "logit_bias"} & capabilities.samplers  # they need token ids


def test_text_is_not_prefetched() -> None:
    dialect, *_ = text_dialects(RemoteServer(Kind.OPENAI), "auto")
    capabilities = capabilities_of(RemoteServer(Kind.OPENAI), dialect, TurbopilotRemote(slots=3))
    assert (capabilities.prefetch, capabilities.logprobs, capabilities.slots) == (False, True, 3)


def test_slots_setting_overrides_the_reported_slots() -> None:
    dialect = choose_dialect(OURS, CodePoints())
    for places, expected in ((0, 5), (3, 3), (64, 64)):
        assert capabilities_of(OURS, dialect, TurbopilotRemote(slots=places)).slots == expected
    assert capabilities_of(RemoteServer(Kind.VLLM), dialect, TurbopilotRemote()).slots == 4
