"""The dialects of llama-server: its routes, with token ids or with text. Pure."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from jupyter_turbopilot.plugins.remote.completions import piece, spread
from jupyter_turbopilot.plugins.remote.dialect import (
    UNKNOWN,
    EventContent,
    Request,
    Style,
    likeliest,
    probability,
    sampling_fields,
)
from jupyter_turbopilot.plugins.remote.errors import ErrorEventError
from jupyter_turbopilot.plugins.remote.remote_server import read_json
from jupyter_turbopilot.protocol.engine_request import Token

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.engine.vocabulary import Vocabulary
    from jupyter_turbopilot.plugins.remote.completions import Spellings
    from jupyter_turbopilot.protocol.engine_request import EngineRequest


class _TokenProbability(msgspec.Struct, frozen=True):
    """A token with its logprob before sampling, or its probability after sampling."""

    id: int = -1
    logprob: float | None = None
    prob: float | None = None
    top_logprobs: list[_TokenProbability] = []
    top_probs: list[_TokenProbability] = []

    @property
    def logarithm(self) -> float | None:
        if self.prob is None:
            return self.logprob
        return math.log(self.prob) if 0.0 < self.prob <= 1.0 else None

    @property
    def top(self) -> tuple[tuple[int, float], ...]:
        return likeliest((other.id, other.logarithm) for other in self.top_probs or self.top_logprobs)


class _Timings(msgspec.Struct, frozen=True):
    cache_n: int | None = None


class _Event(msgspec.Struct, frozen=True):
    content: str = ""
    tokens: list[int] = []
    stop: bool = False
    stop_type: str | None = None
    completion_probabilities: list[_TokenProbability] = []
    timings: _Timings | None = None
    model: str | None = ""  # only in the last event
    error: Any = None


def _read(data: bytes, tokens_of: Callable[[_Event], list[Token]]) -> EventContent:
    event = read_json(data, _Event)
    if event.error is not None:
        raise ErrorEventError(event.error)
    cached = event.timings.cache_n if event.timings else None
    return EventContent(
        tokens_of(event), event.stop, event.model or "", cached, cut=event.stop_type == "limit"
    )


def _options(request: EngineRequest) -> dict[str, Any]:
    sampling = request.sampling
    if sampling.penalty_last_n < 0:  # the whole text, for which llama-server needs a number
        sampling = replace(sampling, penalty_last_n=len(request.prompt) + sampling.max_tokens)
    return sampling_fields(sampling, "llama") | {
        "n_predict": sampling.max_tokens,
        "stream": True,
        "n_probs": max(1, sampling.top),
    }


def grammar(candidates: Sequence[bytes]) -> str:
    """Return a GBNF grammar for all texts that start with a candidate."""
    texts = (way.decode("utf-8", "ignore") for way in candidates)
    literals = ("".join(f"\\U{ord(character):08X}" for character in text) for text in texts)
    return "root ::= (" + " | ".join(f'"{literal}"' for literal in literals) + ") [^\\x00]*"


class LlamaByIds:
    """Prompts as token ids."""

    style: Style = "llama"

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    def request(self, request: EngineRequest) -> Request:
        """Return the HTTP request."""
        body = _options(request) | {"prompt": list(request.prompt), "return_tokens": True}
        if candidates := request.sampling.beginning.candidates:
            body["grammar"] = grammar(candidates)
        return Request("/completion", body)

    def read(self, data: bytes) -> EventContent:
        """Decode an event."""
        return _read(data, self._tokens)

    def _tokens(self, event: _Event) -> list[Token]:
        data = event.content.encode("utf-8", "replace")
        if not data:
            return []  # the last event repeats all tokens, without the text
        ids, listed = event.tokens, event.completion_probabilities
        if b"".join(piece(self._vocabulary, token) for token in ids) != data:
            # For a character of several tokens, llama-server sends only the last one.
            ids, listed = self._vocabulary.tokenize(event.content, continues=True), listed[-1:]
        tokens = []
        for at, token in enumerate(ids):
            if at < len(listed):
                chance, top = probability(listed[at].logarithm), listed[at].top
            else:
                chance, top = 1.0 if at else UNKNOWN, ()
            tokens.append(Token(piece(self._vocabulary, token), chance, token, top))
        return tokens


class LlamaByText:
    """Prompts as text. The server adds its model's fill-in-the-middle markers."""

    def __init__(self, spellings: Spellings) -> None:
        self._spellings = spellings

    def request(self, request: EngineRequest) -> Request | None:
        """Return the HTTP request."""
        prompt = self._spellings.prompt(request.prompt)
        if prompt is None:
            return None
        options = _options(request)
        if prompt.after is None:
            return Request("/completion", options | {"prompt": prompt.before})
        return Request("/infill", options | {"input_prefix": prompt.before, "input_suffix": prompt.after})

    def read(self, data: bytes) -> EventContent:
        """Decode an event."""
        return _read(data, self._characters)

    def _characters(self, event: _Event) -> list[Token]:
        return spread(
            event.content, [probability(chance.logarithm) for chance in event.completion_probabilities[:1]]
        )
