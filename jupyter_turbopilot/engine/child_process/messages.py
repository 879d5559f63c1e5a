"""The messages between the two processes as msgpack, never pickle, and the pipes that carry them."""

from __future__ import annotations

import os
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from jupyter_turbopilot import errors
from jupyter_turbopilot.engine.base import Capabilities  # noqa: TC001 - read by msgspec
from jupyter_turbopilot.engine.load.plan import LoadPlan  # noqa: TC001 - read by msgspec
from jupyter_turbopilot.engine.transformers.checkpoint import TransformersOptions  # noqa: TC001 - likewise
from jupyter_turbopilot.errors import EngineError, TurbopilotError
from jupyter_turbopilot.generation import EngineRequest, Token, Usage  # noqa: TC001 - read by msgspec

if TYPE_CHECKING:
    from typing import BinaryIO

    from jupyter_turbopilot.engine.base import Engine

REFUSED = 3  # the child's exit status if the file is at fault
UNEXPECTED = "The model failed in its process"  # begins the message of an error that is none of ours
LENGTH = 4  # bytes before each message
LARGEST = 1 << 28  # bytes of a message; anything larger is a sign that the other side writes something else


class HostedLlama(Struct, frozen=True, tag="llama"):
    """A GGUF file in llama.cpp."""

    path: str
    plan: LoadPlan
    name: str
    fim: str = "auto"
    snapshot: str = ""  # the file of its saved sequences; empty: none

    def load(self) -> Engine:
        """Load it: called in the child."""
        from jupyter_turbopilot.engine.llama.bindings import log_to_stderr
        from jupyter_turbopilot.engine.load.plan import load

        snapshot = Path(self.snapshot) if self.snapshot else None
        log_to_stderr()  # says why, should it fail
        engine = load(Path(self.path), self.plan, name=self.name, fim=self.fim, snapshot=snapshot)
        log_to_stderr(on=False)
        return engine

    def build_command(self) -> str:
        """Return the command that builds the engine for this processor."""
        from jupyter_turbopilot.engine.llama.install import build_command

        return build_command()


class HostedTransformers(Struct, frozen=True, tag="transformers"):
    """A checkpoint in transformers."""

    folder: str
    options: TransformersOptions
    name: str
    fim: str = "auto"

    def load(self) -> Engine:
        """Load it: called in the child."""
        from jupyter_turbopilot.engine.transformers.checkpoint import load

        return load(Path(self.folder), self.options, name=self.name, fim=self.fim)

    def build_command(self) -> str:
        """Return the command that installs PyTorch for this processor."""
        from jupyter_turbopilot.engine.transformers.packages import install

        return f"{install('torch')} --force-reinstall"


# Another kind of engine is another class with a tag, a name and a `load`, added with `|`.
Hosted = HostedLlama | HostedTransformers


class Load(Struct, frozen=True, tag=True, array_like=True):
    """The first request: load an engine."""

    hosted: Hosted


class Start(Struct, frozen=True, tag=True, array_like=True):
    """Make room for a text; its run has this number from now on."""

    run: int
    ask: EngineRequest


class Step(Struct, frozen=True, tag=True, array_like=True):
    """Advance these runs."""

    runs: tuple[int, ...]


class Interruption(Struct, frozen=True, tag=True, array_like=True):
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


Request = Load | Start | Step | Interruption | Suspend | Resume | Release | UseThreads | Close


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
            error = EngineError(f"{UNEXPECTED} ({_place_of(error)}). Try again.")
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
    capabilities: Capabilities


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


class BrokenFrameError(Exception):
    """The other side has sent what is no frame."""


class FramePipe:
    """A pipe for what is sent, which is not buffered, and a pipe for what is received, which is."""

    def __init__(self, receiving: BinaryIO, sending: BinaryIO) -> None:
        self._receiving = receiving
        self._sending = sending

    def send(self, message: bytes) -> None:
        """Send a message; an OSError if nobody reads it."""
        frame = memoryview(len(message).to_bytes(LENGTH, "little") + message)
        while frame:  # a signal may interrupt a long write
            frame = frame[self._sending.write(frame) :]

    def receive(self) -> bytes:
        """Wait for a message; an EOFError if the other side is gone."""
        size = int.from_bytes(self._read(LENGTH), "little")
        if size > LARGEST:
            raise BrokenFrameError
        return self._read(size)

    def _read(self, size: int) -> bytes:
        data = self._receiving.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def close(self) -> None:
        """Close both pipes."""
        self._sending.close()
        self._receiving.close()


def take_standard_pipes() -> FramePipe:
    """Return this process's standard input and output as a pipe, out of the reach of everything else.

    Native code may read from the one and print to the other: it gets an empty input, and prints to
    standard error.
    """
    pipe = FramePipe(os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0))
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a device, not a path
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return pipe
