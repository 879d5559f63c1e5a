"""What becomes of grey text in a prompt, in numbers: no text is kept of it longer than the input lasts.

A key inserts one character, so more of them at a time that go on with the grey text are a part of it that was
taken. What is left of that is reported when the input is run: nothing edits it afterwards. Of an input that
is given up nothing is said.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jupyter_turbopilot.request import Feedback

if TYPE_CHECKING:
    from collections.abc import Callable

    from prompt_toolkit.buffer import Buffer

    from jupyter_turbopilot.suggestion.imports import Insertion

    Event = Literal["shown", "accepted", "typed_over", "dismissed", "retained"]

LONGEST = 1 << 16  # characters of an input; in a longer one nothing is followed


class Kept:
    """What is left of a piece of a text while the text changes."""

    def __init__(self, text: str, start: int, end: int) -> None:
        self._text = text
        self._parts = [(start, end)]

    def __len__(self) -> int:
        """Return how many of its characters are left."""
        return sum(end - start for start, end in self._parts)

    def change(self, text: str) -> None:
        """Follow it into the text as it is now: one run of characters stands there instead of another."""
        before, self._text = self._text, text
        first = common(before, text)
        same = common(before[first:][::-1], text[first:][::-1])
        last, shift = len(before) - same, len(text) - len(before)
        parts = [
            part
            for start, end in self._parts
            for part in ((start, min(end, first)), (max(start, last) + shift, end + shift))
        ]
        self._parts = [(start, end) for start, end in parts if start < end]


@dataclass
class _Shown:
    """Grey text: its name, what stood before it, since when it has been shown."""

    name: str
    start: str
    text: str
    since: float

    def typed(self, before: str) -> tuple[int, int] | None:
        """Return how much was typed where it began and how much of that is its beginning, or nothing."""
        if not before.startswith(self.start):
            return None
        typed = before[len(self.start) :]
        return len(typed), common(typed, self.text)


@dataclass
class _Taken:
    name: str
    length: int  # of all that was suggested
    since: float
    kept: Kept


class Outcomes:
    """Reports what becomes of the grey text in a prompt."""

    def __init__(self, send: Callable[[Feedback], None], now: Callable[[], float] = time.monotonic) -> None:
        self._send = send
        self._now = now
        self._shown: _Shown | None = None
        self._taken: list[_Taken] = []
        self._before = ""  # the text before the cursor when something was shown or changed last

    def shown(self, name: str, before: str, text: str) -> None:
        """Grey text appears behind the cursor."""
        self._leave()
        self._shown = _Shown(name, before, text, self._now())
        self._before = before
        self._report("shown", name, len(text), len(text), self._now())

    def comes_back(self, name: str, start: str, text: str, before: str) -> None:
        """Grey text that something else was typed over is there again, with `before` before the cursor."""
        if not self._shown:
            self.shown(name, start, text)
            self._before = before

    def changed(self, buffer: Buffer) -> None:
        """The text has changed, by a key or by what was taken."""
        if not (self._shown or self._taken):
            return
        text, before = buffer.text, buffer.document.text_before_cursor
        if len(text) > LONGEST:
            self._shown, self._taken = None, []
            return
        for taken in self._taken:
            taken.kept.change(text)
        more = len(before) - len(self._before) if before.startswith(self._before) else 0
        self._before = before
        if self._shown:
            self._goes_on(self._shown, text, before, more)

    def moved_behind(self, above: Insertion) -> None:
        """Imports are about to be put in above what is shown."""
        self._before = above.into(self._before)
        if self._shown:
            self._shown.start = above.into(self._shown.start)

    def entered(self, *_: object) -> None:
        """The input is run as it stands."""
        self._leave()
        for taken in self._taken:
            self._report("retained", taken.name, len(taken.kept), taken.length, taken.since)
        self._taken = []

    def begun(self, *_: object) -> None:
        """The next input begins: what was not run until now was given up, which says nothing."""
        self._shown, self._taken = None, []

    def _goes_on(self, shown: _Shown, text: str, before: str, more: int) -> None:
        """Say what becomes of it where `more` characters were inserted at once."""
        at_once = more > 1
        found = shown.typed(before)
        if found is None:
            self._leave()
            return
        length, same = found
        if length > same or (same == len(shown.text) and not at_once):
            self._end("typed_over", same)
        elif at_once:
            stood = max(0, same - more)
            self._report("accepted", shown.name, same, len(shown.text), shown.since, before=stood)
            # Of one that is taken piece by piece, the last piece is followed.
            self._taken = [taken for taken in self._taken if taken.name != shown.name]
            start = len(shown.start)
            self._taken.append(
                _Taken(shown.name, len(shown.text), self._now(), Kept(text, start, start + same))
            )
            if same == len(shown.text):
                self._shown = None

    def _leave(self) -> None:
        """Give up what is shown, if nothing else was typed in its place."""
        if self._shown:
            _, same = self._shown.typed(self._before) or (0, 0)
            self._end("dismissed", same)

    def _end(self, event: Event, chars: int) -> None:
        if shown := self._shown:
            self._report(event, shown.name, chars, len(shown.text), shown.since)
        self._shown = None

    def _report(
        self, event: Event, name: str, chars: int, length: int, since: float, *, before: int = 0
    ) -> None:
        seconds = round(max(0.0, self._now() - since), 1)
        self._send(Feedback(id=name, event=event, chars=chars, length=length, before=before, seconds=seconds))


def common(one: str, other: str) -> int:
    """Return in how many characters two texts begin alike."""
    same, most = 0, min(len(one), len(other))
    while same < most:  # by halves: a loop over a long input would be felt at each key
        middle = (same + most + 1) // 2
        if one[same:middle] == other[same:middle]:
            same = middle
        else:
            most = middle - 1
    return same
