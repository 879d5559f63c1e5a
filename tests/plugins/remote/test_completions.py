from __future__ import annotations

import base64
import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.vocabulary import MIDDLE, PREFIX, SUFFIX, CodePoints
from jupyter_turbopilot.plugins.remote.completions import (
    ByIds,
    ByText,
    Spellings,
    TextPrompt,
    parts,
    peer_fields,
    spread,
)
from jupyter_turbopilot.plugins.remote.errors import InvalidAnswerError
from jupyter_turbopilot.plugins.remote.remote_server import Kind, RemoteServer
from jupyter_turbopilot.prompt.formats import FORMATS
from jupyter_turbopilot.protocol.engine_request import EngineRequest, PrefixConstraint, Sampling, Token

from .test_remote_server import JSON


class Ending(CodePoints):
    def __init__(self) -> None:
        super().__init__()
        self.ends = frozenset({3})


OURS = ByIds(RemoteServer(Kind.OURS, "m"), Ending())
VLLM = ByIds(RemoteServer(Kind.VLLM, "m"), Ending())


def event(tokens: list[str], logprobs: list[Any], top: Any = None, **more: Any) -> bytes:
    fields = {"tokens": tokens, "token_logprobs": logprobs, "top_logprobs": top}
    return json.dumps({"choices": [{"index": 0, "text": "?", "logprobs": fields} | more]}).encode()


def test_request_to_turbopilot_contains_all_fields_of_an_ask() -> None:
    beginning = PrefixConstraint((b"pr", b"\xff"), 1, 7)
    engine_request = EngineRequest(
        (1, 2), Sampling(5, beginning=beginning), hint=(3, 4), aligned=False, suffix_span=(0, 2), language="r"
    )
    request = OURS.request(engine_request)
    assert (request.route, request.body["prompt"], request.body["max_tokens"]) == (
        "/v1/completions",
        [1, 2],
        5,
    )
    assert request.body["turbopilot"] == {
        "prefixes": [base64.b64encode(way).decode() for way in beginning.candidates],
        "typed_bytes": 1,
        "banned_token": 7,
        "draft": [3, 4],
        "draft_aligned": False,
        "stable_range": [0, 2],
        "language": "r",
    }


def test_peer_fields_omit_defaults() -> None:
    assert peer_fields(EngineRequest((1,))) == {}
    assert peer_fields(EngineRequest((1,), automatic=True)) == {"automatic": True}
    assert peer_fields(
        EngineRequest((1,), Sampling(beginning=PrefixConstraint(banned=0)), priority="warmup")
    ) == {
        "banned_token": 0,
        "priority": "warmup",
    }


def test_request_to_other_servers_asks_for_at_least_one_token() -> None:
    sampling = Sampling(0, logit_bias=(("a", 1.0),))
    body = VLLM.request(EngineRequest((1,), sampling)).body
    assert (body["max_tokens"], body["logit_bias"]) == (1, {"97": 1.0})
    assert "turbopilot" not in body
    assert OURS.request(EngineRequest((1,), sampling)).body["max_tokens"] == 0


def test_request_sends_biases_in_openais_format() -> None:
    body = OURS.request(EngineRequest((1,), Sampling(1, logit_bias=((97, 0.5), ("ab", 1.0))))).body
    assert body["logit_bias"] == {"97": 1.5, "98": 1.0}


def test_request_to_an_unknown_server_has_only_openais_fields() -> None:
    body = (
        ByIds(RemoteServer(Kind.OPENAI, "m"), CodePoints())
        .request(EngineRequest((1,), Sampling(logit_bias=((1, 1.0),))))
        .body
    )
    assert not {"logit_bias", "repetition_penalty", "repeat_penalty"} & body.keys()


def test_by_ids_read_returns_logprobs() -> None:
    top = [{"token_id:98": -3.0, "token_id:97": -0.5}, None]
    received = VLLM.read(event(["token_id:97", "token_id:98"], [-0.5, -1.0], top))
    assert received.tokens == [
        Token(b"a", pytest.approx(math.exp(-0.5)), 97, ((97, -0.5), (98, -3.0))),
        Token(b"b", pytest.approx(math.exp(-1.0)), 98),
    ]
    assert not received.ended


def test_by_ids_read_omits_end_tokens() -> None:
    received = VLLM.read(event(["token_id:97", "token_id:3"], [-0.5, -1.0], finish_reason="stop"))
    assert [token.id for token in received.tokens] == [97]
    assert received.ended


@pytest.mark.parametrize("logprobs", [[math.nan], [None], [], [7.0], [-math.inf]])
def test_by_ids_read_treats_invalid_logprobs_as_unknown(logprobs: list[Any]) -> None:
    assert VLLM.read(event(["token_id:97"], logprobs)).tokens == [Token(b"a", 0.0, 97)]


@pytest.mark.parametrize(
    "name",
    ["a", "token_id:", "token_id:-1", "token_id:x", "token_id:²", "token_id:1114199", "token_id:" + "9" * 12],
)
def test_by_ids_read_rejects_tokens_without_a_valid_id(name: str) -> None:
    with pytest.raises(InvalidAnswerError, match="vocabulary"):
        VLLM.read(event([name], [-1.0]))


@pytest.mark.parametrize("logprobs", [None, {}])
def test_by_ids_read_rejects_text_without_ids(logprobs: Any) -> None:
    with pytest.raises(InvalidAnswerError, match="vocabulary"):
        VLLM.read(json.dumps({"choices": [{"text": "hush", "logprobs": logprobs}]}).encode())


def test_by_ids_read_handles_other_events() -> None:
    assert VLLM.read(event(["token_id:97"], [-1.0], index=1)).tokens == []
    usage = {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4}}
    received = VLLM.read(json.dumps({"model": "m", "choices": [], "usage": usage}).encode())
    assert (received.model, received.cached) == ("m", 4)
    with pytest.raises(InvalidAnswerError, match="an error") as strange:
        VLLM.read(b'{"error": {"message": "hush"}}')
    assert "hush" not in str(strange.value)


MARKERS = [
    text for known in FORMATS for text in (known.prefix, known.suffix, known.middle, *known.extra) if text
]
SPELLINGS = Spellings(MARKERS)
CHARACTERS = st.text(st.characters(exclude_categories=["Cs"]))
TEXT = ByText("m", Spellings(), logprobs=True)


def read(text: str, logprobs: Any = None) -> list[tuple[bytes, float]]:
    received = TEXT.read(json.dumps({"choices": [{"text": text, "logprobs": logprobs}]}).encode())
    return [(token.data, token.probability) for token in received.tokens]


def test_by_text_request_has_a_suffix() -> None:
    request = TEXT.request(EngineRequest(ids("a", "b"), Sampling(7)))
    assert request is not None
    assert {
        "prompt": "a",
        "suffix": "b",
        "max_tokens": 7,
        "model": "m",
        "logprobs": 1,
    }.items() <= request.body.items()
    plain = ByText("", Spellings(), logprobs=False).request(EngineRequest(ids("a")))
    assert plain is not None
    assert not {"suffix", "model", "logprobs"} & plain.body.keys()


@given(st.text(st.characters(exclude_categories=["Cs"])), st.lists(st.floats(0, 1), max_size=3))
def test_spread_keeps_text_and_probability(text: str, chances: list[float]) -> None:
    tokens = spread(text, chances)
    assert b"".join(token.data for token in tokens) == text.encode()
    whole = math.prod(chances) if chances else 0.0
    assert not text or math.prod(token.probability for token in tokens) == pytest.approx(whole)


def test_by_text_read_keeps_the_probability_of_each_token() -> None:
    logprobs = {"tokens": ["ab", "c"], "token_logprobs": [math.log(0.5), math.log(0.25)]}
    assert read("abc", logprobs) == [(b"a", pytest.approx(0.5)), (b"b", 1.0), (b"c", pytest.approx(0.25))]


def test_by_text_read_multiplies_probabilities_of_other_tokens() -> None:
    logprobs = {"tokens": ["bytes:\\xc3", "bytes:\\xa9"], "token_logprobs": [math.log(0.5), math.log(0.5)]}
    assert read("é", logprobs) == [("é".encode(), pytest.approx(0.25))]


def test_by_text_read_without_logprobs_is_unknown() -> None:
    assert read("a") == [(b"a", 0.0)]


def test_by_text_read_replaces_lone_surrogates() -> None:
    assert read("\ud800") == [(b"?", 0.0)]


def ids(before: str, after: str | None = None) -> list[int]:
    tokenize = CodePoints().tokenize
    if after is None:
        return tokenize(before)
    return [PREFIX, *tokenize(before), SUFFIX, *tokenize(after), MIDDLE]


@given(CHARACTERS, st.none() | CHARACTERS)
def test_parts_returns_the_texts_of_a_prompt(before: str, after: str | None) -> None:
    assert parts(ids(before, after)) == (before, after)


def test_parts_accepts_the_suffix_first() -> None:
    assert parts([SUFFIX, 98, MIDDLE, 97]) == ("a", "b")


@pytest.mark.parametrize(
    "marker", [*MARKERS, "<|endoftext|>", "<|im_start|>", "</s>", "<\uff5cend\u2581of\u2581sentence\uff5c>"]
)
def test_spellings_remove_lines_with_markers(marker: str) -> None:
    prompt = SPELLINGS.prompt(ids(f"a\nx = '{marker}'\nb", f"c\n{marker}\nd\n"))
    assert prompt == TextPrompt("a\nb", "c\nd\n")


@pytest.mark.parametrize("marker", MARKERS)
@pytest.mark.parametrize("cut", range(3))
def test_spellings_reject_a_marker_on_the_cursors_line(marker: str, cut: int) -> None:
    line = f"x{marker}y"
    at = (0, len(line) // 2, len(line))[cut]
    assert SPELLINGS.prompt(ids(f"a\n{line[:at]}", f"{line[at:]}\nb")) is None


@given(CHARACTERS, st.sampled_from(MARKERS), CHARACTERS)
def test_spellings_never_send_markers(one: str, marker: str, two: str) -> None:
    prompt = SPELLINGS.prompt(ids(f"{one}{marker}{two}\n{two}", one))
    if prompt:
        assert not any(text.strip() in prompt.before + (prompt.after or "") for text in MARKERS)


@given(st.text("abc =()<|>\n"))
def test_spellings_keep_code_without_markers(text: str) -> None:
    prompt = SPELLINGS.prompt(ids(text))
    assert prompt == TextPrompt(text, None) or SPELLINGS.found(text)


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
