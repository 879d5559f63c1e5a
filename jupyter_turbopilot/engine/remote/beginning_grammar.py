"""A beginning as a grammar of llama.cpp's, for servers that hold a text to one. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.remote.chances import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.generation import Beginning, Token

LISTED = 64  # of the likeliest tokens, among which a text's beginnings are looked for
_CHARACTERS = ((0xC2, 2, 0x80), (0xE0, 3, 0x800), (0xF0, 4, 0x10000))  # least first byte, bytes, least code
_LAST = 0x10FFFF


def grammar_for(beginning: Beginning) -> str:
    """Return the grammar of all texts that begin so."""
    if beginning.ways:
        return f"root ::= ({' | '.join(map(_way, beginning.ways))}) .*"
    return f"root ::= !<[{beginning.banned}]> .*" if beginning.banned is not None else ""


def _way(way: bytes) -> str:
    """Return what matches a text that begins with some bytes, which may end within a character."""
    text = way.decode("utf-8", "ignore")
    literal = f'"{"".join(map(_escaped, map(ord, text)))}"'
    cut = way[len(text.encode()) :]
    return f"{literal} {_rest(cut)}" if cut else literal


def _rest(cut: bytes) -> str:
    """Return the characters whose bytes begin so."""
    _, length, least = next(known for known in reversed(_CHARACTERS) if cut[0] >= known[0])
    missing = 6 * (length - len(cut))  # bits
    code = cut[0] & (0xFF >> (length + 1))
    for byte in cut[1:]:
        code = code << 6 | byte & 0x3F
    first, last = code << missing, ((code + 1) << missing) - 1
    return f"[{_escaped(max(first, least))}-{_escaped(min(last, _LAST))}]"


def _escaped(code: int) -> str:
    return f"\\U{code:08X}"


def among(token: Token, ways: Sequence[bytes], piece: Callable[[int], bytes]) -> float:
    """Return how probable a token was among those that a text may go on with.

    The server says how probable it was among all, and lists the likeliest of these.
    """

    def fits(other: int) -> bool:
        try:
            data = piece(other)
        except IndexError:
            return False
        # A control token has no bytes, and ends a text.
        return bool(data) and any(way.startswith(data) or data.startswith(way) for way in ways)

    others = sum(math.exp(chance) for other, chance in token.top if other != token.id and fits(other))
    whole = token.probability + others
    return token.probability / whole if whole else UNKNOWN
