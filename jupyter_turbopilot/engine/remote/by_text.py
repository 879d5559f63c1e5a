"""OpenAI's completions as text: for far sides whose vocabulary nobody knows. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.remote.by_ids import ROUTE, heard, read_chunk
from jupyter_turbopilot.engine.remote.chances import UNKNOWN, probability
from jupyter_turbopilot.engine.remote.dialect import Request, sampling_fields
from jupyter_turbopilot.generation import Token

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.engine.remote.by_ids import Choice
    from jupyter_turbopilot.engine.remote.dialect import Heard
    from jupyter_turbopilot.engine.remote.text_prompt import Spellings
    from jupyter_turbopilot.generation import Ask


class ByText:
    """Prompts are text, with a suffix where there is a hole."""

    def __init__(self, model: str, spellings: Spellings, *, chances: bool) -> None:
        self._model = model
        self._spellings = spellings
        self._chances = chances

    def request(self, ask: Ask) -> Request | None:
        """Return what is sent."""
        prompt = self._spellings.prompt(ask.prompt)
        if prompt is None:
            return None
        body = sampling_fields(ask.sampling, "openai") | {
            "prompt": prompt.before,
            "max_tokens": max(1, ask.sampling.max_tokens),
            "stream": True,
        }
        if self._model:
            body["model"] = self._model
        if prompt.after is not None:
            body["suffix"] = prompt.after
        return Request(ROUTE, body | ({"logprobs": 1} if self._chances else {}))

    def read(self, data: bytes) -> Heard:
        """Read an event."""
        chunk = read_chunk(data)
        tokens: list[Token] = []
        for choice in chunk.choices:
            if not choice.index:
                tokens += _characters(choice)
        return heard(chunk, tokens)


def _characters(choice: Choice) -> list[Token]:
    told = choice.logprobs
    if told is None:
        return spread(choice.text)
    chances = [probability(value) for value in told.token_logprobs]
    if len(chances) == len(told.tokens) and "".join(told.tokens) == choice.text:
        return [
            token
            for text, chance in zip(told.tokens, chances, strict=True)
            for token in spread(text, [chance])
        ]
    return spread(choice.text, chances)


def spread(text: str, chances: Sequence[float] = ()) -> list[Token]:
    """Return a text's characters as tokens; the first is as probable as all, the others follow from it."""
    whole = math.prod(chances) if chances else UNKNOWN
    return [
        Token(character.encode("utf-8", "replace"), 1.0 if at else whole, ord(character))
        for at, character in enumerate(text)
    ]
