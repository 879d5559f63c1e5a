"""The protocol of a vocabulary: text as tokens, and tokens as bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from jupyter_turbopilot.generation import Markers


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
