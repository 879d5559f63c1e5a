"""The vocabulary of a remote model whose own is unknown."""

from __future__ import annotations

import sys
from types import MappingProxyType
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.vocabulary import CHARACTERS
from jupyter_turbopilot.protocol.engine_request import Markers

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX, SUFFIX, MIDDLE = range(sys.maxunicode + 1, sys.maxunicode + 4)  # not code points


class CodePoints:
    """A vocabulary whose tokens are code points. The markers are larger numbers."""

    by_character = False  # the model's own vocabulary is unknown

    def __init__(
        self, *, fills: bool = False, specials: Mapping[str, int] | None = None, unit: int = CHARACTERS
    ) -> None:
        """`fills`: whether prompts may have a suffix."""
        self.markers = Markers(PREFIX, SUFFIX, MIDDLE) if fills else Markers()
        self.specials = MappingProxyType(dict(specials or {}))
        self.ends: frozenset[int] = frozenset()
        self.unit = unit

    def find_token(self, text: str) -> int | None:
        return self.specials.get(text)

    def tokenize(self, text: str, *, continues: bool = False) -> list[int]:  # noqa: ARG002 - part of the protocol
        return [*map(ord, text)]

    def piece(self, token: int) -> bytes:
        """Return a character's bytes; empty for a marker."""
        if not 0 <= token <= sys.maxunicode:
            if token in {PREFIX, SUFFIX, MIDDLE} or token in self.specials.values():
                return b""
            raise IndexError(token)
        return chr(token).encode("utf-8", "replace")
