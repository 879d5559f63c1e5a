"""The protocol of an engine: requests go in, tokens come out, a step at a time. And what it can do."""

from __future__ import annotations

import logging
from collections.abc import Set as AbstractSet  # noqa: TC003 - abilities are read back from a message
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.errors import BadRequestError, EngineGoneError
from jupyter_turbopilot.generation import Ask, Beginning, Sampling

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.vocabulary import Vocabulary
    from jupyter_turbopilot.generation import Token

log = logging.getLogger(__name__)

MAX_STEPS = 8  # a text of one token takes fewer, or never ends
# Prompts are read in pieces, so that a short prompt does not wait for a whole long one.
CHUNK = 64
# Larger pieces are read faster, but whoever comes waits longer. So the size of a piece grows with how many
# prompts of more than one piece there are, up to so many times: behind several, a piece is soon over.
PIECES = 4
PLACES = 8  # texts that an engine generates at a time, unless it says otherwise
UNLIMITED = 1 << 16
# Each option that changes which token follows, with the value that switches it off.
_OFF: dict[str, Any] = {
    "temperature": 0.0,
    "top_k": 0,
    "top_p": 1.0,
    "min_p": 0.0,
    "typical_p": 1.0,
    "samplers": (),
    "seed": 0,
    "repeat_penalty": 1.0,
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
    "penalty_last_n": 0,
    "logit_bias": (),
    "ignore_end": False,
    "drawn": False,
    "cached": True,
}
SAMPLERS = frozenset(_OFF)
_OF_DRAWING = {"top_k", "top_p", "min_p", "typical_p", "samplers", "seed", "drawn"}
_DEFAULTS = Sampling()


@dataclass(frozen=True)
class Abilities:
    """What an engine can do. The completer relies on it; `tests/engine/conformance.py` checks it."""

    places: int = PLACES  # how many texts it writes at a time
    holds: bool = True  # whether it holds a text to a `Beginning`
    chances: bool = True  # whether it says how probable each token was, before temperature and penalties
    top: int = UNLIMITED  # how many of the likeliest tokens it can list at each place
    ahead: bool = True  # whether it may prefetch
    samplers: AbstractSet[str] = SAMPLERS  # the options of `Sampling` that it honours
    elsewhere: bool = False  # whether it computes elsewhere: a step only waits, and may be cut short
    lasting: bool = True  # whether its identity says all that its answers depend on: they may outlive it

    def check(self, sampling: Sampling) -> None:
        """Refuse options that it would have to ignore. Unchanged defaults are accepted."""
        if sampling.top > self.top:
            most = f"at most {self.top}" if self.top else "none"
            raise BadRequestError(
                f"This engine cannot list the {sampling.top} likeliest tokens ({most}).", field="logprobs"
            )
        if sampling.beginning != Beginning() and not self.holds:
            name = "begins" if sampling.beginning.ways else "banned"
            raise BadRequestError("This engine cannot be held to a beginning. Leave it out.", field=name)
        for name in sorted(SAMPLERS - self.samplers):
            value = getattr(sampling, name)
            if value in {_OFF[name], getattr(_DEFAULTS, name)} or _is_moot(name, sampling):
                continue
            raise BadRequestError(f"This engine does not support {name}. Leave it out.", field=name)


def _is_moot(name: str, sampling: Sampling) -> bool:
    """Return whether an option has no effect beside the others."""
    if name in _OF_DRAWING:
        return sampling.temperature <= 0
    return name == "penalty_last_n" and not sampling.penalised


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


def can_write(engine: Engine) -> bool:
    """Return whether an engine generates one token; True if it has no room to try.

    If the engine reports that it is gone, its error is raised.
    """
    try:
        run = engine.start(Ask([0], Sampling(max_tokens=1)))
        if run is None:
            return True  # the next steps of those who have the room will show it
        try:
            for _ in range(MAX_STEPS):
                engine.step([run], Cancel())
                if run.done or run.fresh:
                    break
        finally:
            engine.release(run)
    except EngineGoneError:
        raise
    except BaseException:
        log.exception("Turbopilot: the engine has failed")
        return False
    return True
