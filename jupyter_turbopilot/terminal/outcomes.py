"""Reports the outcomes of suggestions in a prompt, as numbers; text is kept no longer than the input.

A keystroke inserts one character, so several at once that match the suggestion are an accepted part of it.
The retained part is found by comparing the input after the acceptance with the executed input. Edits in
between do not matter: at Enter, IPython deletes the input and inserts it again, reformatted. An abandoned
input is not reported.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from jupyter_turbopilot.protocol.request import Feedback
from jupyter_turbopilot.util.bounds import changed_region, common_prefix_length

if TYPE_CHECKING:
    from collections.abc import Callable

    from IPython.core.interactiveshell import ExecutionInfo
    from prompt_toolkit.buffer import Buffer

    from jupyter_turbopilot.analysis.imports import Insertion
    from jupyter_turbopilot.protocol.request import Outcome

LONGEST = 1 << 16  # characters; longer inputs are not followed
MOST_COMPARED = 1 << 18  # pairs of differing tokens: comparing more would delay the execution
# With the surrounding white space, which formatters change.
_TOKEN = re.compile(r"(?:\A\s*+)?+(\w++|[^\w\s])\s*+")


@dataclass
class _Shown:
    """Ghost text: its id, the text before it, and since when it has been shown."""

    name: str
    start: str
    text: str
    since: float

    def typed(self, before: str) -> tuple[int, int] | None:
        """Return the number of typed characters after its start, and how many of them match it; or None."""
        if not before.startswith(self.start):
            return None
        typed = before[len(self.start) :]
        return len(typed), common_prefix_length(typed, self.text)


@dataclass
class _Accepted:
    """An accepted part of a suggestion, and its position in the input at that time."""

    name: str
    length: int  # of the whole suggestion
    since: float
    text: str
    start: int
    end: int


class Outcomes:
    """Reports the outcomes of the ghost text in a prompt."""

    def __init__(self, send: Callable[[Feedback], None], now: Callable[[], float] = time.monotonic) -> None:
        self._send = send
        self._now = now
        self._shown: _Shown | None = None
        self._accepted: list[_Accepted] = []
        self._before = ""  # the text before the cursor at the last change

    def shown(self, name: str, before: str, text: str) -> None:
        """Record ghost text that appears after the cursor."""
        self._leave()
        self._shown = _Shown(name, before, text, self._now())
        self._before = before
        self._report("shown", name, len(text), len(text), self._now())

    def reappeared(self, name: str, start: str, text: str, before: str) -> None:
        """Record ghost text that reappears, with `before` before the cursor."""
        if not self._shown:
            self.shown(name, start, text)
            self._before = before

    def inserted(self, buffer: Buffer) -> None:
        """Report an acceptance if the inserted text is part of the suggestion."""
        shown, before = self._shown, buffer.document.text_before_cursor
        inserted = inserted_since(self._before, before)
        if not (shown and inserted and len(buffer.text) <= LONGEST and (found := shown.typed(before))):
            return
        length, same = found
        if length > same:
            return
        typed_before = max(0, same - len(inserted))
        self._report("accepted", shown.name, same, len(shown.text), shown.since, before=typed_before)
        # If the user accepts it piece by piece, follow only the last piece.
        self._accepted = [taken for taken in self._accepted if taken.name != shown.name]
        start = len(shown.start)
        self._accepted.append(
            _Accepted(shown.name, len(shown.text), self._now(), buffer.text, start, start + same)
        )
        if same == len(shown.text):
            self._shown = None

    def key_pressed(self, buffer: Buffer) -> None:
        """Update the state after each keystroke, whatever its command did to the text."""
        if not (self._shown or self._accepted):
            return
        self._before = before = buffer.document.text_before_cursor
        if len(buffer.text) > LONGEST:
            self.begun()
        elif not buffer.text:  # abandoned, as with Control + C
            self._leave()
            self._accepted = []
        elif self._shown:
            self._follow(self._shown, before)

    def imports_inserted(self, above: Insertion) -> None:
        """Adjust positions before imports are inserted above the suggestion."""
        self._before = above.into(self._before)
        if self._shown:
            self._shown.start = above.into(self._shown.start)

    def entered(self, info: ExecutionInfo) -> None:
        """Report the retained parts of the executed input."""
        self._leave()
        for taken in self._accepted:
            chars = retained(taken.text, taken.start, taken.end, info.raw_cell or "")
            if chars is not None:
                self._report("executed", taken.name, chars, taken.length, taken.since)
                self._report("retained", taken.name, chars, taken.length, taken.since)
        self._accepted = []

    def begun(self, *_: object) -> None:
        """Reset at the start of an input: a previous one that was not executed is not reported."""
        self._shown, self._accepted = None, []

    def _follow(self, shown: _Shown, before: str) -> None:
        """Report that the user typed the whole suggestion, or something else."""
        if not (found := shown.typed(before)):
            self._leave()
            return
        length, same = found
        if length > same or same == len(shown.text):
            self._end("typed_over", same)

    def _leave(self) -> None:
        """Report a dismissal, unless the user typed something else."""
        if self._shown:
            _, same = self._shown.typed(self._before) or (0, 0)
            self._end("dismissed", same)

    def _end(self, event: Outcome, chars: int) -> None:
        if shown := self._shown:
            self._report(event, shown.name, chars, len(shown.text), shown.since)
        self._shown = None

    def _report(
        self, event: Outcome, name: str, chars: int, length: int, since: float, *, before: int = 0
    ) -> None:
        seconds = round(max(0.0, self._now() - since), 1)
        self._send(Feedback(id=name, event=event, chars=chars, length=length, before=before, seconds=seconds))


def inserted_since(earlier: str, before: str) -> str:
    """Return text inserted at once after an earlier text before the cursor; "" if it was typed.

    A keystroke types one character, or with Enter a line break and the indentation.
    """
    inserted = before[len(earlier) :] if before.startswith(earlier) else ""
    return inserted if len(inserted) > 1 and inserted.strip() else ""


def retained(text: str, start: int, end: int, run: str) -> int | None:
    """Return how many characters of `text[start:end]` remain in the executed input.

    White space and the kind of quotes are ignored, as automatic formatters change them. None if the input was
    replaced by another one, or the two differ too much to compare.
    """
    if len(run) > LONGEST:
        return None
    old, new = ([*_TOKEN.finditer(source)] for source in (text, run))
    words, others = ([token[1].replace("'", '"') for token in tokens] for tokens in (old, new))
    same, last, last_new = changed_region(words, others)
    if (last - same) * (last_new - same) > MOST_COMPARED:
        return None
    left = [(0, old[same - 1].end())] if same else []
    left += [(old[last].start(), len(text))] if last < len(old) else []
    matcher = SequenceMatcher(None, words[same:last], others[same:last_new], autojunk=False)
    for change, first, until, first_new, until_new in matcher.get_opcodes():
        if change in {"equal", "replace"}:
            at, stop = old[same + first].start(), old[same + until - 1].end()
            if change == "replace":  # the beginning and end of a changed word remain
                piece, by = (
                    text[at:stop],
                    run[new[same + first_new].start() : new[same + until_new - 1].end()],
                )
                ahead, changed, _ = changed_region(piece, by)
                left.append((at, at + ahead))
                at += changed
            left.append((at, stop))
    kept = sum(max(0, min(end, stop) - max(start, at)) for at, stop in left)
    around = sum(stop - at for at, stop in left) - kept
    if 2 * kept < end - start and 2 * around < len(text) - (end - start):
        return None
    return kept
