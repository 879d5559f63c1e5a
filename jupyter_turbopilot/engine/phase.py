"""What the worker tells of itself: a phase, the model, and why there is no engine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from jupyter_turbopilot.errors import NotReadyError


class Phase(StrEnum):
    """Where an engine is between not being loaded and being gone; the words are those of `health`."""

    EMPTY = "empty"
    LOADING = "loading"
    READY = "ready"
    THINKING = "thinking"  # somebody waits for what is being written
    ASLEEP = "asleep"  # it gave its memory back; the next request wakes it
    WAKING = "waking"  # it is loaded again; requests may wait
    FAILED = "failed"
    STOPPED = "stopped"


_READY = {Phase.READY, Phase.THINKING, Phase.ASLEEP, Phase.WAKING}


@dataclass(frozen=True)
class State:
    """The worker's phase, for which model, and why it is not another."""

    phase: Phase
    model: str = ""
    reason: str = ""
    code: str = ""

    @property
    def ready(self) -> bool:
        """Tell whether a completion could begin at once."""
        return self.phase in _READY


def not_ready(state: State) -> NotReadyError:
    """Return the error that says why no engine answers."""
    texts = {
        Phase.EMPTY: "No model is loaded.",
        Phase.LOADING: f"{state.model} is being loaded.",
        Phase.STOPPED: "The server is stopping.",
    }
    phase = str(state.phase)
    return NotReadyError(state.reason or texts.get(state.phase, phase), code=state.code or phase)
