"""llama-server's own routes, with token ids or with text and a hole. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec

from jupyter_turbopilot.engine.remote.by_ids import piece
from jupyter_turbopilot.engine.remote.by_text import spread
from jupyter_turbopilot.engine.remote.chances import likeliest, logarithm, portion, probability
from jupyter_turbopilot.engine.remote.dialect import Heard, Request, sampling_fields
from jupyter_turbopilot.engine.remote.far_side import read_json
from jupyter_turbopilot.engine.remote.words import ErrorEventError
from jupyter_turbopilot.generation import Token

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.engine.remote.text_prompt import Spellings
    from jupyter_turbopilot.engine.vocabulary import Vocabulary
    from jupyter_turbopilot.generation import Ask


class _Chance(msgspec.Struct, frozen=True):
    """A token with its probability: before the samplers as a logarithm, or behind them."""

    id: int = -1
    logprob: float | None = None
    prob: float | None = None
    top_logprobs: list[_Chance] = []
    top_probs: list[_Chance] = []

    @property
    def probability(self) -> float:
        return probability(self.logprob) if self.prob is None else portion(self.prob)

    @property
    def top(self) -> tuple[tuple[int, float], ...]:
        others = self.top_probs or self.top_logprobs
        pairs = [
            (other.id, other.logprob if other.prob is None else logarithm(other.prob)) for other in others
        ]
        return likeliest(pairs, len(pairs))


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


def _read(data: bytes) -> _Event:
    event = read_json(data, _Event)
    if event.error is not None:
        raise ErrorEventError(event.error)
    return event


def _heard(event: _Event, tokens: Sequence[Token]) -> Heard:
    cached = event.timings.cache_n if event.timings else None
    return Heard(tokens, event.stop, event.model or "", cached, cut=event.stop_type == "limit")


def _options(ask: Ask) -> dict[str, Any]:
    sampling = ask.sampling
    if sampling.penalty_last_n < 0:  # everything, which has to be said as a number
        sampling = replace(sampling, penalty_last_n=len(ask.prompt) + sampling.max_tokens)
    return sampling_fields(sampling, "llama") | {
        "n_predict": sampling.max_tokens,
        "stream": True,
        "n_probs": max(1, sampling.top),
    }


class LlamaByIds:
    """Prompts are token ids."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    def request(self, ask: Ask) -> Request:
        """Return what is sent."""
        body = _options(ask) | {"prompt": list(ask.prompt), "return_tokens": True}
        return Request("/completion", body)

    def read(self, data: bytes) -> Heard:
        """Read an event."""
        event = _read(data)
        # The last event repeats the tokens of the whole text, but none of its text.
        return _heard(event, self._tokens(event) if event.content else ())

    def _tokens(self, event: _Event) -> list[Token]:
        chances = event.completion_probabilities
        data = event.content.encode("utf-8", "replace")
        ids = event.tokens
        if b"".join(piece(self._vocabulary, token) for token in ids) != data:
            # Of a character in several tokens only the last one is told.
            ids, chances = self._vocabulary.tokenize(event.content, behind=True), chances[-1:]
        tokens = []
        for at, token in enumerate(ids):
            chance = chances[at] if at < len(chances) else None
            told = (chance.probability, token, chance.top) if chance else (1.0 if at else 0.0, token)
            tokens.append(Token(piece(self._vocabulary, token), *told))
        return tokens


class LlamaByText:
    """Prompts are text; the server puts the marks of its model around a hole."""

    def __init__(self, spellings: Spellings) -> None:
        self._spellings = spellings

    def request(self, ask: Ask) -> Request | None:
        """Return what is sent."""
        prompt = self._spellings.prompt(ask.prompt)
        if prompt is None:
            return None
        options = _options(ask)
        if prompt.after is None:
            return Request("/completion", options | {"prompt": prompt.before})
        return Request("/infill", options | {"input_prefix": prompt.before, "input_suffix": prompt.after})

    def read(self, data: bytes) -> Heard:
        """Read an event."""
        event = _read(data)
        chances = [chance.probability for chance in event.completion_probabilities]
        return _heard(event, spread(event.content, chances[:1]))
