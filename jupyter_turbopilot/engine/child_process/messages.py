"""The messages between parent and child, and their pipes. They are msgpack: unpickling can run code."""

from __future__ import annotations

import os
import traceback
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec
from msgspec import Struct

from jupyter_turbopilot.engine.base import Capabilities, Speed
from jupyter_turbopilot.protocol import errors
from jupyter_turbopilot.protocol.engine_request import EngineRequest, Token, Usage  # noqa: TC001 - needed by msgspec
from jupyter_turbopilot.protocol.errors import EngineError, TurbopilotError

if TYPE_CHECKING:
    from typing import BinaryIO

    from jupyter_turbopilot.engine.base import Engine

REFUSED = 3  # the child's exit status if the file is the cause
UNEXPECTED = "The model failed in its process"  # the start of the message for an unexpected exception
LENGTH = 4  # bytes before each message
LARGEST = 1 << 28  # bytes of a message; a larger length means that the data is not a message


class Hosted(Protocol):
    """A model for the child process: a struct, so that it can be sent."""

    @property
    def name(self) -> str:
        """The name of the model, for messages."""

    def load(self) -> Engine:
        """Load the engine in the child process."""

    def build_command(self) -> str:
        """Return the command that builds the engine for this processor."""


class Load(Struct, frozen=True, tag=True, array_like=True):
    """The first request: load an engine. The child process imports the class of `Hosted`."""

    module: str
    kind: str
    values: msgspec.Raw

    @classmethod
    def of(cls, hosted: Hosted) -> Load:
        kind = type(hosted)
        return cls(kind.__module__, kind.__qualname__, msgspec.Raw(encode(hosted)))

    def hosted(self) -> Hosted:
        kind = getattr(import_module(self.module), self.kind)
        hosted: Hosted = msgspec.msgpack.decode(self.values, type=kind)
        return hosted


class Start(Struct, frozen=True, tag=True, array_like=True):
    """Start a run with this number, if there is a free slot."""

    run: int
    engine_request: EngineRequest


class Step(Struct, frozen=True, tag=True, array_like=True):
    """Advance these runs."""

    runs: tuple[int, ...]


class Interrupt(Struct, frozen=True, tag=True, array_like=True):
    """Interrupt the current step. It has no reply, and no effect after the step."""


class RunRequest(Struct, frozen=True, tag=True, array_like=True):
    """Call a method of the engine for a run."""

    method: Literal["suspend", "resume", "release"]
    run: int


class UseThreads(Struct, frozen=True, tag=True, array_like=True):
    """Set the number of threads for computing."""

    count: int


class Close(Struct, frozen=True, tag=True, array_like=True):
    """The last request: close the engine and end the process."""

    keep: bool


Request = Load | Start | Step | Interrupt | RunRequest | UseThreads | Close


class Progress(Struct, array_like=True):
    """The state of a run, and its tokens since the last reply."""

    fresh: list[Token]
    done: bool
    pending: int
    usage: Usage


def _place_of(error: Exception) -> str:
    """Return the type of an error, and the file and line that raised it."""
    name, frames = type(error).__name__, traceback.extract_tb(error.__traceback__)
    return f"{name} in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else name


class ChildError(Struct, array_like=True):
    """An error, to be raised in the parent."""

    kind: str
    values: dict[str, Any]

    @classmethod
    def of(cls, error: Exception) -> ChildError:
        if not isinstance(error, TurbopilotError):
            error = EngineError(f"{UNEXPECTED} ({_place_of(error)}). Try again.")
        kind = next(kind for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
        plain = (str, int, float, type(None))
        return cls(
            kind.__name__, {name: value for name, value in vars(error).items() if isinstance(value, plain)}
        )

    def error(self) -> TurbopilotError:
        kind: type[TurbopilotError] = getattr(errors, self.kind)
        error = kind.__new__(kind)  # without `__init__`, whose arguments differ between the types
        TurbopilotError.__init__(error, self.values["message"])
        vars(error).update(self.values)
        return error


class Description(Struct):
    """The description of an engine."""

    name: str
    fim: str
    context_size: int
    identity: str
    capabilities: Capabilities


class ChildReply(Struct, array_like=True):
    """The reply to any request."""

    runs: list[Progress] = []  # of the runs in the request, in its order
    granted: bool = True  # False: there is no free slot
    failure: ChildError | None = None
    engine: Description | None = None  # after a load
    speed: Speed = Speed()


encode = msgspec.msgpack.Encoder().encode
decode_request = msgspec.msgpack.Decoder(Request).decode
decode_reply = msgspec.msgpack.Decoder(ChildReply).decode


class FramePipe:
    """An unbuffered pipe for sending and a buffered one for receiving."""

    def __init__(self, receiving: BinaryIO, sending: BinaryIO) -> None:
        self._receiving = receiving
        self._sending = sending

    def send(self, message: bytes) -> None:
        """Send a message; raise OSError if the other process has ended."""
        frame = memoryview(len(message).to_bytes(LENGTH, "little") + message)
        while frame:  # a write may be incomplete
            frame = frame[self._sending.write(frame) :]

    def receive(self) -> bytes:
        """Wait for a message; raise EOFError if the other process has ended, ValueError for other data."""
        size = int.from_bytes(self._read(LENGTH), "little")
        if size > LARGEST:
            raise ValueError(size)
        return self._read(size)

    def _read(self, size: int) -> bytes:
        data = self._receiving.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def close(self) -> None:
        self._sending.close()
        self._receiving.close()


def take_standard_pipes() -> FramePipe:
    """Return a pipe from standard input and output, and redirect both for all other code.

    Native code may read or print: its input is empty, and its output goes to standard error.
    """
    pipe = FramePipe(os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb", buffering=0))
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 - a device, not a path
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return pipe
