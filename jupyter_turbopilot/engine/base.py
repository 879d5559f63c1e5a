"""What an engine is: tokens in, tokens out, stoppable at any moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.engine.generation import Sampling, Token, Usage


@dataclass(frozen=True)
class Markers:
    """The token ids a fill-in-the-middle prompt is built with; None where the model has none."""

    prefix: int | None = None
    suffix: int | None = None
    middle: int | None = None
    bos: int | None = None


class Engine(Protocol):
    """A loaded model. Only `tokenize` may be called from more than one thread."""

    name: str
    fim: str  # the format the catalogue names, or "auto"
    context_size: int
    markers: Markers

    def find_token(self, text: str) -> int | None:
        """Return the control token that is spelt so."""

    def tokenize(self, text: str) -> list[int]:
        """Turn text into tokens; nothing in it becomes a control token."""

    def piece(self, token: int) -> bytes:
        """Return a token's bytes."""

    def generate(
        self, prompt: Sequence[int], sampling: Sampling, usage: Usage, cancel: Cancel
    ) -> Iterator[Token]:
        """Yield tokens until the model ends, `max_tokens`, or `cancel`."""

    def close(self) -> None:
        """Give the memory back."""
