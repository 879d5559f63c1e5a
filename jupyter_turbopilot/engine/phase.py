"""The state of the engine as the worker reports it: a phase, the model, and why there is no engine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from jupyter_turbopilot.errors import NotReadyError


class Phase(StrEnum):
    """The phases of an engine, by the names that `health` uses."""

    EMPTY = "empty"
    LOADING = "loading"
    READY = "ready"
    THINKING = "thinking"  # it is writing, and somebody waits for it
    ASLEEP = "asleep"  # its memory was freed; the next request loads it again
    WAKING = "waking"  # it is being loaded again; requests wait
    FAILED = "failed"
    STOPPED = "stopped"


_READY = {Phase.READY, Phase.THINKING, Phase.ASLEEP, Phase.WAKING}


@dataclass(frozen=True)
class EngineState:
    """The engine's phase, its model, and the reason and error code if it is not ready."""

    phase: Phase
    model: str = ""
    reason: str = ""
    code: str = ""
    exit_status: int = NotReadyError.exit_status  # of a command that cannot do without the model

    @property
    def ready(self) -> bool:
        """Tell whether a completion could begin at once."""
        return self.phase in _READY


def not_ready(state: EngineState) -> NotReadyError:
    """Return the error that says why no engine answers."""
    texts = {
        Phase.EMPTY: "No model is loaded.",
        Phase.LOADING: f"{state.model} is being loaded.",
        Phase.STOPPED: "The server is stopping.",
    }
    phase = str(state.phase)
    error = NotReadyError(state.reason or texts.get(state.phase, phase), code=state.code or phase)
    error.exit_status = state.exit_status
    return error
