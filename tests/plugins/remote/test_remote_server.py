import contextlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.plugins.remote.address import HUB_KEY, Address
from jupyter_turbopilot.plugins.remote.errors import InvalidAnswerError
from jupyter_turbopilot.plugins.remote.remote_server import (
    Kind,
    RemoteServer,
    identify,
    read_models,
)
from jupyter_turbopilot.protocol.errors import ModelRefusedError, TurbopilotError

from .conftest import Connect, Serve, with_client
from .fake_server import Act, FakeServer, completion, status
from .test_engine import ask, write

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
                slots=3,
                context_size=2048,
                top=20,
                samplers=("seed",),
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


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31m", "x" * 201])
def test_read_models_rejects_unprintable_names(name: str) -> None:
    with pytest.raises(ModelRefusedError, match="printable") as refused:
        read_models(listing({"id": name, "turbopilot": OFFER}), "", "host")
    assert name not in refused.value.message
    with pytest.raises(ModelRefusedError) as several:
        read_models(listing({"id": name}, {"id": "b"}), "", "host")
    assert name not in several.value.message


@given(JSON)
def test_read_models_accepts_or_rejects_any_json(value: Any) -> None:
    data = json.dumps(value).encode()
    for content in (data, json.dumps({"data": [value]}).encode(), listing({"id": "m", "turbopilot": value})):
        with contextlib.suppress(InvalidAnswerError, TurbopilotError):
            read_models(content, "", "host")


def test_identify_accepts_a_server_without_a_list_of_models(serve: Serve) -> None:
    server = serve()
    server.routes["/v1/models"] = status(404)
    assert with_client(server, lambda client: identify(client, "m")) == RemoteServer(Kind.OPENAI, "m")


PAGE = "/api/models/owner/model?expand=inferenceProviderMapping"


def provided(**providers: Any) -> Act:
    """Answer like Hugging Face's page of a model."""
    names = {
        name: {"status": "live", "providerId": "its/name", "task": task} for name, task in providers.items()
    }
    return lambda wire, _: wire.answer(200, json.dumps({"inferenceProviderMapping": names}).encode())


@pytest.fixture
def hugging_face(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    server = serve(completion("ab"))
    root = f"http://127.0.0.1:{server.port}"
    monkeypatch.setenv(HUB_KEY, "hf_1")
    monkeypatch.setattr(f"{Address.__module__}.ROUTER", root)
    monkeypatch.setenv("HF_ENDPOINT", root)
    return server


@pytest.mark.parametrize(
    ("name", "route"),
    [
        ("together", "/v1/completions"),
        ("novita", "/v3/openai/completions"),
        ("hf-inference", "/models/its/name/v1/completions"),
    ],
)
def test_provider_completes_text_with_its_name_of_the_model(
    name: str, route: str, hugging_face: FakeServer, connect: Connect
) -> None:
    hugging_face.routes[PAGE] = provided(**{name: "text-generation"})
    hugging_face.routes[f"/{name}{route}"] = completion("ab")
    engine = connect(f"hf:{name}", model="owner/model")
    assert write(engine, replace(ask(), tenant="t")) == b"ab"
    body = hugging_face.asked(f"/{name}{route}")[-1]
    assert (body["prompt"], body["model"], body["max_tokens"]) == ("x = ", "its/name", 16)
    assert not {"suffix", "cache_salt"} & body.keys()
    assert {headers["authorization"] for _, headers, _ in hugging_face.requests} == {"Bearer hf_1"}


def test_provider_that_only_chats_is_rejected(hugging_face: FakeServer, connect: Connect) -> None:
    hugging_face.routes[PAGE] = provided(together="conversational")
    for name in ("together", "groq"):
        with pytest.raises(ModelRefusedError, match="only support chat"):
            connect(f"hf:{name}", model="owner/model")
    hugging_face.routes[PAGE] = lambda wire, _: wire.answer(200, b'{"inferenceProviderMapping": null}')
    for model in ("owner/model", "no/model"):
        with pytest.raises(ModelRefusedError, match="only support chat"):
            connect("hf:together", model=model)
