from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.plugins.remote.errors import InvalidAnswerError
from jupyter_turbopilot.plugins.remote.remote_server import (
    Kind,
    RemoteServer,
    read_json,
    read_models,
    read_properties,
)
from jupyter_turbopilot.protocol.errors import EngineGoneError, ModelRefusedError, TurbopilotError

OFFER = {
    "version": 1,
    "slots": 3,
    "context_size": 2048,
    "top": 20,
    "identity": "i",
    "vocabulary": "v",
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def listing(*entries: dict[str, Any]) -> bytes:
    return json.dumps({"object": "list", "data": entries}).encode()


@pytest.mark.parametrize(
    ("entry", "peer"),
    [
        ({"id": "m"}, RemoteServer(Kind.OPENAI, "m")),
        ({"id": "m", "owned_by": "llamacpp", "meta": {}}, RemoteServer(Kind.LLAMA, "m")),
        ({"id": "m", "owned_by": "vllm", "max_model_len": 99}, RemoteServer(Kind.VLLM, "m", context_size=99)),
        (
            {
                "id": "m",
                "owned_by": "jupyter-turbopilot",
                "turbopilot": OFFER | {"prefix_constraints": False, "samplers": ["seed"]},
            },
            RemoteServer(
                Kind.OURS,
                "m",
                3,
                2048,
                20,
                logprobs=True,
                samplers=frozenset({"seed"}),
                version="i",
                vocabulary="v",
            ),
        ),
    ],
)
def test_read_models_recognizes_the_software(entry: dict[str, Any], peer: RemoteServer) -> None:
    assert read_models(listing(entry), "", "host") == peer


def test_read_models_chooses_the_named_or_only_model() -> None:
    several = listing({"id": "a"}, {"id": "b"})
    assert read_models(several, "b", "host").model == "b"
    with pytest.raises(ModelRefusedError, match=r"several models.*a, b"):
        read_models(several, "", "host")
    with pytest.raises(ModelRefusedError, match="does not have the model"):
        read_models(listing({"id": "a"}), "c", "host")


def test_identity_depends_on_model_and_version() -> None:
    one = RemoteServer(Kind.OURS, "m", version="1")
    assert (
        len(
            {
                one.identity,
                RemoteServer(Kind.OURS, "n", version="1").identity,
                RemoteServer(Kind.OURS, "m").identity,
            }
        )
        == 3
    )


@pytest.mark.parametrize(
    ("more", "lasting"),
    [
        ({"turbopilot": OFFER | {"persistent": True}}, True),
        ({"turbopilot": OFFER | {"persistent": True, "identity": ""}}, False),
        ({"turbopilot": OFFER}, False),  # it uses another remote server, whose version it does not know
        ({"owned_by": "llamacpp"}, False),
        ({"owned_by": "vllm"}, False),
        ({}, False),
    ],
)
def test_lasting_only_if_the_server_reports_it(more: dict[str, Any], lasting: bool) -> None:
    assert read_models(listing({"id": "default"} | more), "", "host").persistent is lasting


@pytest.mark.parametrize(
    "data", [b"", b"<html>", b"[" * 100_000, b'{"tokens": "1"}', b'{"tokens": [1.5]}', b"\xff", b"9" * 5000]
)
def test_read_json_never_quotes_invalid_data(data: bytes) -> None:
    with pytest.raises(InvalidAnswerError) as strange:
        read_json(data, dict[str, list[int]])
    assert data.decode("latin1") not in str(strange.value) or not data


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31m", "x" * 201])
def test_read_models_rejects_unprintable_names(name: str) -> None:
    with pytest.raises(ModelRefusedError, match="printable") as refused:
        read_models(listing({"id": name, "turbopilot": OFFER}), "", "host")
    assert name not in refused.value.message
    with pytest.raises(ModelRefusedError) as several:
        read_models(listing({"id": name}, {"id": "b"}), "", "host")
    assert name not in several.value.message
    for field in ("identity", "vocabulary"):
        with pytest.raises(InvalidAnswerError):
            read_models(listing({"id": "m", "turbopilot": OFFER | {field: name}}), "", "host")


@given(st.integers(), st.integers())
def test_read_models_limits_slots_and_context(places: int, size: int) -> None:
    ours = {"id": "m", "turbopilot": OFFER | {"slots": places, "context_size": size}}
    properties = {"total_slots": places, "default_generation_settings": {"n_ctx": size}}
    servers = [
        read_models(listing({"id": "m", "owned_by": "vllm", "max_model_len": size}), "", "host"),
        read_properties(json.dumps(properties).encode(), RemoteServer(Kind.LLAMA, "m")),
    ]
    if size > 0:
        servers.append(read_models(listing(ours), "", "host"))
        assert servers[-1].slots > 0
    else:
        with pytest.raises(EngineGoneError):
            read_models(listing(ours), "", "host")
    for peer in servers:
        assert 0 <= peer.slots <= 256
        assert peer.context_size == 0 if size <= 0 else 64 <= peer.context_size <= 1 << 24


@given(JSON)
def test_read_models_accepts_or_rejects_any_json(value: Any) -> None:
    data = json.dumps(value).encode()
    for content in (data, json.dumps({"data": [value]}).encode(), listing({"id": "m", "turbopilot": value})):
        with contextlib.suppress(InvalidAnswerError, TurbopilotError):
            read_models(content, "", "host")


def test_read_json_accepts_nan() -> None:
    assert read_json(b"[NaN]", list[float])[0] != 0
