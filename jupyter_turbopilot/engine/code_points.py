"""A vocabulary whose tokens are characters, for engines whose own tokens nobody here knows. Pure."""

from __future__ import annotations

import sys
from types import MappingProxyType
from typing import TYPE_CHECKING

from jupyter_turbopilot.generation import Markers

if TYPE_CHECKING:
    from collections.abc import Mapping

CHARACTERS = 3  # tokens of such a vocabulary, for one of a vocabulary of words
PREFIX, SUFFIX, MIDDLE = range(sys.maxunicode + 1, sys.maxunicode + 4)  # no text holds these


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
