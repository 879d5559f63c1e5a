"""Report the outcomes of suggestions in a prompt, in numbers; no text is kept longer than the input lasts.

A key inserts one character, so several at once that agree with the suggestion are an accepted part of it. How
much of that is retained is found by comparing the input at that moment with the input that is run. What the
editor does in between does not matter: at Enter, IPython deletes the input and inserts it again, reformatted.
Nothing is reported for an input that is given up.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Literal

from jupyter_turbopilot.request import Feedback

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from IPython.core.interactiveshell import ExecutionInfo
    from prompt_toolkit.buffer import Buffer

    from jupyter_turbopilot.suggestion.imports import Insertion

    Event = Literal["shown", "accepted", "typed_over", "dismissed", "retained"]

LONGEST = 1 << 16  # characters of an input; in a longer one nothing is followed
MOST_COMPARED = 1 << 18  # pairs of differing tokens: comparing more would delay the execution
# With the white space around it, which formatters change.
_TOKEN = re.compile(r"(?:\A\s*+)?+(\w++|[^\w\s])\s*+")


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
    """An accepted part of a suggestion: where it was in the input when it was accepted."""

    name: str
    length: int  # of all that was suggested
    since: float
    text: str
    start: int
    end: int


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

    def inserted(self, buffer: Buffer) -> None:
        """Report what is accepted of the suggestion where text was inserted at once."""
        shown, before = self._shown, buffer.document.text_before_cursor
        inserted = inserted_since(self._before, before)
        if not (shown and inserted and len(buffer.text) <= LONGEST and (found := shown.typed(before))):
            return
        length, same = found
        if length > same:
            return
        stood = max(0, same - len(inserted))
        self._report("accepted", shown.name, same, len(shown.text), shown.since, before=stood)
        # Of one that is accepted piece by piece, the last piece is followed.
        self._taken = [taken for taken in self._taken if taken.name != shown.name]
        start = len(shown.start)
        self._taken.append(_Taken(shown.name, len(shown.text), self._now(), buffer.text, start, start + same))
        if same == len(shown.text):
            self._shown = None

    def key_pressed(self, buffer: Buffer) -> None:
        """Follow the text after each key, whatever the key's command did to it in between."""
        if not (self._shown or self._taken):
            return
        self._before = before = buffer.document.text_before_cursor
        if len(buffer.text) > LONGEST:
            self.begun()
        elif not buffer.text:  # given up, as with Control + C
            self._leave()
            self._taken = []
        elif self._shown:
            self._follow(self._shown, before)

    def moved_behind(self, above: Insertion) -> None:
        """Imports are about to be put in above what is shown."""
        self._before = above.into(self._before)
        if self._shown:
            self._shown.start = above.into(self._shown.start)

    def entered(self, info: ExecutionInfo) -> None:
        """Report what is retained in the input that is run."""
        self._leave()
        for taken in self._taken:
            chars = retained(taken.text, taken.start, taken.end, info.raw_cell or "")
            if chars is not None:
                self._report("retained", taken.name, chars, taken.length, taken.since)
        self._taken = []

    def begun(self, *_: object) -> None:
        """The next input begins: what was not run until now was given up, which says nothing."""
        self._shown, self._taken = None, []

    def _follow(self, shown: _Shown, before: str) -> None:
        """Report that something else, or all of the suggestion, was typed."""
        if not (found := shown.typed(before)):
            self._leave()
            return
        length, same = found
        if length > same or same == len(shown.text):
            self._end("typed_over", same)

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


def inserted_since(earlier: str, before: str) -> str:
    """Return what was inserted at once since an earlier text before the cursor; nothing where it was typed.

    A key types one character, or with Enter a line break and the indentation.
    """
    inserted = before[len(earlier) :] if before.startswith(earlier) else ""
    return inserted if len(inserted) > 1 and inserted.strip() else ""


def retained(text: str, start: int, end: int, run: str) -> int | None:
    """Return how many characters of `text[start:end]` are left in the input that is run.

    White space and the kind of quotes do not count: an automatic formatter changes them. None: the input was
    given up for another one, or the two differ too much to compare.
    """
    if len(run) > LONGEST:
        return None
    old, new = ([*_TOKEN.finditer(source)] for source in (text, run))
    words, others = ([token[1].replace("'", '"') for token in tokens] for tokens in (old, new))
    same = common(words, others)
    behind = common(words[same:][::-1], others[same:][::-1])
    last, last_new = len(old) - behind, len(new) - behind
    if (last - same) * (last_new - same) > MOST_COMPARED:
        return None
    left = [(0, old[same - 1].end())] if same else []
    left += [(old[last].start(), len(text))] if behind else []
    matcher = SequenceMatcher(None, words[same:last], others[same:last_new], autojunk=False)
    for change, first, until, first_new, until_new in matcher.get_opcodes():
        if change in {"equal", "replace"}:
            at, stop = old[same + first].start(), old[same + until - 1].end()
            if change == "replace":  # of a word that was changed, its beginning and its end are left
                piece, by = (
                    text[at:stop],
                    run[new[same + first_new].start() : new[same + until_new - 1].end()],
                )
                ahead = common(piece, by)
                rest = common(piece[ahead:][::-1], by[ahead:][::-1])
                left.append((at, at + ahead))
                at = stop - rest
            left.append((at, stop))
    kept = sum(max(0, min(end, stop) - max(start, at)) for at, stop in left)
    around = sum(stop - at for at, stop in left) - kept
    if 2 * kept < end - start and 2 * around < len(text) - (end - start):
        return None
    return kept


def common(one: Sequence[str], other: Sequence[str]) -> int:
    """Return in how many elements two sequences begin alike."""
    same, most = 0, min(len(one), len(other))
    while same < most:  # by halves: a loop over a long input would be felt at each key
        middle = (same + most + 1) // 2
        if one[same:middle] == other[same:middle]:
            same = middle
        else:
            most = middle - 1
    return same
