"""The current request of each editor. Decides which request supersedes or takes over from another."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.job import SUPERSEDED

if TYPE_CHECKING:
    from jupyter_turbopilot.completer.plan import Plan
    from jupyter_turbopilot.engine.job import Job


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
        self._latest: dict[tuple[str, str], tuple[Job, Plan]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return the number of editors with a request in progress."""
        return len(self._latest)

    def enter(self, new: Job, plan: Plan) -> Job | None:
        """Make a request its editor's latest; return the superseded request, which the caller finishes.

        The superseded request may be the new one.
        """
        with self._lock:
            latest, latest_plan = self._latest.get(new.editor, (None, plan))
            if 0 < plan.sequence < latest_plan.sequence:
                ended, queued = new, None
            else:
                self._latest[new.editor] = new, plan
                ended, queued = None, latest
                if latest and latest.awaits_look_up:
                    latest.awaits_look_up = False
                    ended, queued = latest, latest.older
                if latest_plan.cell_key == plan.cell_key:
                    new.older, queued = queued, None
        for superseded in (ended, queued):
            if superseded:
                superseded.cancel.set(SUPERSEDED)
        return ended

    def end_look_up(self, job: Job) -> bool:
        """End a request's look-up; return False if it has ended already."""
        with self._lock:
            awaited, job.awaits_look_up = job.awaits_look_up, False
            return awaited

    def remove_ended(self, job: Job) -> None:
        """Remove a request that has ended, unless the editor has sent a newer one."""
        with self._lock:
            if self._latest.get(job.editor, (None,))[0] is job:
                del self._latest[job.editor]

    def is_awaited(self, editor: tuple[str, str]) -> bool:
        """Return whether the user waits for the editor's latest request."""
        with self._lock:
            latest = self._latest.get(editor)
        return latest is not None and latest[0].priority.awaited
