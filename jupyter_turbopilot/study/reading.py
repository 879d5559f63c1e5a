"""Reading a study log: line by line, because one may have a hundred megabytes."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from jupyter_turbopilot.errors import BadRequestError, NotReadyError
from jupyter_turbopilot.study.checking import is_valid, other_version
from jupyter_turbopilot.study.file import files_of, reason_of
from jupyter_turbopilot.study.lines import event_of
from jupyter_turbopilot.study.words import NO_TEXT, TEXT

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from jupyter_turbopilot.study.lines import Event

LONGEST_QUOTED = 80  # characters; the name of a schema has fewer
_TEXT = re.compile(rb'"text"\s*:\s*"')  # also in a line that was cut short


class Reading:
    """The events of a log, the oldest first; `broken` counts the lines that are none, as they are read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.broken = 0
        self._files = files_of(path)
        if not self._files:
            raise no_log(path)

    def __iter__(self) -> Iterator[Event]:
        self.broken = 0
        for line in self._lines():
            event = event_of(line)
            if event and (other := other_version(event)):
                raise NotReadyError(
                    f"{self.path} has lines of another version ({_quoted(other)}). Read it with the release "
                    "that wrote it.",
                    code="no_study",
                )
            if event and is_valid(event):
                yield event
            elif line.strip():
                self.broken += 1

    def _lines(self) -> Iterator[bytes]:
        try:
            for path in self._files:
                with path.open("rb") as file:
                    yield from file
        except OSError as error:
            raise NotReadyError(f"{self.path} cannot be read: {reason_of(error)}.", code="no_study") from None


def no_log(path: Path) -> BadRequestError:
    """Return the error of a name under which there is no log."""
    what = "is no study log" if os.path.lexists(path) else "does not exist"
    return BadRequestError(f"{path} {what}. Name the file of a study log.")


def _quoted(text: str) -> str:
    """Quote what somebody else's file says: it may be long, or hold what a terminal obeys."""
    return repr(text[:LONGEST_QUOTED])


def held(files: Iterable[Path]) -> str:
    """Say what a log's files hold, whatever the settings were when they were written."""
    for path in files:
        try:
            with path.open("rb") as file:
                if any(_TEXT.search(line) for line in file):
                    return TEXT
        except OSError as error:
            return f"what cannot be read: {reason_of(error)}"
    return NO_TEXT
