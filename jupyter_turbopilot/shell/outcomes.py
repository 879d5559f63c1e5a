"""What becomes of grey text in a prompt, told in numbers: no text is kept of it longer than the input lasts.

A key inserts one character, so more of them at a time that go on with the grey text are a part of it that was
taken. What is left of that is told when the input is run: nothing edits it afterwards.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jupyter_turbopilot.request import Feedback

if TYPE_CHECKING:
    from collections.abc import Callable

    from prompt_toolkit.buffer import Buffer

    Said = Literal["shown", "taken", "typed_over", "dismissed", "retained"]

LONGEST = 1 << 16  # characters of an input; in a longer one nothing is followed


class Kept:
    """What is left of a piece of a text while the text changes."""

    def __init__(self, text: str, start: int, end: int) -> None:
        self._text = text
        self._places = [*range(start, end)]

    def __len__(self) -> int:
        """Return how many of its characters are left."""
        return len(self._places)

    def change(self, text: str) -> None:
        """Follow it into the text as it is now: one run of characters stands there instead of another."""
        before, self._text = self._text, text
        start = _common(before, text)
        most = min(len(before), len(text)) - start
        same = _common(before[::-1][:most], text[::-1][:most])
        end, shift = len(before) - same, len(text) - len(before)
        self._places = [
            place if place < start else place + shift for place in self._places if not start <= place < end
        ]


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
        return len(typed), _common(typed, self.text)


@dataclass
class _Taken:
    name: str
    since: float
    kept: Kept


class Outcomes:
    """Tells what becomes of the grey text in a prompt."""

    def __init__(self, tell: Callable[[Feedback], None], now: Callable[[], float] = time.monotonic) -> None:
        self._tell = tell
        self._now = now
        self._shown: _Shown | None = None
        self._taken: list[_Taken] = []
        self._before = ""  # the text before the cursor when something was shown or changed last

    def shown(self, name: str, before: str, text: str) -> None:
        """Grey text appears behind the cursor."""
        self._leave()
        self._shown = _Shown(name, before, text, self._now())
        self._before = before
        self._say("shown", name, len(text), self._now())

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
            self._goes_on(self._shown, text, before, at_once=more > 1)

    def entered(self, *_: object) -> None:
        """The input is run as it stands."""
        self._leave()
        for taken in self._taken:
            self._say("retained", taken.name, len(taken.kept), taken.since)
        self._taken = []

    def _goes_on(self, shown: _Shown, text: str, before: str, *, at_once: bool) -> None:
        found = shown.typed(before)
        if found is None:
            self._leave()
            return
        length, same = found
        if length > same or (same == len(shown.text) and not at_once):
            self._end("typed_over", same)
        elif at_once:
            self._say("taken", shown.name, same, shown.since)
            # Of one that is taken piece by piece, the last piece tells.
            self._taken = [taken for taken in self._taken if taken.name != shown.name]
            start = len(shown.start)
            self._taken.append(_Taken(shown.name, self._now(), Kept(text, start, start + same)))
            if same == len(shown.text):
                self._shown = None

    def _leave(self) -> None:
        """Give up what is shown, if nothing else was typed in its place."""
        if self._shown:
            _, same = self._shown.typed(self._before) or (0, 0)
            self._end("dismissed", same)

    def _end(self, event: Said, chars: int) -> None:
        if self._shown:
            self._say(event, self._shown.name, chars, self._shown.since)
        self._shown = None

    def _say(self, event: Said, name: str, chars: int, since: float) -> None:
        seconds = round(max(0.0, self._now() - since), 1)
        self._tell(Feedback(id=name, event=event, chars=chars, seconds=seconds))


def _common(one: str, other: str) -> int:
    """Return in how many characters two texts begin alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (left, right) in pairs if left != right), min(len(one), len(other)))
