"""Builds the index and keeps it up to date, on a thread of its own that sleeps where nothing happens."""

from __future__ import annotations

import errno
import heapq
import logging
import os
import sqlite3
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jupyter_turbopilot.files import ROOM_TO_SPARE, free_room
from jupyter_turbopilot.memory.base import is_under
from jupyter_turbopilot.memory.entries import Page, page_of
from jupyter_turbopilot.memory.left_out import MOST_BYTES
from jupyter_turbopilot.memory.places import DAY, delete_old
from jupyter_turbopilot.memory.store import SCHEMA, Store
from jupyter_turbopilot.sqlite_file.connection import NEXT_START, is_busy, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from jupyter_turbopilot.engine.effort import Pause
    from jupyter_turbopilot.memory.base import Looked, Source

log = logging.getLogger(__name__)

MOST_FILES = 20_000
SWEEP = 30.0  # seconds between two looks at what is there, while somebody works
_LOOKS = 2  # after somebody has used the index: one at once, and one for what is deleted meanwhile
_SHARE = 20  # of the time, at most one part goes into such looks
QUIET = 2.0  # seconds after a request in which nothing is read
LATELY = 60.0  # seconds after a request in which at most half of the time is used
PATIENCE = 10.0  # seconds after which one file is read although somebody types
BATCH, LONG_BATCH = 0.03, 0.5  # seconds of reading before it is written down; where nobody has asked lately
TIDY = 20.0  # seconds between two times that the disk is made to forget
RETRY = 60.0  # seconds after which another attempt is made, longer each time
_LONGEST = 3600.0
_POLL = 0.25  # seconds after which it is looked again whether somebody types
_REST = 10.0  # the same where the machine rests
_MOST_CHANGES = 1000  # that wait; where there are more, everything is looked at
_PIECE = 256  # files that are looked at in one go
_TEND = 1.0  # seconds after which a long look is interrupted for what is gone
END = 1.0  # seconds that the end waits for what is under way


@dataclass(frozen=True)
class Progress:
    """How far the index is."""

    building: bool = False
    files: int = 0  # that are remembered
    of: int = 0  # that there are, as far as is known
    paused: Pause | None = None  # why no file is read now
    trouble: str = ""  # why there is no index


class EndedError(Exception):
    """The thread is to end."""


class Builder:
    """Reads what is in a source into the index at `place`.

    Nothing is read while `pause` gives a reason why the computer is needed for something else, or shortly
    after `asked`, the number of requests so far, has changed. What is gone is forgotten all the same.
    """

    def __init__(
        self,
        place: Path,
        source: Source,
        *,
        pause: Callable[[], Pause | None] = lambda: None,
        asked: Callable[[], int] = lambda: 0,
    ) -> None:
        self.place = place
        self.progress = Progress()
        self._source = source
        self._pause_now = pause
        self._asked = asked
        self._before = 0  # what `asked` was, and since when it is
        self._since = float("-inf")
        self._wake = threading.Condition()
        self._changed: dict[str, None] = {}  # paths that something happened to, in this order
        self._unseen: set[str] = set()  # paths that may be gone
        self._overflows = self._overflows_seen = 0  # how often those were too many; as of the last full look
        self._first: dict[str, Looked] = {}  # files to be read that something happened to
        self._todo: dict[str, Looked] = {}  # other files to be read, the newest first
        self._too_old = float("-inf")  # there is no room for files that were changed before this
        self._looks = 1  # that are still to be taken at everything
        self._due = float("-inf")  # when the next one may be
        self._pause = SWEEP
        self._seen = float("-inf")  # when the last one ended
        self._read_at = float("-inf")  # when a file was read last
        self._tidied = float("-inf")
        self._cleared = ""
        self._marked = float("-inf")  # when it was last noted on the disk that the index is used
        self._ended = False
        self._rushing = False  # whether somebody waits for the index
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin. Only the first call does anything."""
        with self._wake:
            if self._thread or self._ended:
                return
            # A daemon: a disk that does not answer must not keep the process from ending. At the priority of
            # the server: preempted with the interpreter's lock, it would keep all its other threads waiting.
            self._thread = threading.Thread(target=self._run, name="turbopilot-index", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no more threads
            self._report("there are no more threads")

    def build_now(self) -> None:
        """Build the index anew, on this thread and without pauses; OSError or sqlite3.Error: it cannot be."""
        self._rushing = True
        with closing(self._open()) as store:
            store.clear()
            self._work(store)

    def changed(self, *paths: str) -> None:
        """Say that something was saved, renamed or deleted."""
        with self._wake:
            if self._ended:
                return
            for path in paths:
                self._changed.pop(stripped := path.strip("/"), None)
                self._changed[stripped] = None
                self._unseen.add(stripped)
            if len(self._changed) > _MOST_CHANGES:
                self._changed.clear()
                self._look_soon()
            if len(self._unseen) > _MOST_CHANGES:
                self._unseen.clear()
                self._overflows += 1
                self._look_soon()
            self._wake.notify()

    def used(self) -> bool:
        """Note that the index is used; tell whether what is there was looked at lately."""
        if self._looks < _LOOKS:
            with self._wake:
                self._looks = _LOOKS
                self._wake.notify()
        return not self.progress.trouble and time.monotonic() - self._seen < 2 * self._pause

    def attended(self) -> None:
        """Note that somebody has a page open, and may delete files elsewhere; unless looking takes long."""
        if self._pause <= SWEEP:
            self.used()

    def may_be_gone(self, path: str) -> bool:
        """Tell whether something happened to a file that was not looked at yet."""
        return self._overflows > self._overflows_seen or is_under(path, self._unseen)

    def close(self) -> None:
        """End; what is under way is not finished."""
        with self._wake:
            self._ended = True
            self._wake.notify()
            thread = self._thread
        if thread and thread.is_alive():
            thread.join(END)

    def _run(self) -> None:
        pause = RETRY
        try:
            while True:
                try:
                    with closing(self._open()) as store:
                        while store.is_in_place():
                            self._work(store)
                            pause = RETRY
                            store.rest()
                            self._sleep(store)
                    if not self.place.exists():
                        self._stop("it was deleted")
                    continue  # another server has begun a new one
                except (OSError, NotImplementedError, sqlite3.Error) as error:
                    self._report(reason_of(error))
                except Exception as error:
                    if isinstance(error, EndedError):
                        raise
                    log.exception("Turbopilot: the index of your code failed")
                    self._report("an error that is in the log")
                self._looks, self._due = 0, float("-inf")  # until somebody uses it
                self._wait(pause)
                self._sleep(None)
                pause = min(2 * pause, _LONGEST)
        except EndedError:
            pass

    def _open(self) -> Store:
        if free_room(self.place) < ROOM_TO_SPARE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        SCHEMA.prepare(self.place)
        self._mark_used()
        delete_old(self.place)
        with ExitStack() as opened:
            store = opened.enter_context(closing(Store(self.place)))
            if store.noted("root") != self._source.root:
                store.note("root", self._source.root)
            self._cleared = store.noted("cleared")
            self._look_soon()
            self._tell(store)
            opened.pop_all()
        return store

    def _look_soon(self) -> None:
        self._looks, self._due = max(1, self._looks), float("-inf")

    def _mark_used(self) -> None:
        """Note on the disk that the index is used: one that is not is deleted after some months."""
        if (now := time.monotonic()) - self._marked > DAY:
            os.utime(self.place)
            self._marked = now

    def _work(self, store: Store) -> None:
        """Do what there is to do, what is most urgent first."""
        while True:
            self._check_end()
            try:
                self._check_cleared(store)
                self._tend(store)
                if self._changed:
                    self._refresh(store)
                elif self._looks and time.monotonic() >= self._due:
                    self._look(store)
                elif not (self._first or self._todo):
                    return
                elif share := self._share():
                    self._read_some(store, share)
                else:
                    paused = self._pause_now()
                    self.progress = replace(self.progress, paused=paused)
                    self._wait(_REST if paused else _POLL, for_changes=True)
            except sqlite3.Error as error:
                if not is_busy(error):
                    raise
                self._look_soon()
                self._wait(_POLL)

    def _sleep(self, store: Store | None) -> None:
        with self._wake:
            while not (self._ended or self._changed):
                then = [self._due] if self._looks else []
                if store and store.untidy:
                    then.append(self._tidied + TIDY)
                left = min(then) - time.monotonic() if then else None
                if left is not None and left <= 0:
                    break
                self._wake.wait(left)
        self._check_end()

    def _look(self, store: Store) -> None:
        """Look at everything there is: forget what is gone, and note what is new or was changed."""
        begun, overflows = time.monotonic(), self._overflows
        self._mark_used()
        known = store.stamps()
        found, unseen = self._walk(store, "", known)
        self._todo = {
            path: one
            for path, one in found.items()
            if known.get(path) != one.stamp and (path in known or one.modified > self._too_old)
        }
        now = time.monotonic()
        if "" in unseen:
            log.debug("Turbopilot: %s cannot be seen", self._source.root)
        else:
            self._seen, self._overflows_seen = now, overflows
        self._pause = max(SWEEP, _SHARE * (now - begun))
        self._due = now + self._pause
        self._looks -= 1
        self._tell(store, of=len(found))

    def _refresh(self, store: Store) -> None:
        """Look at a file that something has happened to, or at what is in a folder."""
        with self._wake:
            if not self._changed:  # they have become too many since, and wait for a look at everything
                return
            path = next(iter(self._changed))
            del self._changed[path]
        try:
            if looked := self._source.look(path):
                # Whatever its state says: a clock may stand still between two changes.
                self._first[path] = looked
                return
        except OSError:
            return  # the next look at everything will tell
        found, _ = self._walk(store, path, store.under(path))
        self._first |= found
        self._tell(store)

    def _walk(self, store: Store, folder: str, known: Iterable[str]) -> tuple[dict[str, Looked], set[str]]:
        """Return the newest files of a folder, and what cannot be seen; forget known ones that are gone."""
        unseen: list[str] = []
        walked = self._in_pieces(store, self._source.walk(folder, unseen))
        newest = heapq.nlargest(MOST_FILES, walked, key=lambda looked: looked.modified)
        found, hidden = {one.path: one for one in newest}, {*unseen}
        self._forget(store, [path for path in known if path not in found and not is_under(path, hidden)])
        return found, hidden

    def _tend(self, store: Store) -> None:
        """Forget what is gone: without delay, as nothing has to be read for it."""
        for path in tuple(self._unseen):
            if self._is_gone(path):
                self._forget(store, [path])
                self._tell(store)
            self._unseen.discard(path)
        if store.untidy and time.monotonic() - self._tidied >= TIDY:
            store.tidy()
            self._tidied = time.monotonic()

    def _read_some(self, store: Store, seconds: float) -> None:
        """Read files for some time, at least one, and write them down at once."""
        begun, spent = time.monotonic(), time.thread_time()
        asked = self._asked()
        read: list[tuple[Looked, Page]] = []
        while waiting := self._first or self._todo:
            told, looked = waiting is self._first, waiting.pop(next(iter(waiting)))
            known = not told and store.stamp(looked.path) == looked.stamp  # another server has read it
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
                    else:  # somebody types: later
                        self._first[looked.path] = looked
            store.keep_newest(MOST_FILES)
        except sqlite3.Error:
            self._first |= {looked.path: looked for looked, _ in read}
            raise
        self._read_at = time.monotonic()
        self._tell(store)
        if self._read_at - self._since < LATELY:
            self._wait(time.thread_time() - spent)  # as long again for everybody else

    def _page(self, looked: Looked) -> Page | None:
        """Return what of a file is remembered; None where it cannot be read now."""
        if looked.size is not None and looked.size > MOST_BYTES:
            return Page()
        try:
            return page_of(looked.path, self._source.read(looked.path))
        except OSError as error:
            log.debug("Turbopilot: a file could not be read: %s", error)
            return None
        except Exception:  # one file of a person's does not keep the others from being read
            log.debug("Turbopilot: a file could not be read into the index", exc_info=True)
            return Page()

    def _put(self, store: Store, looked: Looked, page: Page) -> None:
        try:
            fits = store.put(looked.path, looked.stamp, looked.modified, page)
        except (ValueError, OverflowError, sqlite3.DataError):  # what SQLite has no room or no letters for
            log.debug("Turbopilot: a file could not be put into the index", exc_info=True)
            if page != Page():
                self._put(store, looked, Page())  # so that it is not read again and again
            return
        if not fits:
            self._too_old = max(self._too_old, looked.modified)
            self._todo.clear()  # the others are older

    def _is_gone(self, path: str) -> bool:
        try:
            return not self._source.exists(path)
        except OSError:
            return False

    def _forget(self, store: Store, paths: Iterable[str]) -> None:
        if store.forget(paths):
            self._too_old = float("-inf")

    def _in_pieces(self, store: Store, items: Iterable[Looked]) -> Iterator[Looked]:
        """Iterate with pauses, and forget meanwhile what is gone."""
        tended = time.monotonic()
        for at, item in enumerate(items):
            if at % _PIECE == _PIECE - 1:
                self._wait(0.005)
            if time.monotonic() - tended > _TEND:
                self._tend(store)
                tended = time.monotonic()
            yield item

    def _share(self) -> float:
        """Return for how many seconds files may be read now."""
        now, asked = time.monotonic(), self._asked()
        if asked != self._before:
            self._before, self._since = asked, now
        if self._rushing:
            return LONG_BATCH
        if self._pause_now():
            return 0
        if now - self._since >= LATELY:
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

    def _check_cleared(self, store: Store) -> None:
        if store.noted("cleared") != self._cleared:
            self._stop("it was emptied")

    def _tell(self, store: Store, of: int = 0) -> None:
        count = store.count()
        building = bool(self._todo)
        of = max(count, of or self.progress.of) if building else count
        self.progress = Progress(building=building, files=count, of=of)

    def _stop(self, why: str) -> None:
        """End for good: what a person has deleted is not put there again while the person looks on."""
        self._report(f"{why}; {NEXT_START}")
        self._ended = True
        raise EndedError

    def _report(self, reason: str) -> None:
        if reason != self.progress.trouble:
            log.warning("Turbopilot: There is no index of your code in %s: %s.", self.place, reason)
        self.progress = Progress(trouble=reason)
