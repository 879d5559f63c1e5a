"""llama-server's own routes, with token ids or with text and a hole. Pure."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from jupyter_turbopilot.engine.remote.completions import piece, spread
from jupyter_turbopilot.engine.remote.dialect import (
    UNKNOWN,
    EventContent,
    Request,
    Style,
    likeliest,
    probability,
    sampling_fields,
)
from jupyter_turbopilot.engine.remote.errors import ErrorEventError
from jupyter_turbopilot.engine.remote.remote_server import read_json
from jupyter_turbopilot.generation import Token

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.engine.remote.completions import Spellings
    from jupyter_turbopilot.engine.vocabulary import Vocabulary
    from jupyter_turbopilot.generation import EngineRequest


class _Chance(msgspec.Struct, frozen=True):
    """A token with its probability: before the samplers as a logarithm, or behind them."""

    id: int = -1
    logprob: float | None = None
    prob: float | None = None
    top_logprobs: list[_Chance] = []
    top_probs: list[_Chance] = []

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
    completion_probabilities: list[_Chance] = []
    timings: _Timings | None = None
    model: str | None = ""  # the last event has it
    error: Any = None


def _read(data: bytes, tokens_of: Callable[[_Event], list[Token]]) -> EventContent:
    event = read_json(data, _Event)
    if event.error is not None:
        raise ErrorEventError(event.error)
    cached = event.timings.cache_n if event.timings else None
    return EventContent(
        tokens_of(event), event.stop, event.model or "", cached, cut=event.stop_type == "limit"
    )


def _options(ask: EngineRequest) -> dict[str, Any]:
    sampling = ask.sampling
    if sampling.penalty_last_n < 0:  # everything, which has to be said as a number
        sampling = replace(sampling, penalty_last_n=len(ask.prompt) + sampling.max_tokens)
    return sampling_fields(sampling, "llama") | {
        "n_predict": sampling.max_tokens,
        "stream": True,
        "n_probs": max(1, sampling.top),
    }


def grammar(candidates: Sequence[bytes]) -> str:
    """Return the grammar, in llama.cpp's notation, of all texts that begin in one of the candidates."""
    texts = (way.decode("utf-8", "ignore") for way in candidates)
    literals = ("".join(f"\\U{ord(character):08X}" for character in text) for text in texts)
    return "root ::= (" + " | ".join(f'"{literal}"' for literal in literals) + ") [^\\x00]*"


class LlamaByIds:
    """Prompts are token ids."""

    style: Style = "llama"

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    def request(self, ask: EngineRequest) -> Request:
        """Return what is sent."""
        body = _options(ask) | {"prompt": list(ask.prompt), "return_tokens": True}
        if candidates := ask.sampling.beginning.candidates:
            body["grammar"] = grammar(candidates)
        return Request("/completion", body)

    def read(self, data: bytes) -> EventContent:
        """Read an event."""
        return _read(data, self._tokens)

    def _tokens(self, event: _Event) -> list[Token]:
        data = event.content.encode("utf-8", "replace")
        if not data:
            return []  # the last event repeats the tokens of the whole text, but none of its text
        ids, told = event.tokens, event.completion_probabilities
        if b"".join(piece(self._vocabulary, token) for token in ids) != data:
            # Of a character in several tokens only the last one is told.
            ids, told = self._vocabulary.tokenize(event.content, behind=True), told[-1:]
        tokens = []
        for at, token in enumerate(ids):
            if at < len(told):
                chance, top = probability(told[at].logarithm), told[at].top
            else:
                chance, top = 1.0 if at else UNKNOWN, ()
            tokens.append(Token(piece(self._vocabulary, token), chance, token, top))
        return tokens


class LlamaByText:
    """Prompts are text; the server puts the marks of its model around a hole."""

    def __init__(self, spellings: Spellings) -> None:
        self._spellings = spellings

    def request(self, ask: EngineRequest) -> Request | None:
        """Return what is sent."""
        prompt = self._spellings.prompt(ask.prompt)
        if prompt is None:
            return None
        options = _options(ask)
        if prompt.after is None:
            return Request("/completion", options | {"prompt": prompt.before})
        return Request("/infill", options | {"input_prefix": prompt.before, "input_suffix": prompt.after})

    def read(self, data: bytes) -> EventContent:
        """Read an event."""
        return _read(data, self._characters)

    def _characters(self, event: _Event) -> list[Token]:
        return spread(
            event.content, [probability(chance.logarithm) for chance in event.completion_probabilities[:1]]
        )
