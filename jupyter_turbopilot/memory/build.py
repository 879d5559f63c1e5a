"""Builds the index and keeps it up to date, on a thread of its own that sleeps where nothing happens."""

from __future__ import annotations

import errno
import heapq
import logging
import os
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_turbopilot.files import ROOM_TO_SPARE, free_room
from jupyter_turbopilot.memory.entries import Page, page_of
from jupyter_turbopilot.memory.left_out import MOST_BYTES
from jupyter_turbopilot.memory.places import delete_old
from jupyter_turbopilot.memory.store import Store, prepare
from jupyter_turbopilot.sqlite_file.connection import is_busy
from jupyter_turbopilot.sqlite_file.trouble import reason_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from jupyter_turbopilot.memory.source import Looked, Source

log = logging.getLogger(__name__)

MOST_FILES = 20_000
SWEEP = 30.0  # seconds between two looks whether all files are still there, while somebody works
_SHARE = 20  # of the time, at most one part goes into such looks
QUIET = 2.0  # seconds after a request in which nothing is read
PATIENCE = 10.0  # seconds after which one file is read although somebody types
_POLL = 0.25
_MOST_CHANGES = 1000  # that wait; where there are more, everything is looked at
_PIECE = 256  # files that are looked at in one go
END = 1.0  # seconds that the end waits for what is under way


@dataclass(frozen=True)
class Progress:
    """How far the index is."""

    building: bool = False
    files: int = 0  # that are remembered
    of: int = 0  # that there are, as far as is known
    trouble: str = ""  # why there is no index


class EndedError(Exception):
    """The thread is to end."""


class Builder:
    """Reads what is in a source into the index at `place`.

    Nothing is read while `resting` says that the machine is somebody's, or shortly after `asked`, the number
    of requests so far, has changed. What is gone is forgotten meanwhile, too.
    """

    def __init__(
        self,
        place: Path,
        source: Source,
        *,
        resting: Callable[[], bool] = lambda: False,
        asked: Callable[[], int] = lambda: 0,
    ) -> None:
        self.place = place
        self.progress = Progress()
        self._source = source
        self._resting = resting
        self._asked = asked
        self._before = 0  # what `asked` was, and since when it is
        self._since = -QUIET
        self._wake = threading.Condition()
        self._changed: dict[str, None] = {}  # paths that something happened to, in this order
        self._unseen: set[str] = set()  # those of them that may be gone
        self._everything = True  # whether the whole source is to be looked at
        self._used = False
        self._ended = False
        self._rushing = False  # whether somebody waits for the index
        self._swept = float("-inf")  # when it was last seen what is there
        self._tried = float("-inf")  # when it was last looked
        self._pause = SWEEP
        self._saw_all = True  # when the source was last walked through
        self._knows_all = False  # whether every file was seen once
        self._deleted = False  # since the file was last tidied
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, once."""
        with self._wake:
            if self._thread or self._ended:
                return
            # A daemon: a disk that does not answer may not keep the process from ending.
            self._thread = threading.Thread(target=self._run, name="turbopilot-memory", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no more threads
            self._give_up("there are no more threads")

    def build_now(self) -> None:
        """Build the index anew, on this thread and without pauses; OSError or sqlite3.Error: it cannot be."""
        self._rushing = True
        with closing(self._open()) as store:
            store.clear()
            self._work(store)

    def changed(self, *paths: str) -> None:
        """Say that something was saved, renamed or deleted."""
        with self._wake:
            for path in paths:
                self._changed.pop(stripped := path.strip("/"), None)
                self._changed[stripped] = None
                self._unseen.add(stripped)
            if len(self._changed) > _MOST_CHANGES:
                self._changed.clear()
                self._unseen.clear()
                self._everything = True
            self._wake.notify()

    def used(self) -> bool:
        """Note that the index is used; tell whether what is there was looked at lately."""
        if not self._used:
            with self._wake:
                self._used = True
                self._wake.notify()
        return time.monotonic() - self._swept < SWEEP

    def close(self) -> None:
        """End; what is under way is not finished."""
        with self._wake:
            self._ended = True
            self._wake.notify()
            thread = self._thread
        if thread and thread.is_alive():
            thread.join(END)

    def _run(self) -> None:
        try:
            store = self._open()
            try:
                while True:
                    if not store.is_in_place():
                        log.info("Turbopilot: the index of your code was deleted. It is begun anew.")
                        store.close()
                        store = self._open()
                    self._work(store)
                    self._sleep()
            finally:
                store.close()
        except EndedError:
            pass
        except (OSError, NotImplementedError, sqlite3.Error) as error:
            self._give_up(reason_of(error))
        except Exception:
            log.exception("Turbopilot: the index of your code failed")
            self._give_up("an error that the server's log has")

    def _open(self) -> Store:
        if free_room(self.place) < ROOM_TO_SPARE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        prepare(self.place)
        os.utime(self.place)  # by this an index is known that nobody uses any more
        delete_old(self.place)
        store = Store(self.place)
        if store.noted("root") != self._source.root:
            store.note("root", self._source.root)
        self._tell(store)
        return store

    def _work(self, store: Store) -> None:
        """Do what there is to do."""
        while True:
            try:
                if self._everything:
                    self._everything = False
                    self._read_all(store)
                self._read_changes(store)
                self._tend(store)
                if self._changed or self._everything:
                    continue
            except sqlite3.Error as error:
                if not is_busy(error):
                    raise
                self._everything = True
                self._wait(_POLL)
            else:
                return

    def _sleep(self) -> None:
        """Wait until there is something to do."""
        with self._wake:
            while not (self._ended or self._changed or self._everything):
                if not self._used:
                    self._wake.wait()
                elif (left := self._tried + self._pause - time.monotonic()) > 0:
                    self._wake.wait(left)
                else:
                    break
        self._check_end()

    def _read_all(self, store: Store) -> None:
        """Bring the whole index up to date, what was changed last first."""
        found = heapq.nlargest(MOST_FILES, self._walk(), key=_age)
        known = store.stamps()
        self._tried, self._knows_all = time.monotonic(), self._saw_all
        if self._knows_all:
            self._swept = self._tried
            self._forget(store, known.keys() - {one.path for one in found})
        new = [one for one in found if known.get(one.path) != one.stamp]
        self.progress = Progress(building=bool(new), files=len(found) - len(new), of=len(found))
        for at, one in enumerate(new):
            self._read_changes(store)
            if store.stamp(one.path) != one.stamp and not self._read(store, one):
                break  # there is no more room, and the others are older
            self.progress = Progress(building=True, files=len(found) - len(new) + at + 1, of=len(found))
        self._tell(store)

    def _read_changes(self, store: Store) -> None:
        """Look at what something has happened to."""
        while True:
            with self._wake:
                if not self._changed:
                    break
                path = next(iter(self._changed))
                del self._changed[path]
            self._refresh(store, path)
            self._tell(store, building=self.progress.building)

    def _refresh(self, store: Store, path: str) -> None:
        """Look at a file, or at what is in a folder."""
        try:
            looked = self._source.look(path)
        except OSError:
            return
        found = [looked] if looked else heapq.nlargest(MOST_FILES, self._walk(path), key=_age)
        if looked or self._saw_all:
            self._forget(store, store.under(path) - {one.path for one in found})
        for one in found:
            if store.stamp(one.path) != one.stamp:
                self._read(store, one)

    def _tend(self, store: Store) -> None:
        """Forget what is gone: without delay, as nothing has to be read for it."""
        with self._wake:
            unseen, self._unseen = self._unseen, set()
        self._forget(store, [path for path in unseen if self._is_gone(path)])
        if self._used and time.monotonic() - self._tried >= self._pause:
            self._used = False
            if self._knows_all:
                self._sweep(store)
            else:
                self._everything = True
        if self._deleted:
            self._deleted = False
            store.tidy()

    def _sweep(self, store: Store) -> None:
        """Look whether every file is still there, and still the same."""
        self._tried = time.monotonic()
        known, gone = store.stamps(), []
        try:
            for path, stamp in self._in_pieces(self._source.stamps(known)):
                if stamp is None:
                    gone.append(path)
                elif stamp != known[path]:
                    self.changed(path)
        except OSError:
            return
        self._swept = time.monotonic()
        self._pause = max(SWEEP, _SHARE * (self._swept - self._tried))
        self._forget(store, gone)
        self._tell(store, building=self.progress.building)

    def _read(self, store: Store, looked: Looked) -> bool:
        """Read a file into the index; tell whether there was room for it."""
        self._await_turn(store)
        begun = time.monotonic()
        page = Page()
        if looked.size is None or looked.size <= MOST_BYTES:
            try:
                page = page_of(looked.path, self._source.read(looked.path))
            except Exception:  # one file of a person's does not keep the others from being read
                log.debug("Turbopilot: a file could not be read into the index", exc_info=True)
        # A clock may have been wrong: what is from the future is from now.
        fits = store.put(looked.path, looked.stamp, min(looked.modified, time.time()), page)
        self._wait(min(1.0, time.monotonic() - begun))  # as long again for everybody else
        return fits

    def _walk(self, folder: str = "") -> Iterator[Looked]:
        """Iterate over the files that can be seen, and note whether that is all there are."""
        self._saw_all = False
        try:
            yield from self._in_pieces(self._source.walk(folder))
            self._saw_all = True
        except OSError as error:
            log.debug("Turbopilot: not all of %s can be seen: %s", self._source.root, error)

    def _is_gone(self, path: str) -> bool:
        try:
            return self._source.stamp(path) is None
        except OSError:
            return False

    def _forget(self, store: Store, paths: Iterable[str]) -> None:
        if store.forget(paths):
            self._deleted = True

    def _in_pieces(self, items: Iterable) -> Iterable:  # type: ignore[type-arg]
        """Iterate with pauses."""
        for at, item in enumerate(items):
            if at % _PIECE == _PIECE - 1:
                self._wait(0.005)
            yield item

    def _await_turn(self, store: Store) -> None:
        """Wait until the machine is nobody's."""
        begun = time.monotonic()
        while not self._rushing:
            self._tend(store)
            now, asked = time.monotonic(), self._asked()
            if asked != self._before:
                self._before, self._since = asked, now
            typing = now - self._since < QUIET and now - begun < PATIENCE
            if not typing and not self._resting():
                return
            self._wait(_POLL)

    def _wait(self, seconds: float) -> None:
        """Let others have the machine."""
        with self._wake:
            if not (self._ended or self._rushing):
                self._wake.wait_for(lambda: self._ended, seconds)
        self._check_end()

    def _check_end(self) -> None:
        if self._ended:
            raise EndedError

    def _tell(self, store: Store, *, building: bool = False) -> None:
        count = store.count()
        self.progress = Progress(
            building=building, files=count, of=max(count, self.progress.of if building else 0)
        )

    def _give_up(self, reason: str) -> None:
        with self._wake:
            self._ended = True
            self._changed.clear()
            self._unseen.clear()
        log.warning("Turbopilot: There is no index of your code in %s: %s.", self.place, reason)
        self.progress = Progress(trouble=f"There is no index of your code: {reason}.")


def _age(looked: Looked) -> float:
    return looked.modified
