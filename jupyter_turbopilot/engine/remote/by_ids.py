"""OpenAI's completions with token ids both ways: our own server, vLLM and what does as they do. Pure."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import msgspec

from jupyter_turbopilot.engine.remote.chances import likeliest, probability
from jupyter_turbopilot.engine.remote.dialect import Heard, Request, Style, biases_by_id, sampling_fields
from jupyter_turbopilot.engine.remote.far_side import FarSide, Kind, read_json
from jupyter_turbopilot.engine.remote.words import ErrorEventError, StrangeAnswerError
from jupyter_turbopilot.generation import Token

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jupyter_turbopilot.engine.vocabulary import Vocabulary
    from jupyter_turbopilot.generation import Ask

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


class Chunk(msgspec.Struct, frozen=True):
    """An event of an answer."""

    choices: list[Choice] = []
    model: str | None = ""
    usage: _Usage | None = None
    system_fingerprint: str | None = None
    error: Any = None


def read_chunk(data: bytes) -> Chunk:
    """Read an event; one that tells of an error is none of an answer."""
    chunk = read_json(data, Chunk)
    if chunk.error is not None:
        raise ErrorEventError(chunk.error)
    return chunk


def cached_tokens(chunk: Chunk) -> int | None:
    """Return how many tokens of the prompt were not read again, where that is said."""
    details = chunk.usage.prompt_tokens_details if chunk.usage else None
    return details.cached_tokens if details else None


def heard(chunk: Chunk, tokens: Sequence[Token]) -> Heard:
    """Return what an event says, apart from its tokens as they are read already."""
    reasons = {choice.finish_reason for choice in chunk.choices if not choice.index}
    return Heard(
        tokens,
        any(reasons),
        chunk.model or "",
        cached_tokens(chunk),
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
            body["logit_bias"] = biases_by_id(sampling, self._vocabulary)
        # Others than ours write at least one token.
        length = sampling.max_tokens if self._ours else max(1, sampling.max_tokens)
        body |= {
            "model": self._far.model,
            "prompt": list(ask.prompt),
            "max_tokens": length,
            "stream": True,
            "logprobs": sampling.top,
            "return_tokens_as_token_ids": True,
        }
        return Request(ROUTE, body | ({"turbopilot": peer_fields(ask)} if self._ours else {}))

    def read(self, data: bytes) -> Heard:
        """Read an event."""
        chunk = read_chunk(data)
        tokens: list[Token] = []
        for choice in chunk.choices:
            if not choice.index:
                tokens += self._tokens(choice)
        return heard(chunk, tokens)

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
            tokens.append(
                Token(piece(self._vocabulary, token), probability(logarithm), token, self._top(others))
            )
        return tokens

    def _top(self, others: Mapping[str, float | None]) -> tuple[tuple[int, float], ...]:
        return likeliest([(_id(name), value) for name, value in others.items()], len(others))


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
