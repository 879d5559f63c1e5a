"""Deleting a study log, also while a server or a terminal still writes to it."""

from __future__ import annotations

import errno
from contextlib import suppress
from typing import TYPE_CHECKING

from jupyter_turbopilot.study.file import PATIENCE, files_of, lock_path, locked

if TYPE_CHECKING:
    from pathlib import Path


def delete(path: Path) -> tuple[int, list[Path]]:
    """Delete a log's files; return how many are gone, and those that could not be deleted.

    They are listed under the log's lock: of files that were listed before, a server may have moved one to a
    name that is not in the list. An OSError says why the log could not be locked.
    """
    try:
        with locked(path, PATIENCE):
            gone, stuck = _delete(path)
            if not stuck:
                # While it is held, so that whoever waits for it sees that it is gone. On Windows it cannot be
                # deleted so; there, it goes when it is released.
                with suppress(OSError):
                    lock_path(path).unlink(missing_ok=True)
            return gone, stuck
    except OSError as error:
        if error.errno != errno.ENOLCK:
            raise
        return _delete(path)  # where nothing can be locked, nothing is logged


def _delete(path: Path) -> tuple[int, list[Path]]:
    gone = 0
    stuck: list[Path] = []
    while left := [file for file in files_of(path) if file not in stuck]:
        for file in left:
            try:
                file.unlink()
                gone += 1
            except OSError:
                stuck.append(file)
    return gone, stuck
