"""OpenAI's completions as text: for far sides whose vocabulary nobody knows. Pure."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.engine.remote.by_ids import ROUTE, read_event
from jupyter_turbopilot.engine.remote.dialect import UNKNOWN, Request, probability, sampling_fields
from jupyter_turbopilot.engine.vocabulary import MIDDLE, PREFIX, SUFFIX
from jupyter_turbopilot.generation import Token

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from jupyter_turbopilot.engine.remote.by_ids import Choice
    from jupyter_turbopilot.engine.remote.dialect import Heard
    from jupyter_turbopilot.generation import Ask

# What most servers read as control tokens wherever it stands in a text.
_CONTROLS = ("<s>", "</s>", "<bos>", "<eos>", "[INST]", "[/INST]")
_BARRED = r"<[|｜][^\s<>|｜]{1,40}[|｜]>"  # noqa: RUF001 - DeepSeek's bars


class TextPrompt(NamedTuple):
    """What stands before a text and behind it; None: it has no hole."""

    before: str
    after: str | None


class Spellings:
    """How control tokens are spelt. In text nobody can tell them from code."""

    def __init__(self, markers: Collection[str] = ()) -> None:
        """`markers`: those of every known format."""
        words = sorted({*_CONTROLS, *(marker.strip() for marker in markers)} - {""}, key=len, reverse=True)
        self._pattern = re.compile("|".join([_BARRED, *map(re.escape, words)]))

    def found(self, line: str) -> bool:
        """Return whether a line spells a control token."""
        return self._pattern.search(line) is not None

    def prompt(self, tokens: Sequence[int]) -> TextPrompt | None:
        """Return a prompt's text without lines that spell control tokens; None: the cursor's own does."""
        before, after = parts(tokens)
        above, break_, line = before.rpartition("\n")
        rest, end, below = (after or "").partition("\n")
        if self.found(line + rest):
            return None
        text = self._without(above + break_) + line
        return TextPrompt(text, None if after is None else rest + end + self._without(below))

    def _without(self, text: str) -> str:
        if not self.found(text):
            return text
        return "".join(line for line in text.splitlines(keepends=True) if not self.found(line))


def parts(tokens: Sequence[int]) -> TextPrompt:
    """Return the texts of a prompt before and behind the hole; a prompt without markers has none."""
    ids = list(tokens)
    if SUFFIX not in ids:
        return TextPrompt(_text(ids), None)
    at = ids.index(SUFFIX)
    end = ids.index(MIDDLE, at) if MIDDLE in ids[at:] else len(ids)
    return TextPrompt(_text(ids[:at] + ids[end + 1 :]), _text(ids[at + 1 : end]))


def _text(ids: Sequence[int]) -> str:
    return "".join(chr(token) for token in ids if token < PREFIX)


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
        if self._chances:
            body["logprobs"] = 1
        return Request(ROUTE, body)

    def read(self, data: bytes) -> Heard:
        """Read an event."""
        return read_event(data, _characters)


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
