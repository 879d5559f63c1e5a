"""What vocabularies share whose tokens' bytes are known: text in slices, tokens as bytes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.cancel import check
from jupyter_turbopilot.engine.code_points import CHARACTERS
from jupyter_turbopilot.engine.slices import rule_for, slices
from jupyter_turbopilot.engine.token_bytes import ByteTable

if TYPE_CHECKING:
    from collections.abc import Sequence


class TableVocabulary(ABC):
    """A table of bytes; a subclass turns a slice of text into tokens."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        """Take the tokens' bytes; tokenizing has to work by now."""
        self.table = ByteTable([*pieces])
        self.size = len(pieces)
        self.by_character = bool(pieces) and not any(piece.decode(errors="replace")[1:] for piece in pieces)
        self.unit = CHARACTERS if self.by_character else 1
        # Some vocabularies put a space before any text: what follows a cut is tokenized behind a newline.
        self._newline: list[int] = []
        if self.join(self.tokenize_slice("a")).startswith(b" "):
            self._newline = self.encode("\n")
        self.slice_rule = rule_for(self.tokenize_slice, partial(self.tokenize_slice, behind=True))

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Turn a text into tokens as if it stood alone."""

    def piece(self, token: int) -> bytes:
        """Return a token's bytes; an IndexError where there is no such token."""
        if token < 0:
            raise IndexError(token)
        return self.table.pieces[token]

    def join(self, tokens: Sequence[int]) -> bytes:
        """Return the bytes of several tokens."""
        return b"".join(map(self.piece, tokens))

    def tokenize(self, text: str, *, behind: bool = False) -> list[int]:
        """Turn text into tokens, none of them a control token. `behind`: other text stands before it."""
        tokens: list[int] = []
        for number, part in enumerate(slices(text, self.slice_rule)):
            if number:
                check()
            tokens += self.tokenize_slice(part, behind=behind or number > 0)
        return tokens

    def tokenize_slice(self, text: str, *, behind: bool = False) -> list[int]:
        """Turn a text into tokens in one piece; see `slices` for how long it may be."""
        if behind and self._newline:
            tokens = self.encode("\n" + text)
            if tokens[: len(self._newline)] == self._newline:
                return tokens[len(self._newline) :]
        return self.encode(text)
