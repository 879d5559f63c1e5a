import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given

from jupyter_turbopilot.plugins.remote.errors import InvalidAnswerError
from jupyter_turbopilot.plugins.remote.llama_dialect import LlamaDialect, grammar
from jupyter_turbopilot.plugins.remote.vocabulary import CodePoints
from jupyter_turbopilot.protocol.engine_request import EngineRequest, PrefixConstraint, Sampling, Token

from .test_dialect import ids
from .test_remote_server import JSON

IDS, TEXT = LlamaDialect(CodePoints()), LlamaDialect(None)


def event(content: str, tokens: list[int], *chances: dict[str, Any], **more: Any) -> bytes:
    return json.dumps(
        {"content": content, "tokens": tokens, "stop": False, "completion_probabilities": chances} | more
    ).encode()


def test_request_asks_for_ids_and_logprobs() -> None:
    request = IDS.request(EngineRequest((1, 2), Sampling(5, cached=False)))
    assert request.route == "/completion"
    wanted = {"prompt": [1, 2], "n_predict": 5, "n_probs": 1, "return_tokens": True, "cache_prompt": False}
    assert wanted.items() <= request.body.items()


def test_request_sends_a_prefix_constraint_as_grammar() -> None:
    body = IDS.request(EngineRequest((1,), Sampling(5, beginning=PrefixConstraint((b"x", b"yz"), 1)))).body
    assert body["grammar"] == grammar((b"x", b"yz"))
    assert "grammar" not in IDS.request(EngineRequest((1,), Sampling(5))).body


def test_grammar_escapes_every_character() -> None:
    assert grammar((b'a"\n', "é😀".encode())) == (
        r'root ::= ("\U00000061\U00000022\U0000000A" | "\U000000E9\U0001F600") [^\x00]*'
    )


def test_request_sends_an_unlimited_penalty_window_as_number() -> None:
    sampling = Sampling(5, penalty_last_n=-1, repeat_penalty=2.0)
    assert IDS.request(EngineRequest((1, 2), sampling)).body["repeat_last_n"] == 7


def test_request_uses_infill_with_a_suffix() -> None:
    request = TEXT.request(EngineRequest(ids("a", "b")))
    assert request is not None
    assert (request.route, request.body["input_prefix"], request.body["input_suffix"]) == (
        "/infill",
        "a",
        "b",
    )
    plain = TEXT.request(EngineRequest(ids("a")))
    assert plain is not None
    assert (plain.route, plain.body["prompt"]) == ("/completion", "a")
    assert TEXT.request(EngineRequest(ids("'</s>'"))) is None


def test_read_returns_logprobs() -> None:
    others = [{"id": 97, "logprob": -0.5}, {"id": 98, "logprob": -2.0}]
    received = IDS.read(event("a", [97], {"id": 97, "logprob": -0.5, "top_logprobs": others}))
    assert received.tokens == [Token(b"a", pytest.approx(math.exp(-0.5)), 97, ((97, -0.5), (98, -2.0)))]


def test_read_accepts_probabilities_after_sampling() -> None:
    received = IDS.read(event("a", [97], {"id": 97, "prob": 0.5, "top_probs": [{"id": 97, "prob": 0.5}]}))
    assert received.tokens == [Token(b"a", 0.5, 97, ((97, math.log(0.5)),))]


def test_read_tokenizes_a_character_of_several_tokens() -> None:
    received = IDS.read(event("é!", [33], {"id": 33, "logprob": math.log(0.5)}))
    assert received.tokens == [Token("é".encode(), pytest.approx(0.5), 233), Token(b"!", 1.0, 33)]


def test_read_returns_cached_tokens_of_the_last_event() -> None:
    received = IDS.read(event("", [1, 2], stop=True, timings={"cache_n": 7, "prompt_n": 1}, model="m"))
    assert (received.tokens, received.ended, received.cached, received.model) == ([], True, 7, "m")


def test_read_splits_text_into_characters() -> None:
    received = TEXT.read(event("ab", [], {"id": 5, "logprob": math.log(0.5)}))
    assert received.tokens == [Token(b"a", pytest.approx(0.5), 97), Token(b"b", 1.0, 98)]
    assert TEXT.read(event("", [], stop=True)).ended


@pytest.mark.parametrize("tokens", [[-1], [1 << 40]])
def test_read_rejects_unknown_tokens(tokens: list[int]) -> None:
    with pytest.raises(InvalidAnswerError, match="vocabulary"):
        IDS.read(event("a", tokens))


def test_read_never_quotes_an_error() -> None:
    with pytest.raises(InvalidAnswerError) as strange:
        TEXT.read(b'{"error": {"message": "hush"}}')
    assert "hush" not in str(strange.value)


@given(JSON)
def test_read_accepts_or_rejects_any_event(value: Any) -> None:
    for data in (
        value,
        {"content": "x", "completion_probabilities": value},
        {"content": "x", "tokens": value},
    ):
        for dialect in (IDS, TEXT):
            with contextlib.suppress(InvalidAnswerError):
                dialect.read(json.dumps(data).encode())


@pytest.mark.parametrize("kind", ["eos", "limit"])
def test_read_reports_a_text_cut_at_a_limit(kind: str) -> None:
    for dialect in (IDS, TEXT):
        received = dialect.read(event("", [], stop=True, stop_type=kind))
        assert (received.ended, received.cut) == (True, kind == "limit")
