"""The protocol of a vocabulary, one of characters for engines whose tokens are unknown, and a digest."""

from __future__ import annotations

import hashlib
import sys
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

from jupyter_turbopilot.generation import Markers

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

CHARACTERS = 3  # tokens of `CodePoints`, for one of a vocabulary of words
PREFIX, SUFFIX, MIDDLE = range(sys.maxunicode + 1, sys.maxunicode + 4)  # no text holds these
DIGITS = 32  # of a digest


class Vocabulary(Protocol):
    """A model's tokens, and text as tokens. May be used from several threads."""

    @property
    def markers(self) -> Markers:
        """The tokens of a fill-in-the-middle prompt, as far as the model's file names them."""

    @property
    def specials(self) -> Mapping[str, int]:
        """Control tokens by their text."""

    @property
    def ends(self) -> AbstractSet[int]:
        """The tokens that end a text."""

    @property
    def unit(self) -> int:
        """How many tokens make up about three characters of code: budgets count in those."""

    @property
    def by_character(self) -> bool:
        """Whether the model reads characters: a token of its own for each."""

    def find_token(self, text: str) -> int | None:
        """Return the id of a control token by its text."""

    def tokenize(self, text: str, *, behind: bool = False) -> list[int]:
        """Turn text into tokens, none of them a control token. `behind`: other text stands before it."""

    def piece(self, token: int) -> bytes:
        """Return a token's bytes; an IndexError where there is no such token."""


class CodePoints:
    """Text as code points; markers are numbers beyond them, which whoever reads a prompt knows."""

    by_character = False  # what the model reads is not known

    def __init__(
        self, *, fills: bool = False, specials: Mapping[str, int] | None = None, unit: int = CHARACTERS
    ) -> None:
        """`fills`: whether prompts may have a suffix."""
        self.markers = Markers(PREFIX, SUFFIX, MIDDLE) if fills else Markers()
        self.specials = MappingProxyType(dict(specials or {}))
        self.ends: frozenset[int] = frozenset()
        self.unit = unit

    def find_token(self, text: str) -> int | None:
        """Return the id of a control token by its text."""
        return self.specials.get(text)

    def tokenize(self, text: str, *, behind: bool = False) -> list[int]:  # noqa: ARG002 - the same anywhere
        """Turn text into code points."""
        return [*map(ord, text)]

    def piece(self, token: int) -> bytes:
        """Return a character's bytes; none for a marker."""
        if not 0 <= token <= sys.maxunicode:
            if token in {PREFIX, SUFFIX, MIDDLE} or token in self.specials.values():
                return b""
            raise IndexError(token)
        return chr(token).encode("utf-8", "replace")


_known: WeakKeyDictionary[Vocabulary, str] = WeakKeyDictionary()


def vocabulary_digest(vocabulary: Vocabulary) -> str:
    """Return the digest of all tokens' bytes and of the control tokens.

    It is computed once; with a hundred thousand tokens that takes long enough to keep it off an event loop.
    """
    if (digest := _known.get(vocabulary)) is None:
        digest = _known[vocabulary] = _computed(vocabulary)
    return digest


def _computed(vocabulary: Vocabulary) -> str:
    controls = {token: text.encode() for text, token in vocabulary.specials.items()}
    digest = hashlib.sha256()
    for token in count():
        try:
            data = vocabulary.piece(token)
        except IndexError:
            break
        # One reader of a vocabulary pads it with tokens without bytes where another leaves them out, and one
        # gives a control token bytes where another gives it none.
        if data and token not in controls:
            digest.update(b"%d %d %b\n" % (token, len(data), data))
    for token, text in sorted(controls.items()):
        digest.update(b"control %d %d %b\n" % (token, len(text), text))
    return digest.hexdigest()[:DIGITS]
