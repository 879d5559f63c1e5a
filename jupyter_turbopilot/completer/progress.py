"""What is being written for an editor at the moment: its next request may go on with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jupyter_turbopilot.suggestion.adoption import Rest, rest_of, typed_since

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.generation import Ask, Token
    from jupyter_turbopilot.prompt.formats import Prompt
    from jupyter_turbopilot.suggestion.cache import Place, Results
    from jupyter_turbopilot.suggestion.writing import Writing


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
