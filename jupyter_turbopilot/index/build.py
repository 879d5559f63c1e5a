"""Builds the index and keeps it up to date, on a background thread that sleeps when idle."""

from __future__ import annotations

import errno
import heapq
import logging
import os
import sqlite3
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

from jupyter_turbopilot.index.entries import page_of
from jupyter_turbopilot.index.excluded import MOST_BYTES, NOTEBOOK
from jupyter_turbopilot.index.paths import delete_old, deletion_mark, indexes
from jupyter_turbopilot.index.store import SCHEMA, IndexStore
from jupyter_turbopilot.util.failures import DAMAGED, on_failure
from jupyter_turbopilot.util.files import ROOM_TO_SPARE, free_room
from jupyter_turbopilot.util.notebook_file import is_enabled_in
from jupyter_turbopilot.util.sqlite_file import NEXT_START, FileState, is_busy, reason_of
from jupyter_turbopilot.util.threads import start_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import Path

    from jupyter_turbopilot.engine.cpu_usage import Pause
    from jupyter_turbopilot.index.entries import Page
    from jupyter_turbopilot.index.local_files import FileInfo, LocalFiles

log = logging.getLogger(__name__)

MOST_FILES = 20_000
SWEEP = 30.0  # seconds between two scans of the folder while the index is in use
_SCANS = 2  # scans after the index was used: one at once, and a later one for files deleted meanwhile
_SHARE = 20  # a scan is followed by a pause of this many times its duration
QUIET = 2.0  # seconds after a request in which no file is read
RECENT = 60.0  # seconds after a request in which indexing uses at most half of the time
PATIENCE = 10.0  # seconds after which one file is read even while the user types
BATCH, LONG_BATCH = 0.03, 0.5  # seconds of reading per transaction; the second without recent requests
RETRY = 300.0  # seconds until a retry after an error
_POLL = 0.25  # seconds between two checks whether the user still types
_PAUSED_POLL = 10.0  # seconds between two checks while indexing is paused
_PIECE = 256  # files scanned between two short pauses
END = 1.0  # seconds that close() waits for the thread
WHY_DELETED = "it was deleted in JupyterLab"


@dataclass(frozen=True)
class BuildProgress:
    """State of the index."""

    building: bool = False
    files: int = 0  # indexed files
    found: int = 0  # files found so far
    paused: Pause | None = None  # why indexing is paused
    error: str = ""  # why there is no index


class EndedError(Exception):
    """The indexing thread has to end."""


class Builder:
    """Indexes the files of a folder into the database at `path`.

    Only paths for which `allows` returns True are indexed. No file is read while `pause` returns a reason, or
    shortly after a change of `asked`, the number of requests so far. Deleted files are removed from the index
    at any time.
    """

    def __init__(
        self,
        path: Path,
        source: LocalFiles,
        *,
        pause: Callable[[], Pause | None] = lambda: None,
        asked: Callable[[], int] = lambda: 0,
        again: bool = False,
        allows: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """`again`: build the index even if the user has deleted it."""
        self.path = path
        self.progress = BuildProgress()
        self._source = source
        self._pause_now = pause
        self._asked = asked
        self._again = again
        self._allows = allows
        self._before = 0  # last value of `asked`, and the time since which it has been that
        self._since = float("-inf")
        self._wake = threading.Condition()
        self._changed: dict[str, int] = {}  # changed paths, each with the number of its last change
        self._numbers = count()
        self._first: dict[str, FileInfo] = {}  # changed files to read before all others
        self._todo: dict[str, FileInfo] = {}  # other files to read, newest first
        self._too_old = float("-inf")  # files modified before this time do not fit into the index
        self._scans = 1  # remaining scans
        self._due = float("-inf")  # earliest time of the next scan
        self._pause = SWEEP
        self._seen = float("-inf")  # end of the last complete scan
        self._read_at = float("-inf")  # time at which a file was last read
        self._cleared = ""
        self._ended = False
        self._rushing = False  # whether a caller waits for the index
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; further calls do nothing."""
        with self._wake:
            if self._thread or self._ended:
                return
            # At the server's priority: with a lower one it would hold the interpreter lock while preempted.
            self._thread = start_thread("turbopilot-index", self._run, self._fail)
            if not self._thread:
                self._report("the system cannot start another thread")

    def build_now(self) -> None:
        """Rebuild the index on this thread without pauses; raises OSError or sqlite3.Error."""
        self._rushing = self._again = True
        with closing(self._open()) as store:
            store.clear()
            self._work(store)

    def changed(self, *paths: str) -> None:
        """Schedule an update of saved, renamed or deleted paths."""
        with self._wake:
            if self._ended:
                return
            self._changed |= {path.strip("/"): next(self._numbers) for path in paths}
            self._wake.notify()

    def used(self) -> bool:
        """Record a use of the index; return whether the folder was scanned recently."""
        if self._scans < _SCANS:
            with self._wake:
                self._scans = _SCANS
                self._wake.notify()
        return not self.progress.error and time.monotonic() - self._seen < 2 * self._pause

    def attended(self) -> None:
        """Record that a page is open, as its user may delete files; ignored where scans take long."""
        if self._pause <= SWEEP:
            self.used()

    def may_be_deleted(self, path: str) -> bool:
        """Return whether a change of a file has not been processed yet."""
        return is_under(path, self._changed)

    def close(self) -> None:
        """Stop the thread without finishing its current work."""
        with self._wake:
            self._ended = True
            self._wake.notify()
            thread = self._thread
        if thread and thread.is_alive():
            thread.join(END)

    def _run(self) -> bool:
        """Build the index until it cannot be used; return False when the thread has to end."""
        try:
            if self.progress.error:
                self._wait(RETRY)
                self._sleep()
            with closing(self._open()) as store:
                while store.is_in_place():
                    self._work(store)
                    store.rest()
                    self._sleep()
            if not self.path.exists():
                self._stop("the index was deleted")
            if SCHEMA.state_of(self.path) is FileState.OUTDATED:
                # Replaced in turn, the index of each would be empty again and again.
                self._stop("another version of Turbopilot has replaced it")
        except EndedError:
            return False
        except (OSError, NotImplementedError, sqlite3.Error) as error:
            self._fail(reason_of(error))
        return True  # after an error, or because another server has created a new index

    def _fail(self, reason: str = "an unexpected error occurred; see the log") -> bool:
        """Report an error; the index is tried again when it is used."""
        self._report(reason)
        self._scans, self._due = 0, float("-inf")
        return True

    def _open(self) -> IndexStore:
        if free_room(self.path) < ROOM_TO_SPARE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        SCHEMA.prepare(self.path)
        delete_old(self.path)
        self._forget_denied()
        store = IndexStore(self.path)
        with on_failure(store.close):
            with store.transaction():  # or the index could be deleted between the checks
                self._check_end()
                mark = deletion_mark(self._source.identity)
                if self._again:
                    mark.unlink(missing_ok=True)
                elif mark.exists():
                    self.progress = BuildProgress(error=WHY_DELETED)
                    raise EndedError
                if store.noted("root") != self._source.root:
                    store.note("root", self._source.root)
                self._cleared = store.noted("cleared")
            self._again = False
            self._scan_soon()
            self._update_progress(store)
        return store

    def _forget_denied(self) -> None:
        """Remove the files that are denied here from the indexes that were built with other denied paths."""
        for path in indexes(self._source.identity):
            if path == self.path:
                continue
            try:
                SCHEMA.prepare(path)  # an older version may hold the text in other tables
                with closing(IndexStore(path)) as store:
                    store.forget([known for known in store.stamps() if not self._allows(known)])
            except (OSError, NotImplementedError, sqlite3.Error) as error:
                log.warning("Turbopilot: Denied files may remain in %s: %s.", path, reason_of(error))

    def _scan_soon(self) -> None:
        self._scans, self._due = max(1, self._scans), float("-inf")

    def _work(self, store: IndexStore) -> None:
        """Process all pending work, the most urgent first."""
        while True:
            self._check_end()
            try:
                self._check_cleared(store)
                self._process_changes(store)
                if self._scans and time.monotonic() >= self._due:
                    self._scan(store)
                elif not (self._changed or self._first or self._todo):
                    return
                elif share := self._share():
                    self._read_some(store, share)
                else:
                    paused = self._pause_now()
                    self.progress = replace(self.progress, paused=paused)
                    self._wait(_PAUSED_POLL if paused else _POLL, for_changes=True)
            except sqlite3.Error as error:
                if not is_busy(error):
                    raise
                self._scan_soon()
                self._wait(_POLL)

    def _sleep(self) -> None:
        with self._wake:
            while not (self._ended or self._changed):
                left = self._due - time.monotonic() if self._scans else None
                if left is not None and left <= 0:
                    break
                self._wake.wait(left)
        self._check_end()

    def _scan(self, store: IndexStore) -> None:
        """Scan the folder: remove deleted files from the index, and queue new and changed ones."""
        begun = time.monotonic()
        self._scans, self._due = self._scans - 1, float("inf")  # unless a change requests another scan
        with suppress(OSError):  # it was deleted
            os.utime(self.path)  # unused indexes are deleted after some months
        known, unseen = store.stamps(), list[str]()
        walked = (one for one in self._in_pieces(self._source.walk(unseen)) if self._allows(one.path))
        newest = heapq.nlargest(MOST_FILES, walked, key=lambda looked: looked.modified)
        found, hidden = {one.path: one for one in newest}, {*unseen}

        def is_gone(path: str) -> bool:
            is_hidden = is_under(path, hidden) and self._allows(path)
            return not (is_hidden or path in found)

        self._first = {path: one for path, one in self._first.items() if not is_gone(path)}
        self._forget(store, filter(is_gone, known))
        self._todo = {
            path: one
            for path, one in found.items()
            if known.get(path) != one.stamp and (path in known or one.modified > self._too_old)
        }
        now = time.monotonic()
        if "" not in hidden:  # otherwise the root folder could not be listed
            self._seen = now
        self._pause = max(SWEEP, _SHARE * (now - begun))
        self._due = min(self._due, now + self._pause)
        self._update_progress(store, found=len(found))

    def _process_changes(self, store: IndexStore) -> None:
        """Queue changed files, and remove deleted ones from the index."""
        with self._wake:
            changes = tuple(self._changed.items())
        gone = set[str]()
        for path, _ in changes:
            self._check_end()
            with suppress(OSError):  # the next scan will find it
                if self._process_change(store, path):
                    gone.add(path)
        if gone:  # one pass for all paths, as the queues may be long
            self._first = {path: one for path, one in self._first.items() if not is_under(path, gone)}
            self._todo = {path: one for path, one in self._todo.items() if not is_under(path, gone)}
            self._forget(store, gone)
        with self._wake:
            for path, number in changes:
                if self._changed.get(path) == number:  # it has not changed meanwhile
                    del self._changed[path]
        if changes:
            self._update_progress(store)

    def _process_change(self, store: IndexStore, path: str) -> bool:
        """Queue a changed file; return whether the path is gone."""
        try:
            looked = self._source.look(path) if self._allows(path) else None
        except IsADirectoryError:
            self._scan_soon()
            return False
        if looked is None:
            return True
        self._forget_disabled(store, looked)
        # Even with an unchanged stamp: a coarse clock may give two versions the same one.
        self._first[path] = looked
        return False

    def _forget_disabled(self, store: IndexStore, looked: FileInfo) -> None:
        """Remove a saved notebook from the index at once if its metadata may disable Turbopilot.

        Otherwise its cells would be suggested until it is read again, which may be paused.
        """
        if not looked.path.lower().endswith(NOTEBOOK) or store.stamp(looked.path) is None:
            return
        if looked.size > MOST_BYTES or not is_enabled_in(self._source.read(looked.path)):
            self._forget(store, [looked.path])

    def _read_some(self, store: IndexStore, seconds: float) -> None:
        """Read files for some time, at least one, and store them in one transaction."""
        begun, spent = time.monotonic(), time.thread_time()
        asked = self._asked()
        read: list[tuple[FileInfo, Page]] = []
        while waiting := self._first or self._todo:
            is_changed, looked = waiting is self._first, waiting.pop(next(iter(waiting)))
            # Another server may have indexed it.
            known = not is_changed and store.stamp(looked.path) == looked.stamp
            if not known and (page := self._page(looked)) is not None:
                read.append((looked, page))
            if time.monotonic() - begun >= seconds or self._asked() != asked:
                break
        try:
            with store.transaction():
                self._check_cleared(store)
                for at, (looked, page) in enumerate(read):
                    if at == 0 or self._asked() == asked:
                        self._put(store, looked, page)
                    else:  # a new request has arrived: store the rest later
                        self._first[looked.path] = looked
            store.keep_newest(MOST_FILES)
        except sqlite3.Error:
            self._first |= {looked.path: looked for looked, _ in read}
            raise
        self._read_at = time.monotonic()
        self._update_progress(store)
        if self._read_at - self._since < RECENT:
            self._wait(time.thread_time() - spent)  # leave as much time to other threads

    def _page(self, looked: FileInfo) -> Page | None:
        """Return a file's indexed content; None if the file cannot be read now."""
        if looked.size > MOST_BYTES:
            return ()
        try:
            return page_of(looked.path, self._source.read(looked.path))
        except OSError as error:
            log.debug("Turbopilot: a file could not be read: %s", error)
            return None
        except DAMAGED:  # one file must not prevent the others from being indexed
            log.debug("Turbopilot: a file could not be read into the index", exc_info=True)
            return ()

    def _put(self, store: IndexStore, looked: FileInfo, page: Page) -> None:
        try:
            fits = store.put(looked.path, looked.stamp, looked.modified, page)
        except (ValueError, OverflowError, sqlite3.DataError):  # SQLite cannot store the text
            log.debug("Turbopilot: a file could not be put into the index", exc_info=True)
            if page:
                self._put(store, looked, ())  # so that it is not read again
            return
        if not fits:
            self._too_old = max(self._too_old, looked.modified)
            self._todo.clear()  # the others are older

    def _forget(self, store: IndexStore, paths: Iterable[str]) -> None:
        if store.forget(paths):
            self._too_old = float("-inf")

    def _in_pieces(self, items: Iterable[FileInfo]) -> Iterator[FileInfo]:
        """Iterate with short pauses."""
        for at, item in enumerate(items):
            if at % _PIECE == _PIECE - 1:
                self._wait(0.005)
            yield item

    def _share(self) -> float:
        """Return how many seconds of reading are allowed now."""
        now, asked = time.monotonic(), self._asked()
        if asked != self._before:
            self._before, self._since = asked, now
        if self._rushing:
            return LONG_BATCH
        if self._pause_now():
            return 0
        if now - self._since >= RECENT:
            return LONG_BATCH
        if now - self._since >= QUIET:
            return BATCH
        return 1e-9 if now - self._read_at >= PATIENCE else 0

    def _wait(self, seconds: float, *, for_changes: bool = False) -> None:
        with self._wake:
            if not (self._ended or self._rushing):
                self._wake.wait_for(lambda: self._ended or (for_changes and self._changed), seconds)
        self._check_end()

    def _check_end(self) -> None:
        if self._ended:
            raise EndedError

    def _check_cleared(self, store: IndexStore) -> None:
        if store.noted("cleared") != self._cleared:
            self._stop("the index was emptied")

    def _update_progress(self, store: IndexStore, found: int = 0) -> None:
        files, building = store.count(), bool(self._todo)
        found = max(files, found or self.progress.found) if building else files
        self.progress = BuildProgress(building=building, files=files, found=found)

    def _stop(self, why: str) -> None:
        """Stop for good: a deleted index must not reappear while the server runs."""
        self._report(f"{why}; {NEXT_START}")
        self._ended = True
        raise EndedError

    def _report(self, reason: str) -> None:
        if reason != self.progress.error:
            log.warning("Turbopilot: There is no index of your code in %s: %s.", self.path, reason)
        self.progress = BuildProgress(error=reason)


def is_under(path: str, folders: Collection[str]) -> bool:
    """Return whether a path is one of `folders` or inside one of them; "" is the root folder."""
    if not folders:
        return False
    end = len(path)
    while end > 0:
        if path[:end] in folders:
            return True
        end = path.rfind("/", 0, end)
    return "" in folders
