"""Whether a newer request continues the answer to an older one, and what is left of that answer. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.suggestion.cache import TAIL, behind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.generation import Token
    from jupyter_turbopilot.suggestion.cache import Place


class Rest(NamedTuple):
    """The part of an answer that is left after something was typed."""

    tokens: tuple[Token, ...]  # written beyond what was typed
    whole: bool = True  # whether the first of them is whole, not partly typed
    ahead: bytes = b""  # typed beyond what was written

    @property
    def sure(self) -> bool:
        """Whether its probabilities apply: not to half a token, nor to text that is yet to be written."""
        return self.whole and not self.ahead


def typed_since(older: Place, newer: Place) -> str | None:
    """Return what was typed after the older request; None if the text has changed in any other way.

    What one owner has written is nothing to another, even if their texts agree.
    """
    if newer.owner != older.owner:
        return None
    if newer.before.startswith(older.before):
        return newer.before[len(older.before) :]
    # As the text grows, cells far above are left out.
    at = newer.before.rfind(older.tail) if len(older.tail) == TAIL else -1
    return newer.before[at + TAIL :] if at >= 0 else None


def rest_of(tokens: Sequence[Token], typed: bytes) -> Rest | None:
    """Return what is left of an answer after what was typed; None if the two disagree."""
    written = b"".join(token.data for token in tokens)
    if not (written.startswith(typed) or typed.startswith(written)):
        return None
    return Rest(*behind(tokens, len(typed)), ahead=typed[len(written) :])
