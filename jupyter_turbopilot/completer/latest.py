"""What each editor asked for last: its next request takes that one's place."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.engine.job import SUPERSEDED

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.job import Job


class Editor(NamedTuple):
    """Who asks, and from which of their editors."""

    caller: str
    client: str


class _Latest(NamedTuple):
    job: Job
    document: str


class LatestJobs:
    """The job that each editor asked for last, until it has ended."""

    def __init__(self) -> None:
        self._latest: dict[Editor, _Latest] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Return how many editors wait for something."""
        return len(self._latest)

    def follow(self, editor: Editor, document: str, job: Job) -> Job | None:
        """Return the job of the same editor whose place this one takes; elsewhere than there it is ended."""
        with self._lock:
            latest = self._latest.get(editor)
            self._latest[editor] = _Latest(job, document)
        if latest and latest.document != document:
            latest.job.cancel.set(SUPERSEDED)
            return None
        return latest.job if latest else None

    def forget(self, editor: Editor, job: Job) -> None:
        """Forget a job that has ended, unless the editor has asked for another since."""
        with self._lock:
            if (latest := self._latest.get(editor)) and latest.job is job:
                del self._latest[editor]

    def is_awaited(self, editor: Editor) -> bool:
        """Tell whether somebody waits for what the editor asked last."""
        with self._lock:
            latest = self._latest.get(editor)
        return latest is not None and latest.job.priority.awaited
