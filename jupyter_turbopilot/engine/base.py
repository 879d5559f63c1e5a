"""What an engine is: tokens in, tokens out, stoppable at any moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.engine.cancel import Cancel


@dataclass(frozen=True)
class Markers:
    """The token ids a fill-in-the-middle prompt is built with; None where the model has none."""

    prefix: int | None = None
    suffix: int | None = None
    middle: int | None = None
    bos: int | None = None


@dataclass(frozen=True)
class Sampling:
    """How to choose tokens. Temperature 0 takes the likeliest."""

    max_tokens: int = 48
    temperature: float = 0.0
    top_k: int = 40
    top_p: float = 0.95
    seed: int = 0
    forced: bytes = b""  # the text has to begin with these bytes (token healing)


@dataclass(frozen=True)
class Token:
    """One token of the answer and how probable it was."""

    data: bytes
    probability: float


@dataclass
class Usage:
    """What a request cost, filled in as it runs."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    prompt_ms: float = 0.0
    predicted_tokens: int = 0
    predicted_ms: float = 0.0


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
