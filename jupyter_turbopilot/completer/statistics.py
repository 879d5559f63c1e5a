"""Statistics of this week's automatic suggestions, counted from an editor's feedback.

They are saved in a file of the user's own. Several servers share the file: each reads it before it adds its
own counts. If two write at the same moment, one of them loses its counts of some seconds; the file is always
valid. It contains only numbers: no text, no path, no name, no time but the week's number.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from datetime import date
from operator import add, sub
from typing import TYPE_CHECKING, Annotated

import msgspec

from jupyter_turbopilot.completer.listeners import SuggestionListener
from jupyter_turbopilot.util.bounds import LimitedDict
from jupyter_turbopilot.util.files import object_in, remove, replace_content
from jupyter_turbopilot.util.write_behind import WriteBehind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from jupyter_turbopilot.completer.plan import Plan
    from jupyter_turbopilot.completer.reply_iterators import Listener
    from jupyter_turbopilot.protocol.reply import Reply
    from jupyter_turbopilot.protocol.request import Completion, Feedback

SETTLE = 20.0  # seconds in which counts are collected before they are written, or tried again
PATIENCE = 1.0  # seconds that close() waits for them to be written
WAITING = 4096  # counts queued for writing; further ones are dropped
MOST = 512  # suggestions awaiting feedback

Count = Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)]


@dataclass(frozen=True)
class Counts:
    """Counts of automatic suggestions."""

    shown: Count = 0
    accepted: Count = 0
    saved: Count = 0  # keystrokes: characters that were inserted, minus one for each acceptance
    executed: Count = 0  # accepted characters whose cell was executed
    retained: Count = 0  # of these, still there when it was executed next

    def __bool__(self) -> bool:
        """Return whether anything was counted."""
        return self != Counts()

    def __add__(self, other: Counts) -> Counts:
        """Return the sum."""
        return Counts(*map(add, astuple(self), astuple(other)))

    def __sub__(self, other: Counts) -> Counts:
        """Return the difference."""
        return Counts(*map(sub, astuple(self), astuple(other)))


@dataclass(frozen=True)
class Week:
    """A week's counts: the content of the file."""

    number: Count = 0
    counts: Counts = Counts()

    def plus(self, counts: Counts, now: float) -> Week:
        """Return this week after further counts; those of an earlier week are dropped."""
        number = week_of(now)
        total = (self.counts if self.number == number else Counts()) + counts
        # A suggestion that was shown last week may be accepted in this one.
        return Week(number, replace(total, shown=max(total.shown, total.accepted)))


def week_of(now: float) -> int:
    """Return the number of a time's week, which begins on Monday in the server's time zone."""
    year, month, day, *_ = time.localtime(now)
    return (date(year, month, day).toordinal() - 1) // 7  # day 1 was a Monday


@dataclass
class _SentSuggestion:
    length: int  # the greatest that was sent
    shown: bool = False
    accepted: int | None = None  # characters in the document after the last acceptance
    executed: bool = False  # whether its execution was counted

    def receive(self, feedback: Feedback) -> Counts:
        """Return the counts that feedback adds."""
        taken = min(feedback.chars, feedback.length or self.length)
        match feedback.event:
            case "shown":
                first, self.shown = not self.shown, True
                return Counts(shown=first)
            case "accepted":
                before, first = max(feedback.before, self.accepted or 0), self.accepted is None
                self.accepted = taken
                return Counts(accepted=first, saved=max(0, taken - before - 1))
            case "executed" if self.accepted and not self.executed:
                self.executed = True
                return Counts(executed=self.accepted, retained=min(feedback.chars, self.accepted))
        return Counts()


class Statistics(SuggestionListener):
    """This week's counts of one user, saved in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._saved = Week()  # content of the file, as far as it could be read
        with suppress(OSError):
            self._saved = self._read()
        self._waiting = Counts()  # not in the file yet
        self._sent = LimitedDict[str, _SentSuggestion](MOST)  # by the id of their reply
        self._lock = threading.Lock()
        self._file_lock = threading.Lock()  # held while the file is written or deleted
        self._behind = WriteBehind[Counts](
            self._write,
            lambda reason: f"The statistics cannot be saved: {reason}.",
            room=WAITING,
            settle=SETTLE,
            retry=SETTLE,
        )

    @property
    def week(self) -> Counts:
        """This week's counts."""
        with self._lock:
            return self._saved.plus(self._waiting, time.time()).counts

    def requested(self, _request: Completion, plan: Plan) -> Listener | None:
        """Return a function that records the suggestions in the replies to an automatic request."""
        return self._observe if plan.automatic else None

    def _observe(self, reply: Reply) -> None:
        if reply.items:
            length = len(reply.items[0].shown)
            with self._lock:
                known = self._sent.setdefault(reply.id, _SentSuggestion(length))
                known.length = max(known.length, length)

    def receive(self, feedback: Feedback) -> None:
        """Count feedback, without blocking."""
        with self._lock:
            if known := self._sent.get(feedback.id):
                self._sent.move_to_end(feedback.id)
                counts = known.receive(feedback)
                if counts and self._behind.put(counts):
                    self._waiting += counts

    def reset(self) -> None:
        """Reset the counts and delete the file. Raises OSError if it cannot be deleted."""
        with self._file_lock:
            with self._lock:
                self._saved, self._waiting = Week(), Counts()
                self._sent.clear()
            remove(self._path)

    def close(self) -> None:
        """Write the queued counts and stop."""
        self._behind.close(PATIENCE)

    def _write(self, _queued: Sequence[Counts]) -> None:
        """Add the queued counts to the file's content."""
        with self._file_lock:
            saved = self._read()
            with self._lock:
                added = self._waiting
            if added:
                saved = saved.plus(added, time.time())
                replace_content(self._path, msgspec.json.encode(saved), private=True)
            with self._lock:
                self._saved, self._waiting = saved, self._waiting - added

    def _read(self) -> Week:
        """Read the file; an invalid one is reset. Raises OSError if it cannot be read."""
        with suppress(FileNotFoundError, msgspec.ValidationError):
            return msgspec.convert(object_in(self._path.read_bytes()), Week)
        return Week()
