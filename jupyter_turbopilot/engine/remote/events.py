"""Server-sent events from bytes as they come, cut anywhere. Pure."""

from __future__ import annotations

from jupyter_turbopilot.engine.remote.words import StrangeAnswerError

MOST_LINE = 1 << 20  # bytes; a token with its likeliest others takes some thousands
ENDLESS = "a line without end"
_DATA = b"data"


class Events:
    """Joins bytes to lines and lines to events; of an event only the data count."""

    def __init__(self, most: int = MOST_LINE) -> None:
        self._most = most
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._size = 0
        self._return = False  # whether the last byte was a carriage return: a line feed belongs to it

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of the events that are whole now."""
        if self._return and chunk.startswith(b"\n"):
            chunk, self._return = chunk[1:], False
        if chunk:
            self._return = chunk.endswith(b"\r")
        first, *others = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest += first
        found = []
        for line in others:
            if (data := self._take(bytes(self._rest))) is not None:
                found.append(data)
            self._rest = bytearray(line)
        if len(self._rest) + self._size > self._most:
            raise StrangeAnswerError(ENDLESS)
        return found

    def _take(self, line: bytes) -> bytes | None:
        """Take a line; return an event's data at its end."""
        if not line:
            data, self._data, self._size = self._data, [], 0
            return b"\n".join(data) if data else None
        name, _, value = line.partition(b":")
        if name == _DATA:
            self._data.append(value.removeprefix(b" "))
            self._size += len(line)
            if self._size > self._most:
                raise StrangeAnswerError(ENDLESS)
        return None
