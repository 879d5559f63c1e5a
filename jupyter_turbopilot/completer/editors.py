"""The current request of each editor. Decides which request supersedes or takes over from another."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.engine.job import SUPERSEDED

if TYPE_CHECKING:
    from jupyter_turbopilot.completer.completion_job import CompletionJob
    from jupyter_turbopilot.engine.job import Job


class Editor(NamedTuple):
    """A caller, and one of the caller's editors."""

    caller: str
    client: str


class Editors:
    """The latest request of each editor, until it has ended.

    When an editor sends another request:
    1. If the client numbers its requests and the new request has a lower number, the new one is superseded.
    2. If the latest request is in another document or cell, it is superseded.
    3. If the latest still waits for its look-up, it is superseded, and the new request takes over from its
       predecessor.
    4. Otherwise the new request takes over from the latest: its position in the queue, and its text if
       `Text.is_continued_by` returns True. The latest is superseded as soon as the new one is in the queue or
       answered.
    """

    def __init__(self) -> None:
        self._latest: dict[Editor, CompletionJob] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return the number of editors with a request in progress."""
        return len(self._latest)

    def enter(self, new: CompletionJob) -> CompletionJob | None:
        """Make a request its editor's latest; return the superseded request, which the caller finishes.

        The superseded request may be the new one.
        """
        superseded: list[Job | None] = []
        with self._lock:
            latest = self._latest.get(new.editor)
            is_late = latest is not None and 0 < new.plan.sequence < latest.plan.sequence
            if not is_late:
                self._latest[new.editor] = new
            waits = False
            if latest and not is_late:
                waits, latest.awaits_look_up = latest.awaits_look_up, False
                if latest.plan.cell_key == new.plan.cell_key:
                    new.older = latest.older if waits else latest
                    superseded = [latest] if waits else []
                else:
                    superseded = [latest, latest.older if waits else None]
        for job in superseded if not is_late else [new]:
            if job:
                job.cancel.set(SUPERSEDED)
        return new if is_late else latest if waits else None

    def end_lookup(self, job: CompletionJob) -> bool:
        """End a request's index look-up; return False if it has ended already."""
        with self._lock:
            awaited, job.awaits_look_up = job.awaits_look_up, False
            return awaited

    def leave(self, job: CompletionJob) -> None:
        """Remove a request that has ended, unless the editor has sent a newer one."""
        with self._lock:
            if self._latest.get(job.editor) is job:
                del self._latest[job.editor]

    def is_awaited(self, editor: Editor) -> bool:
        """Return whether the user waits for the editor's latest request."""
        with self._lock:
            latest = self._latest.get(editor)
        return latest is not None and latest.priority.awaited
