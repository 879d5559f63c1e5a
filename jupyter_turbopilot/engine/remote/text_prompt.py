"""A prompt of code points becomes text for a far side that takes no token ids. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.vocabulary import MIDDLE, PREFIX, SUFFIX

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

# What most servers read as control tokens wherever it stands in a text.
_CONTROLS = ("<s>", "</s>", "<bos>", "<eos>", "[INST]", "[/INST]")
_BARRED = r"<[|｜][^\s<>|｜]{1,40}[|｜]>"  # noqa: RUF001 - DeepSeek's bars


@dataclass(frozen=True)
class TextPrompt:
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
        """Tell whether a line spells a control token."""
        return self._pattern.search(line) is not None

    def prompt(self, tokens: Sequence[int]) -> TextPrompt | None:
        """Return a prompt's text without lines that spell control tokens; None: the cursor's own does."""
        before, after = parts(tokens)
        above, break_, line = before.rpartition("\n")
        rest, end, below = (after or "").partition("\n")
        if self.found(line + rest) or self.found(line) or self.found(rest):
            return None
        text = self._without(above + break_) + line
        return TextPrompt(text, None if after is None else rest + end + self._without(below))

    def _without(self, text: str) -> str:
        if not self.found(text):
            return text
        return "".join(line for line in text.splitlines(keepends=True) if not self.found(line))


def parts(tokens: Sequence[int]) -> tuple[str, str | None]:
    """Return the texts of a prompt before and behind the hole; a prompt without markers has none."""
    ids = list(tokens)
    if SUFFIX not in ids:
        return _text(ids), None
    at = ids.index(SUFFIX)
    end = ids.index(MIDDLE, at) if MIDDLE in ids[at:] else len(ids)
    return _text(ids[:at] + ids[end + 1 :]), _text(ids[at + 1 : end])


def _text(ids: Sequence[int]) -> str:
    return "".join(chr(token) for token in ids if token < PREFIX)
