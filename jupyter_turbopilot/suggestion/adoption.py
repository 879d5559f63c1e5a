"""Does a newer request go on where an older one is being answered, and what of that answer is left? Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.suggestion.cache import TAIL, behind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.generation import Token
    from jupyter_turbopilot.suggestion.cache import Place


class Rest(NamedTuple):
    """What is left of an answer once something was typed."""

    tokens: tuple[Token, ...]  # written beyond what was typed
    whole: bool = True  # whether the first of them is whole
    ahead: bytes = b""  # typed beyond what was written

    @property
    def sure(self) -> bool:
        """Whether it answers what was typed: half a token, or what is to be written yet, says too little."""
        return self.whole and not self.ahead


def typed_since(older: Place, newer: Place) -> str | None:
    """Return what was typed at the end of the older place to get to the newer; None where that is not all."""
    if newer.before.startswith(older.before):
        return newer.before[len(older.before) :]
    # Cells far above are left out as the text grows.
    at = newer.before.rfind(older.tail) if len(older.tail) == TAIL else -1
    return newer.before[at + TAIL :] if at >= 0 else None


def rest_of(tokens: Sequence[Token], typed: bytes) -> Rest | None:
    """Return what is left of an answer behind what was typed; None where the two contradict each other."""
    written = b"".join(token.data for token in tokens)
    if not (written.startswith(typed) or typed.startswith(written)):
        return None
    return Rest(*behind(tokens, len(typed)), ahead=typed[len(written) :])
