"""The current request of each editor: which request ends, continues or waits for another is decided here."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.engine.job import SUPERSEDED

if TYPE_CHECKING:
    from jupyter_turbopilot.completer.generation import Generation
    from jupyter_turbopilot.engine.job import Job


class Editor(NamedTuple):
    """A caller, and one of the caller's editors."""

    caller: str
    client: str


class Editors:
    """The latest request of each editor, until it has ended.

    When an editor sends another request:
    1. If the client has numbered the two and the other has a lower number, the other is superseded.
    2. If the latest is in another document or cell, it is superseded.
    3. If the latest still waits for the index, it is superseded, and the new request takes over from the one
       that the latest was to take over from.
    4. Otherwise the new request takes over from the latest: its place in the queue, and its text if
       `Text.is_continued_by` says so. The latest is superseded when the new one is in the queue, or answered.
    """

    def __init__(self) -> None:
        self._latest: dict[Editor, Generation] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many editors wait for something."""
        return len(self._latest)

    def enter(self, new: Generation) -> Generation | None:
        """Make a request its editor's latest; return one that has ended by that, to be finished.

        That may be the request itself, which then goes no further.
        """
        superseded: list[Job | None] = []
        with self._lock:
            latest = self._latest.get(new.editor)
            is_late = latest is not None and 0 < new.plan.sequence < latest.plan.sequence
            if not is_late:
                self._latest[new.editor] = new
            waits = False
            if latest and not is_late:
                waits, latest.awaits_index = latest.awaits_index, False
                if latest.plan.cell_key == new.plan.cell_key:
                    new.older = latest.older if waits else latest
                    superseded = [latest] if waits else []
                else:
                    superseded = [latest, latest.older if waits else None]
        for job in superseded if not is_late else [new]:
            if job:
                job.cancel.set(SUPERSEDED)
        return new if is_late else latest if waits else None

    def end_look_up(self, generation: Generation) -> bool:
        """End a request's look-up; return False if it had ended before: then something else continues it."""
        with self._lock:
            looked_up, generation.awaits_index = generation.awaits_index, False
            return looked_up

    def leave(self, generation: Generation) -> None:
        """Forget a request that has ended, unless the editor has sent another since."""
        with self._lock:
            if self._latest.get(generation.editor) is generation:
                del self._latest[generation.editor]

    def is_awaited(self, editor: Editor) -> bool:
        """Return whether somebody waits for the editor's latest request."""
        with self._lock:
            latest = self._latest.get(editor)
        return latest is not None and latest.priority.awaited
