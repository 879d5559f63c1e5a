"""OpenAI's completions with token ids both ways: our own server, vLLM and what does as they do. Pure."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec

from jupyter_turbopilot.engine.remote.dialect import (
    Heard,
    Request,
    Style,
    likeliest,
    probability,
    sampling_fields,
)
from jupyter_turbopilot.engine.remote.far_side import FarSide, Kind, read_json
from jupyter_turbopilot.engine.remote.words import ErrorEventError, StrangeAnswerError
from jupyter_turbopilot.generation import Token

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.engine.vocabulary import Vocabulary
    from jupyter_turbopilot.generation import Ask, Sampling

_ID = "token_id:"
MOST_DIGITS = 9
ROUTE = "/v1/completions"
LENGTH = "length"  # a text that ended at a limit
_STYLES: dict[Kind, Style] = {Kind.OURS: "llama", Kind.VLLM: "vllm"}


class Logprobs(msgspec.Struct, frozen=True):
    """The tokens of a piece of text."""

    tokens: list[str] = []
    token_logprobs: list[float | None] = []
    top_logprobs: list[dict[str, float | None] | None] | None = None


class Choice(msgspec.Struct, frozen=True):
    """A piece of a text."""

    text: str = ""
    index: int = 0
    logprobs: Logprobs | None = None
    finish_reason: str | None = None


class _Details(msgspec.Struct, frozen=True):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct, frozen=True):
    prompt_tokens_details: _Details | None = None


class _Chunk(msgspec.Struct, frozen=True):
    """An event of an answer."""

    choices: list[Choice] = []
    model: str | None = ""
    usage: _Usage | None = None
    system_fingerprint: str | None = None
    error: Any = None


def read_event(data: bytes, tokens_of: Callable[[Choice], list[Token]]) -> Heard:
    """Read an event; one that tells of an error is none of an answer."""
    chunk = read_json(data, _Chunk)
    if chunk.error is not None:
        raise ErrorEventError(chunk.error)
    choices = [choice for choice in chunk.choices if not choice.index]
    reasons = {choice.finish_reason for choice in choices}
    details = chunk.usage.prompt_tokens_details if chunk.usage else None
    return Heard(
        [token for choice in choices for token in tokens_of(choice)],
        any(reasons),
        chunk.model or "",
        details.cached_tokens if details else None,
        cut=LENGTH in reasons,
        version=(chunk.system_fingerprint or "").partition(":")[2],
    )


class ByIds:
    """Prompts are token ids, and so are answers."""

    def __init__(self, far: FarSide, vocabulary: Vocabulary) -> None:
        self._far = far
        self._vocabulary = vocabulary
        self._ours = far.kind is Kind.OURS
        self.style: Style = _STYLES.get(far.kind, "openai")

    def request(self, ask: Ask) -> Request:
        """Return what is sent."""
        sampling = ask.sampling
        body = sampling_fields(sampling, self.style)
        if "logit_bias" in body:  # a router in between may take nothing but OpenAI's form of it
            body["logit_bias"] = self._biases(sampling)
        body |= {
            "model": self._far.model,
            "prompt": list(ask.prompt),
            # Others than ours write at least one token.
            "max_tokens": sampling.max_tokens if self._ours else max(1, sampling.max_tokens),
            "stream": True,
            "logprobs": sampling.top,
            "return_tokens_as_token_ids": True,
        }
        if self._ours:
            body["turbopilot"] = peer_fields(ask)
        return Request(ROUTE, body)

    def _biases(self, sampling: Sampling) -> dict[str, float]:
        """Return biases by token id, those of texts for each of their tokens; several of a token add up."""
        biases: dict[str, float] = {}
        for name, bias in sampling.logit_bias:
            for token in (name,) if isinstance(name, int) else self._vocabulary.tokenize(name):
                biases[str(token)] = biases.get(str(token), 0.0) + bias
        return biases

    def read(self, data: bytes) -> Heard:
        """Read an event."""
        return read_event(data, self._tokens)

    def _tokens(self, choice: Choice) -> list[Token]:
        told = choice.logprobs
        if told is None or not told.tokens:
            if choice.text:
                raise StrangeAnswerError("text without token ids. Set c.TurbopilotRemote.vocabulary to none")
            return []
        tops = told.top_logprobs or []
        tokens = []
        for at, name in enumerate(told.tokens):
            token = _id(name)
            if token in self._vocabulary.ends:
                continue
            logarithm = told.token_logprobs[at] if at < len(told.token_logprobs) else None
            others = (tops[at] if at < len(tops) else None) or {}
            top = likeliest((_id(other), value) for other, value in others.items())
            tokens.append(Token(piece(self._vocabulary, token), probability(logarithm), token, top))
        return tokens


def _id(name: str) -> int:
    digits = name.removeprefix(_ID)
    if digits == name or not digits.isascii() or not digits.isdigit() or len(digits) > MOST_DIGITS:
        raise StrangeAnswerError("tokens without ids. Set c.TurbopilotRemote.vocabulary to none")
    return int(digits)


def piece(vocabulary: Vocabulary, token: int) -> bytes:
    """Return a token's bytes; one that the vocabulary does not have is another model's."""
    try:
        if token >= 0:
            return vocabulary.piece(token)
    except IndexError:
        pass
    raise StrangeAnswerError("a token that c.TurbopilotRemote.vocabulary does not have")


def peer_fields(ask: Ask) -> dict[str, Any]:
    """Return what only a server of ours takes: the rest of what an engine is asked."""
    beginning = ask.sampling.beginning
    given = {
        "begins": [base64.b64encode(way).decode() for way in beginning.ways],
        "typed": beginning.typed,
        "hint": list(ask.hint),
        "language": ask.language,
        "priority": ask.priority,
    }
    fields: dict[str, Any] = {name: value for name, value in given.items() if value}
    if beginning.banned is not None:
        fields["banned"] = beginning.banned
    if ask.hint:
        fields["aligned"] = ask.aligned
    if ask.suffix_span[0] < ask.suffix_span[1]:
        fields["fixed"] = list(ask.suffix_span)
    return fields
