"""Frames over two pipes: each message is preceded by its length."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO

LENGTH = 4  # bytes
LARGEST = 1 << 28  # bytes of a message; anything larger is a sign that the other side writes something else


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
