"""The answer that is being generated for an editor: its next request may continue it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.suggestion.cache import TAIL, behind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.generation import Ask, Token
    from jupyter_turbopilot.prompt.formats import Prompt
    from jupyter_turbopilot.suggestion.cache import Place, Results
    from jupyter_turbopilot.suggestion.writing import Writing


class Rest(NamedTuple):
    """The part of an answer that is left after something was typed."""

    tokens: tuple[Token, ...]  # written beyond what was typed
    whole: bool = True  # whether the first of them is whole, not partly typed
    ahead: bytes = b""  # typed beyond the generated text

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
    """Return the rest of an answer behind the typed text; None if the two disagree."""
    written = b"".join(token.data for token in tokens)
    if not (written.startswith(typed) or typed.startswith(written)):
        return None
    return Rest(*behind(tokens, len(typed)), ahead=typed[len(written) :])


@dataclass
class AnswerInProgress:
    """What is being written. A job that takes another's place gets the other's."""

    name: str = ""  # the answer it is written for
    place: Place | None = None
    writing: Writing | None = None
    ask: Ask | None = None  # what is computed; None: nothing any more
    prompt: Prompt | None = None
    ids: list[int] = field(default_factory=list)  # all that was written behind the prompt
    ahead: bytes = b""  # what was typed at the place and is to be written yet

    @property
    def tokens(self) -> Sequence[Token]:
        """What was written from the place on."""
        return self.writing.tokens if self.writing else ()

    @property
    def begun(self) -> bool:
        """Whether something of what is computed was written, or typed before that."""
        return bool(self.ask and (self.tokens or self.ahead))

    @property
    def evaluated(self) -> list[int]:
        """The prompt, and all that was written behind it."""
        return [*(self.prompt.tokens if self.prompt else ()), *self.ids]

    def rest(self, place: Place) -> Rest | None:
        """Return what is left of what was written, at another place; None where that contradicts it."""
        typed = typed_since(self.place, place) if self.place else None
        return None if typed is None else rest_of(self.tokens, self.ahead + typed.encode())

    def keep(self, results: Results) -> None:
        """Keep what was written as a guess at what follows its place: nobody goes on with it."""
        if self.place and self.tokens:
            results.remember(self.place, self.tokens, ended=False, guess=True)
        self.writing = self.ask = None
        self.ahead = b""
