"""Prompts as text, for servers whose vocabulary is unknown. Pure."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.engine.vocabulary import MIDDLE, PREFIX, SUFFIX
from jupyter_turbopilot.plugins.remote.dialect import UNKNOWN
from jupyter_turbopilot.protocol.engine_request import Token

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

# Most servers parse these as control tokens anywhere in a text.
_CONTROLS = ("<s>", "</s>", "<bos>", "<eos>", "[INST]", "[/INST]")
_BARRED = r"<[|｜][^\s<>|｜]{1,40}[|｜]>"  # noqa: RUF001 - DeepSeek's bars


class TextPrompt(NamedTuple):
    """The text before and after the cursor; `after` is None without fill-in-the-middle."""

    before: str
    after: str | None


class Spellings:
    """Finds control tokens in text, which a remote server cannot distinguish from code."""

    def __init__(self, markers: Collection[str] = ()) -> None:
        """`markers`: the markers of all known fill-in-the-middle formats."""
        texts = sorted({*_CONTROLS, *(marker.strip() for marker in markers)} - {""}, key=len, reverse=True)
        self._pattern = re.compile("|".join([_BARRED, *map(re.escape, texts)]))

    def found(self, line: str) -> bool:
        """Return whether a text contains a control token."""
        return self._pattern.search(line) is not None

    def prompt(self, tokens: Sequence[int]) -> TextPrompt | None:
        """Return a prompt's text without lines with control tokens; None if the cursor's line has one."""
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
    """Split a prompt at its markers."""
    ids = list(tokens)
    if SUFFIX not in ids:
        return TextPrompt(_text(ids), None)
    at = ids.index(SUFFIX)
    end = ids.index(MIDDLE, at) if MIDDLE in ids[at:] else len(ids)
    return TextPrompt(_text(ids[:at] + ids[end + 1 :]), _text(ids[at + 1 : end]))


def _text(ids: Sequence[int]) -> str:
    return "".join(chr(token) for token in ids if token < PREFIX)


def spread(text: str, chances: Sequence[float] = ()) -> list[Token]:
    """Return the characters of a text as tokens. The first has the probability of the whole text."""
    whole = math.prod(chances) if chances else UNKNOWN
    return [
        Token(character.encode("utf-8", "replace"), 1.0 if at else whole, ord(character))
        for at, character in enumerate(text)
    ]
