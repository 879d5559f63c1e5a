"""What an engine is: requests go in, tokens come out, a step at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.generation import Ask, Markers, Token


class Run(Protocol):
    """A text being written."""

    fresh: list[Token]  # what was written since somebody looked; whoever looks empties it
    done: bool

    @property
    def pending(self) -> int:
        """How many tokens are to be read before the next can be written."""


class Engine(Protocol):
    """A loaded model; runs are what its `start` returned. Only `tokenize` is called from several threads."""

    name: str
    fim: str  # the format the catalogue names, or "auto"
    context_size: int
    markers: Markers
    specials: dict[str, int]  # control tokens by how they are spelt

    def find_token(self, text: str) -> int | None:
        """Return the control token that is spelt so."""

    def tokenize(self, text: str, *, behind: bool = False) -> list[int]:
        """Turn text into tokens; nothing in it becomes a control token. `behind` others it begins no text."""

    def piece(self, token: int) -> bytes:
        """Return a token's bytes."""

    def start(self, ask: Ask) -> Run | None:
        """Make room for a text; None while others need the room."""

    def step(self, runs: list[Any], attention: Cancel) -> None:
        """Advance every run by its next tokens, or by a piece of its prompt; `attention` cuts it short."""

    def suspend(self, run: Any) -> None:
        """Give a run's room to others; what it has written stays."""

    def resume(self, run: Any) -> bool:
        """Take room again for a run that was suspended; False while others need it."""

    def release(self, run: Any) -> None:
        """Let go of a run; what was read is kept for the next."""

    def use_threads(self, count: int) -> None:
        """Compute on so many threads from now on."""

    def close(self, *, keep: bool = True) -> None:
        """Give the memory back; `keep` what was read, for the next start."""
