"""What the two processes say to each other, as msgpack: never pickle, which runs what it reads."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from jupyter_turbopilot import errors
from jupyter_turbopilot.engine.base import Abilities  # noqa: TC001 - read by msgspec
from jupyter_turbopilot.engine.isolated.hosted import Hosted  # noqa: TC001 - read by msgspec
from jupyter_turbopilot.errors import EngineError, TurbopilotError
from jupyter_turbopilot.generation import Ask, Token, Usage  # noqa: TC001 - read by msgspec


class Load(Struct, frozen=True, tag=True, array_like=True):
    """The first request: load an engine."""

    hosted: Hosted


class Start(Struct, frozen=True, tag=True, array_like=True):
    """Make room for a text; its run has this number from now on."""

    run: int
    ask: Ask


class Step(Struct, frozen=True, tag=True, array_like=True):
    """Advance these runs."""

    runs: tuple[int, ...]


class Attention(Struct, frozen=True, tag=True, array_like=True):
    """Cut the step short that was asked for before. It has no reply; after that step it means nothing."""


class Suspend(Struct, frozen=True, tag=True, array_like=True):
    """Give a run's room to others."""

    run: int


class Resume(Struct, frozen=True, tag=True, array_like=True):
    """Take room again for a run that was suspended."""

    run: int


class Release(Struct, frozen=True, tag=True, array_like=True):
    """Release a run."""

    run: int


class UseThreads(Struct, frozen=True, tag=True, array_like=True):
    """Compute with so many threads."""

    count: int


class Close(Struct, frozen=True, tag=True, array_like=True):
    """The last request: free the engine, and end."""

    keep: bool


Request = Load | Start | Step | Attention | Suspend | Resume | Release | UseThreads | Close


class Progress(Struct, array_like=True):
    """How far a run is, and the tokens it has written since this was last said."""

    fresh: list[Token]
    done: bool
    pending: int
    usage: Usage


def _place_of(error: Exception) -> str:
    """Return an error's type, and in which line of which file it was raised."""
    name, frames = type(error).__name__, traceback.extract_tb(error.__traceback__)
    return f"{name} in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else name


class Failure(Struct, array_like=True):
    """An error in words, to be raised on the other side."""

    kind: str
    values: dict[str, Any]

    @classmethod
    def of(cls, error: Exception) -> Failure:
        """Describe an error. Of one not meant for a person, only type and place: it may hold a prompt."""
        if not isinstance(error, TurbopilotError):
            error = EngineError(f"The model failed in its process ({_place_of(error)}). Try again.")
        kind = next(kind for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
        plain = (str, int, float, type(None))
        return cls(
            kind.__name__, {name: value for name, value in vars(error).items() if isinstance(value, plain)}
        )

    def error(self) -> TurbopilotError:
        """Return the error, of the kind it had."""
        kind = getattr(errors, self.kind, None)
        if not (isinstance(kind, type) and issubclass(kind, TurbopilotError)):
            kind = EngineError
        error = kind.__new__(kind)  # its words are there: some kinds would make them from other arguments
        TurbopilotError.__init__(error, str(self.values.get("message", "")))
        vars(error).update(self.values)
        return error


class Description(Struct):
    """What an engine says about itself."""

    name: str
    fim: str
    context_size: int
    identity: str
    abilities: Abilities


class Reply(Struct, array_like=True):
    """The reply to any request."""

    runs: list[Progress] = []  # of the runs in the request, in its order
    granted: bool = True  # False: others need the room
    failure: Failure | None = None
    engine: Description | None = None  # after a load


_encoder = msgspec.msgpack.Encoder()
_requests = msgspec.msgpack.Decoder(Request)
_replies = msgspec.msgpack.Decoder(Reply)
encode = _encoder.encode
decode_request = _requests.decode
decode_reply = _replies.decode
