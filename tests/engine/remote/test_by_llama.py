from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given

from jupyter_turbopilot.engine.remote.by_llama import LlamaByIds, LlamaByText, grammar
from jupyter_turbopilot.engine.remote.completions import Spellings
from jupyter_turbopilot.engine.remote.errors import InvalidAnswerError
from jupyter_turbopilot.engine.vocabulary import CodePoints
from jupyter_turbopilot.generation import EngineRequest, PrefixConstraint, Sampling, Token

from .test_completions import ids
from .test_remote_server import JSON

IDS, TEXT = LlamaByIds(CodePoints()), LlamaByText(Spellings())


def event(content: str, tokens: list[int], *chances: dict[str, Any], **more: Any) -> bytes:
    return json.dumps(
        {"content": content, "tokens": tokens, "stop": False, "completion_probabilities": chances} | more
    ).encode()


def test_ids_are_sent_and_asked_back_with_a_probability() -> None:
    request = IDS.request(EngineRequest((1, 2), Sampling(5, cached=False)))
    assert request.route == "/completion"
    wanted = {"prompt": [1, 2], "n_predict": 5, "n_probs": 1, "return_tokens": True, "cache_prompt": False}
    assert wanted.items() <= request.body.items()


def test_a_beginning_is_sent_as_a_grammar() -> None:
    body = IDS.request(EngineRequest((1,), Sampling(5, beginning=PrefixConstraint((b"x", b"yz"), 1)))).body
    assert body["grammar"] == grammar((b"x", b"yz"))
    assert "grammar" not in IDS.request(EngineRequest((1,), Sampling(5))).body


def test_a_grammar_has_every_character_by_its_number() -> None:
    assert grammar((b'a"\n', "é😀".encode())) == (
        r'root ::= ("\U00000061\U00000022\U0000000A" | "\U000000E9\U0001F600") [^\x00]*'
    )


def test_a_penalty_on_everything_is_told_as_a_number() -> None:
    sampling = Sampling(5, penalty_last_n=-1, repeat_penalty=2.0)
    assert IDS.request(EngineRequest((1, 2), sampling)).body["repeat_last_n"] == 7


def test_a_hole_is_sent_to_the_route_for_it() -> None:
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


def test_a_token_comes_with_its_probability_and_the_likeliest_others() -> None:
    others = [{"id": 97, "logprob": -0.5}, {"id": 98, "logprob": -2.0}]
    heard = IDS.read(event("a", [97], {"id": 97, "logprob": -0.5, "top_logprobs": others}))
    assert heard.tokens == [Token(b"a", pytest.approx(math.exp(-0.5)), 97, ((97, -0.5), (98, -2.0)))]


def test_behind_the_samplers_probabilities_are_told_as_such() -> None:
    heard = IDS.read(event("a", [97], {"id": 97, "prob": 0.5, "top_probs": [{"id": 97, "prob": 0.5}]}))
    assert heard.tokens == [Token(b"a", 0.5, 97, ((97, math.log(0.5)),))]


def test_a_character_of_which_only_the_last_token_is_told_is_tokenized_again() -> None:
    heard = IDS.read(event("é!", [33], {"id": 33, "logprob": math.log(0.5)}))
    assert heard.tokens == [Token("é".encode(), pytest.approx(0.5), 233), Token(b"!", 1.0, 33)]


def test_the_last_event_says_what_was_cached_and_has_no_text() -> None:
    heard = IDS.read(event("", [1, 2], stop=True, timings={"cache_n": 7, "prompt_n": 1}, model="m"))
    assert (heard.tokens, heard.ended, heard.cached, heard.model) == ([], True, 7, "m")


def test_text_comes_in_characters() -> None:
    heard = TEXT.read(event("ab", [], {"id": 5, "logprob": math.log(0.5)}))
    assert heard.tokens == [Token(b"a", pytest.approx(0.5), 97), Token(b"b", 1.0, 98)]
    assert TEXT.read(event("", [], stop=True)).ended


@pytest.mark.parametrize("tokens", [[-1], [1 << 40]])
def test_a_token_outside_the_vocabulary_is_refused(tokens: list[int]) -> None:
    with pytest.raises(InvalidAnswerError, match="vocabulary"):
        IDS.read(event("a", tokens))


def test_an_error_in_between_is_not_repeated() -> None:
    with pytest.raises(InvalidAnswerError) as strange:
        TEXT.read(b'{"error": {"message": "hush"}}')
    assert "hush" not in str(strange.value)


@given(JSON)
def test_any_event_is_read_or_refused(value: Any) -> None:
    for data in (
        value,
        {"content": "x", "completion_probabilities": value},
        {"content": "x", "tokens": value},
    ):
        for dialect in (IDS, TEXT):
            with contextlib.suppress(InvalidAnswerError):
                dialect.read(json.dumps(data).encode())


@pytest.mark.parametrize("kind", ["eos", "limit"])
def test_a_text_that_ended_at_a_limit_is_told_from_a_whole_one(kind: str) -> None:
    for dialect in (IDS, TEXT):
        heard = dialect.read(event("", [], stop=True, stop_type=kind))
        assert (heard.ended, heard.cut) == (True, kind == "limit")
