import base64
import contextlib
import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given

from jupyter_turbopilot.plugins.remote.errors import InvalidAnswerError
from jupyter_turbopilot.plugins.remote.openai_dialect import OpenAIDialect
from jupyter_turbopilot.plugins.remote.remote_server import Kind, RemoteServer
from jupyter_turbopilot.plugins.remote.vocabulary import CodePoints
from jupyter_turbopilot.protocol.engine_request import EngineRequest, PrefixConstraint, Sampling, Token

from .test_dialect import ids
from .test_remote_server import JSON


class Ending(CodePoints):
    def __init__(self) -> None:
        super().__init__()
        self.ends = frozenset({3})


OURS = OpenAIDialect(Ending(), server=RemoteServer(Kind.OURS, "m"))
VLLM = OpenAIDialect(Ending(), server=RemoteServer(Kind.VLLM, "m"))


def body_of(dialect: OpenAIDialect, engine_request: EngineRequest) -> dict[str, Any]:
    request = dialect.request(engine_request)
    assert request is not None
    assert request.route == "/v1/completions"
    return request.body


def event(tokens: list[str], logprobs: list[Any], top: Any = None, **more: Any) -> bytes:
    fields = {"tokens": tokens, "token_logprobs": logprobs, "top_logprobs": top}
    return json.dumps({"choices": [{"index": 0, "text": "?", "logprobs": fields} | more]}).encode()


def test_read_returns_the_version_of_a_turbopilot_server() -> None:
    data = json.dumps({"choices": [], "system_fingerprint": "1.2:0123"}).encode()
    assert OURS.read(data).version == "0123"


def test_request_to_turbopilot_contains_all_fields_of_an_ask() -> None:
    beginning = PrefixConstraint((b"pr", b"\xff"), 1, 7)
    engine_request = EngineRequest(
        (1, 2),
        Sampling(5, beginning=beginning),
        hint=(3, 4),
        aligned=False,
        suffix_span=(0, 2),
        context_end=1,
    )
    request = OURS.request(engine_request)
    assert (request.route, request.body["prompt"], request.body["max_tokens"]) == (
        "/v1/completions",
        [1, 2],
        5,
    )
    assert json.loads(msgspec.json.encode(request.body["turbopilot"])) == {
        "prefixes": [base64.b64encode(way).decode() for way in beginning.candidates],
        "typed_bytes": 1,
        "banned_token": 7,
        "draft": [3, 4],
        "draft_aligned": False,
        "stable_range": [0, 2],
        "context_end": 1,
    }


def test_request_to_other_servers_asks_for_at_least_one_token() -> None:
    sampling = Sampling(0, logit_bias=(("a", 1.0),))
    body = body_of(VLLM, EngineRequest((1,), sampling))
    assert (body["max_tokens"], body["logit_bias"]) == (1, {"97": 1.0})
    assert "turbopilot" not in body
    assert body_of(OURS, EngineRequest((1,), sampling))["max_tokens"] == 0


def test_request_sends_biases_in_openais_format() -> None:
    body = OURS.request(EngineRequest((1,), Sampling(1, logit_bias=((97, 0.5), ("ab", 1.0))))).body
    assert body["logit_bias"] == {"97": 1.5, "98": 1.0}


def test_request_to_an_unknown_server_has_only_openais_fields() -> None:
    body = (
        OpenAIDialect(CodePoints(), server=RemoteServer(Kind.OPENAI, "m"))
        .request(EngineRequest((1,), Sampling(logit_bias=((1, 1.0),))))
        .body
    )
    assert not {"logit_bias", "repetition_penalty", "repeat_penalty"} & body.keys()


def test_ids_read_returns_logprobs() -> None:
    top = [{"token_id:98": -3.0, "token_id:97": -0.5}, None]
    received = VLLM.read(event(["token_id:97", "token_id:98"], [-0.5, -1.0], top))
    assert received.tokens == [
        Token(b"a", pytest.approx(math.exp(-0.5)), 97, ((97, -0.5), (98, -3.0))),
        Token(b"b", pytest.approx(math.exp(-1.0)), 98),
    ]
    assert not received.ended


def test_ids_read_omits_end_tokens() -> None:
    received = VLLM.read(event(["token_id:97", "token_id:3"], [-0.5, -1.0], finish_reason="stop"))
    assert [token.id for token in received.tokens] == [97]
    assert received.ended


@pytest.mark.parametrize("logprobs", [[math.nan], [None], [], [7.0], [-math.inf]])
def test_ids_read_treats_invalid_logprobs_as_unknown(logprobs: list[Any]) -> None:
    assert VLLM.read(event(["token_id:97"], logprobs)).tokens == [Token(b"a", 0.0, 97)]


@pytest.mark.parametrize(
    "name",
    ["a", "token_id:", "token_id:-1", "token_id:x", "token_id:²", "token_id:1114199", "token_id:" + "9" * 12],
)
def test_ids_read_rejects_tokens_without_a_valid_id(name: str) -> None:
    with pytest.raises(InvalidAnswerError, match="vocabulary"):
        VLLM.read(event([name], [-1.0]))


@pytest.mark.parametrize("logprobs", [None, {}])
def test_ids_read_rejects_text_without_ids(logprobs: Any) -> None:
    with pytest.raises(InvalidAnswerError, match="vocabulary"):
        VLLM.read(json.dumps({"choices": [{"text": "hush", "logprobs": logprobs}]}).encode())


def test_ids_read_handles_other_events() -> None:
    assert VLLM.read(event(["token_id:97"], [-1.0], index=1)).tokens == []
    usage = {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4}}
    received = VLLM.read(json.dumps({"model": "m", "choices": [], "usage": usage}).encode())
    assert (received.model, received.cached) == ("m", 4)
    with pytest.raises(InvalidAnswerError, match="an error") as strange:
        VLLM.read(b'{"error": {"message": "hush"}}')
    assert "hush" not in str(strange.value)


TEXT = OpenAIDialect(None, server=RemoteServer(Kind.OPENAI, "m"))


def read(text: str, logprobs: Any = None) -> list[tuple[bytes, float]]:
    received = TEXT.read(json.dumps({"choices": [{"text": text, "logprobs": logprobs}]}).encode())
    return [(token.data, token.probability) for token in received.tokens]


def test_text_request_has_a_suffix() -> None:
    request = TEXT.request(EngineRequest(ids("a", "b"), Sampling(7)))
    assert request is not None
    assert {
        "prompt": "a",
        "suffix": "b",
        "max_tokens": 7,
        "model": "m",
        "logprobs": 1,
    }.items() <= request.body.items()
    plain = OpenAIDialect(None, logprobs=False, server=RemoteServer(Kind.OPENAI)).request(
        EngineRequest(ids("a"))
    )
    assert plain is not None
    assert not {"suffix", "model", "logprobs"} & plain.body.keys()


def test_text_read_keeps_the_probability_of_each_token() -> None:
    logprobs = {"tokens": ["ab", "c"], "token_logprobs": [math.log(0.5), math.log(0.25)]}
    assert read("abc", logprobs) == [(b"a", pytest.approx(0.5)), (b"b", 1.0), (b"c", pytest.approx(0.25))]


def test_text_read_multiplies_probabilities_of_other_tokens() -> None:
    logprobs = {"tokens": ["bytes:\\xc3", "bytes:\\xa9"], "token_logprobs": [math.log(0.5), math.log(0.5)]}
    assert read("é", logprobs) == [("é".encode(), pytest.approx(0.25))]


def test_text_read_without_logprobs_is_unknown() -> None:
    assert read("a") == [(b"a", 0.0)]


def test_text_read_replaces_lone_surrogates() -> None:
    assert read("\ud800") == [(b"?", 0.0)]


@given(JSON)
def test_read_accepts_or_rejects_any_event(value: Any) -> None:
    for data in (
        value,
        {"choices": [value]},
        {"choices": [{"text": "x", "logprobs": value}]},
        {"usage": value},
    ):
        for dialect in (VLLM, TEXT):
            with contextlib.suppress(InvalidAnswerError):
                dialect.read(json.dumps(data).encode())


@pytest.mark.parametrize(
    ("reason", "ended", "cut"), [(None, False, False), ("stop", True, False), ("length", True, True)]
)
def test_read_reports_a_text_cut_at_a_limit(reason: str | None, ended: bool, cut: bool) -> None:
    for dialect in (OURS, TEXT):
        received = dialect.read(event([], [], text="", finish_reason=reason))
        assert (received.ended, received.cut) == (ended, cut)
