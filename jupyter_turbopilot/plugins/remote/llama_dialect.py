"""The dialect of llama-server: its own routes. Pure."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from jupyter_turbopilot.plugins.remote.dialect import (
    UNKNOWN,
    Dialect,
    EventContent,
    Request,
    Style,
    likeliest,
    piece,
    probability,
    read_json,
    sampling_fields,
    spread,
    text_prompt,
)
from jupyter_turbopilot.protocol.engine_request import Token

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def grammar(candidates: Sequence[bytes]) -> str:
    """Return a GBNF grammar for all texts that start with a candidate."""
    texts = (way.decode("utf-8", "ignore") for way in candidates)
    literals = ("".join(f"\\U{ord(character):08X}" for character in text) for text in texts)
    return "root ::= (" + " | ".join(f'"{literal}"' for literal in literals) + ") [^\\x00]*"


class LlamaDialect(Dialect):
    """The routes of llama-server. It adds its model's fill-in-the-middle markers to a text."""

    @property
    def style(self) -> Style:
        return "llama"

    @property
    def samplers(self) -> frozenset[str]:
        # A bias needs token ids.
        return super().samplers - (frozenset() if self.vocabulary else {"drawn", "logit_bias"})

    def request(self, request: EngineRequest) -> Request | None:
        sampling = request.sampling
        if sampling.penalty_last_n < 0:  # the whole text, for which llama-server needs a number
            sampling = replace(sampling, penalty_last_n=len(request.prompt) + sampling.max_tokens)
        if request.tenant:  # tenants cannot have separate caches
            sampling = replace(sampling, cached=False)
        body = sampling_fields(sampling, "llama") | {
            "n_predict": sampling.max_tokens,
            "stream": True,
            "n_probs": max(1, sampling.top),
        }
        route = "/completion"
        if self.vocabulary:
            body |= {"prompt": list(request.prompt), "return_tokens": True}
            if candidates := sampling.beginning.candidates:
                body["grammar"] = grammar(candidates)
        else:
            prompt = text_prompt(request.prompt)
            if prompt is None:
                return None
            if prompt.after is None:
                body["prompt"] = prompt.before
            else:
                route = "/infill"
                body |= {"input_prefix": prompt.before, "input_suffix": prompt.after}
        return Request(route, body, request.session)

    def read(self, data: bytes) -> EventContent:
        event = read_json(data, _Event)
        cached = event.timings.cache_n if event.timings else None
        cut = event.stop_type == "limit"
        return EventContent(self._tokens(event), event.stop, event.model or "", cached, cut=cut)

    def _tokens(self, event: _Event) -> list[Token]:
        ids, listed = event.tokens, event.completion_probabilities
        if self.vocabulary is None:
            return spread(event.content, [probability(chance.logarithm) for chance in listed[:1]])
        data = event.content.encode("utf-8", "replace")
        if not data:
            return []  # the last event repeats all tokens, without the text
        if b"".join(piece(self.vocabulary, token) for token in ids) != data:
            # For a character of several tokens, llama-server sends only the last one.
            ids, listed = self.vocabulary.tokenize(event.content, continues=True), listed[-1:]
        tokens = []
        for at, token in enumerate(ids):
            if at < len(listed):
                chance, top = probability(listed[at].logarithm), listed[at].top
            else:
                chance, top = 1.0 if at else UNKNOWN, ()
            tokens.append(Token(piece(self.vocabulary, token), chance, token, top))
        return tokens
