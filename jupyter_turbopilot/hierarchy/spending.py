"""What may be spent on functions: time, tokens, characters. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

CHARACTERS = 60_000  # of all functions: what is longer takes long to check
SPENT = "left out: the time or the tokens are used up"
TOO_LONG = "left out: the functions before it are too long"


@dataclass
class Spending:
    """What was spent, and until when there is time."""

    clock: Callable[[], float]
    until: float
    most_tokens: int
    tokens: int = 0

    @property
    def is_over(self) -> bool:
        """Whether the time or the tokens are used up."""
        return self.tokens >= self.most_tokens or self.clock() >= self.until

    @property
    def left(self) -> int:
        """How many tokens an answer may have."""
        return max(1, self.most_tokens - self.tokens)

    def refusal(self, sources: Iterable[str]) -> str:
        """Say why no function is written beside these; nothing where one can be."""
        if self.is_over:
            return SPENT
        return TOO_LONG if sum(map(len, sources)) > CHARACTERS else ""
