"""The text that the engine writes for a request; the editor's next request may continue it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.cache.results import TAIL, behind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.cache.results import Place, Results
    from jupyter_turbopilot.completer.plan import Plan
    from jupyter_turbopilot.generation import Ask, Token
    from jupyter_turbopilot.prompt.formats import Prompt
    from jupyter_turbopilot.suggestion.writing import Writing

CAUGHT_UP = 32  # bytes that were typed before they were written: more than that was not typed


class Rest(NamedTuple):
    """The part of a text that is left after something was typed."""

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
    """Return the rest of a text behind what was typed; None if the two disagree."""
    written = b"".join(token.data for token in tokens)
    if not (written.startswith(typed) or typed.startswith(written)):
        return None
    return Rest(*behind(tokens, len(typed)), ahead=typed[len(written) :])


@dataclass
class Text:
    """What is being written. It moves to the request that continues it."""

    place: Place | None = None  # where it is written; None: it is not cached
    writing: Writing | None = None
    ask: Ask | None = None  # what the engine computes; None: nothing any more
    prompt: Prompt | None = None
    ids: list[int] = field(default_factory=list)  # all that was written behind the prompt
    ahead: bytes = b""  # what was typed at the place and is to be written yet
    sure: bool = True  # whether a prompt of its own would be answered with no more

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

    def is_continued_by(self, plan: Plan, rest: Rest | None, names: Sequence[str]) -> bool:
        """Return whether a newer request continues this text instead of beginning its own.

        It does if all of this holds; `Editors` has seen to it that it is of the same editor and cell:
        1. The request is for one text, the likeliest.
        2. It differs from the older request only in what was typed since: the same text after the cursor,
           limits, kernel facts, cells of the index and owner.
        3. What was typed agrees with what is written. It may be longer, but only by a few bytes.
        4. Something is written or typed already, and the engine still computes.
        5. Where only certain names can follow (`names`), what is written is one of them or will be.
        """
        place = self.place
        if not (rest and place and self.ask and self.begun) or plan.n > 1 or not plan.remembered:
            return False
        if (place.group, place.after, place.limit) != (plan.place.group, plan.place.after, plan.place.limit):
            return False
        if len(rest.ahead) > CAUGHT_UP:
            return False
        written = b"".join(token.data for token in rest.tokens)
        # What was held to names from its beginning becomes one of them.
        constrained = bool(self.ask.sampling.beginning.ways and written)
        ways = [name.encode() for name in names]
        return not ways or any(
            written.startswith(way) or (constrained and way.startswith(written)) for way in ways
        )

    def keep(self, results: Results) -> None:
        """Cache what was written as a draft for its place: no request continues it."""
        if self.place and self.tokens:
            results.remember(self.place, self.tokens, ended=False, guess=True)
        self.writing = self.ask = None
        self.ahead = b""
