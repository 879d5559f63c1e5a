"""Vocabularies with a table of their tokens' bytes. They tokenize text in slices.

Many pre-tokenizers of llama.cpp are a `std::regex`, which recurses for each character of a match and crashes
when the stack overflows. So each call gets one slice of the text. A slice ends where a token always ends. If
the longest possible slice contains no such position, it may end within a token.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from bisect import bisect_left
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from jupyter_turbopilot.engine.cancel import check
from jupyter_turbopilot.engine.vocabulary import CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

LONGEST = 2048  # characters, each of which needs 0.5 KB of stack; on some systems, threads have 1 MB
# Positions where a text may be split. The first rule that does not change the tokens of the probe is used.
_LETTER = r"[^\W\d_]"
_RULES = (
    re.compile(rf"(?<=\S)(?= {_LETTER})|(?<=\S\n)(?={_LETTER})"),
    re.compile(r"(?<=[^\n]\n)(?=[^\n])"),
    re.compile(rf"(?<=\S\n)(?={_LETTER})"),
)
_PROBE = '''\
import numpy as np
from os import path

# A comment, with a number: 1234567.
class Point(object):
    """What it is."""

    def __init__(self, x=0, *, y: int = 1) -> None:
        self.x, self.y = x, {"a b": [1, 2], 'it\\'s': None}
        if not (x > 0 and y <= 10):
            return  # early, don't go on

    @property
    def norm(self): return (self.x ** 2 + self.y ** 2) ** 0.5
def main(): print(f"{Point(3, y=4).norm:.2f}\\n", end = "")


main()
Some words, and more words. Then (in brackets) the end!
\tdf = pd.read_csv("file.csv") ; df["a"] += 1
'''


def rule_for(
    tokenize: Callable[[str], Sequence[int]], continues: Callable[[str], Sequence[int]]
) -> re.Pattern[str]:
    """Return the rule for a tokenizer; `continues` tokenizes all slices but the first."""
    whole = list(tokenize(_PROBE))
    for rule in _RULES:
        first, *others = rule.split(_PROBE)
        if [*tokenize(first), *(token for part in others for token in continues(part))] == whole:
            return rule
    return _RULES[-1]


def slices(text: str, rule: re.Pattern[str], longest: int = LONGEST) -> Iterator[str]:
    """Split a text. Each split depends only on the text before it, so appended text does not move it."""
    start = 0
    while len(text) - start > longest:
        stop = start + longest
        for begin in (stop - longest // 4, start + 1):  # usually there is one near the end
            positions = [match.start() for match in rule.finditer(text, begin, stop + 1)]
            if positions:
                stop = positions[-1]
                break
        yield text[start:stop]
        start = stop
    yield text[start:]


class ByteTable:
    """The bytes of all tokens of a vocabulary."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces
        self._order: list[int] | None = None
        self._sorted: list[bytes] = []
        self._longest = max(map(len, pieces), default=0)

    def compatible(self, candidates: Iterable[bytes]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Return the tokens that are a prefix of a candidate, or start with one."""
        if self._order is None:
            self._order = sorted(range(len(self.pieces)), key=self.pieces.__getitem__)
            self._sorted = [self.pieces[token] for token in self._order]
        texts = {*candidates}
        # Candidates with a common beginning share the tokens of its parts.
        parts = {text[:length] for text in texts for length in range(1, min(len(text), self._longest + 1))}
        tokens: list[int] = []
        for text in texts | parts:
            index = bisect_left(self._sorted, text)
            while index < len(self._sorted) and (
                self._sorted[index].startswith(text) if text in texts else self._sorted[index] == text
            ):
                tokens.append(self._order[index])
                index += 1
        return np.array(sorted({*tokens}), dtype=np.int64)


class TableVocabulary(ABC):
    """A vocabulary with a byte table. A subclass tokenizes the slices."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        """Build the table from the tokens' bytes. This calls `encode`."""
        self.table = ByteTable([*pieces])
        self.size = len(pieces)
        self.by_character = bool(pieces) and not any(piece.decode(errors="replace")[1:] for piece in pieces)
        self.unit = CHARACTERS if self.by_character else 1
        # Some vocabularies add a space before any text, so later slices are tokenized after a newline.
        self._newline: list[int] = []
        if self.join(self.tokenize_slice("a")).startswith(b" "):
            self._newline = self.encode("\n")
        self.slice_rule = rule_for(self.tokenize_slice, partial(self.tokenize_slice, continues=True))

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Tokenize a text without context."""

    def piece(self, token: int) -> bytes:
        """Return the bytes of a token; raise IndexError for an unknown id."""
        if token < 0:
            raise IndexError(token)
        return self.table.pieces[token]

    def join(self, tokens: Sequence[int]) -> bytes:
        return b"".join(map(self.piece, tokens))

    def tokenize(self, text: str, *, continues: bool = False) -> list[int]:
        tokens: list[int] = []
        for number, part in enumerate(slices(text, self.slice_rule)):
            if number:
                check()
            tokens += self.tokenize_slice(part, continues=continues or number > 0)
        return tokens

    def tokenize_slice(self, text: str, *, continues: bool = False) -> list[int]:
        if continues and self._newline:
            tokens = self.encode("\n" + text)
            if tokens[: len(self._newline)] == self._newline:
                return tokens[len(self._newline) :]
        return self.encode(text)
