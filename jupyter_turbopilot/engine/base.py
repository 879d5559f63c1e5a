"""The protocol of an engine: requests go in, tokens come out, a step at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.abilities import Abilities
    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.engine.vocabulary import Vocabulary
    from jupyter_turbopilot.generation import Ask, Token


class Run(Protocol):
    """A text being written."""

    fresh: list[Token]  # tokens written since it was last emptied, which its reader does
    done: bool

    @property
    def pending(self) -> int:
        """How many tokens are to be read before the next can be written."""


class Engine(Protocol):
    """A loaded model; runs are what its `start` returned. All is called from one thread."""

    name: str
    fim: str  # the format the catalogue names, or "auto"
    context_size: int
    identity: str  # changes with whatever its answers depend on, beside the request
    abilities: Abilities  # what it can do
    pid: int | None  # of the child process that computes, if one does

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's tokens."""

    def start(self, ask: Ask) -> Run | None:
        """Make room for a text; None while others need the room."""

    def step(self, runs: list[Any], attention: Cancel) -> None:
        """Advance every run by its next tokens, or by a piece of its prompt; `attention` cuts it short."""

    def suspend(self, run: Any) -> None:
        """Give a run's room to others; what it has written stays."""

    def resume(self, run: Any) -> bool:
        """Take room again for a run that was suspended; False while others need it."""

    def release(self, run: Any) -> None:
        """Release a run; what was read is kept for the next one."""

    def use_threads(self, count: int) -> None:
        """Set the number of threads that compute."""

    def close(self, *, keep: bool = True) -> None:
        """Free the memory; `keep` saves what was read for the next start."""
