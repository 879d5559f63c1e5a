"""The vocabulary protocol, and the digest of a vocabulary."""

from __future__ import annotations

import hashlib
from itertools import count
from typing import TYPE_CHECKING, Protocol
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from jupyter_turbopilot.protocol.engine_request import Markers

CHARACTERS = 3  # code points that correspond to one token of a usual vocabulary
DIGITS = 32  # of a digest


class Vocabulary(Protocol):
    """A model's tokenizer. Several threads may use it."""

    @property
    def markers(self) -> Markers:
        """The tokens of a fill-in-the-middle prompt, if the model's file names them."""

    @property
    def specials(self) -> Mapping[str, int]:
        """Control tokens by their text."""

    @property
    def ends(self) -> AbstractSet[int]:
        """The tokens that end a text."""

    @property
    def unit(self) -> int:
        """The number of tokens for about three characters of code, the unit of token limits."""

    @property
    def by_character(self) -> bool:
        """Whether each character is a token."""

    def find_token(self, text: str) -> int | None:
        """Return the id of the control token with this text."""

    def tokenize(self, text: str, *, continues: bool = False) -> list[int]:
        """Return the tokens of a text, without control tokens. `continues`: it continues other text."""

    def piece(self, token: int) -> bytes:
        """Return a token's bytes; raise IndexError if there is no such token."""


_digests: WeakKeyDictionary[Vocabulary, str] = WeakKeyDictionary()


def vocabulary_digest(vocabulary: Vocabulary) -> str:
    """Return a digest of all tokens' bytes and of the control tokens.

    It is computed once. For a large vocabulary this takes too long for an event loop.
    """
    if (digest := _digests.get(vocabulary)) is None:
        digest = _digests[vocabulary] = _compute_digest(vocabulary)
    return digest


def _compute_digest(vocabulary: Vocabulary) -> str:
    controls = {token: text.encode() for text, token in vocabulary.specials.items()}
    digest = hashlib.sha256()
    for token in count():
        try:
            data = vocabulary.piece(token)
        except IndexError:
            break
        # Vocabularies of the same model may differ in padding tokens without bytes, and in the bytes of
        # control tokens.
        if data and token not in controls:
            digest.update(b"%d %d %b\n" % (token, len(data), data))
    for token, text in sorted(controls.items()):
        digest.update(b"control %d %d %b\n" % (token, len(text), text))
    return digest.hexdigest()[:DIGITS]
