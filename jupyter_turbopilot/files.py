"""Writes a file beside its place, then puts it there at once: what is not finished is never left."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jupyter_turbopilot.errors import TurbopilotError

ROOM_TO_SPARE = 64 * 1024**2


def need_room(target: Path, size: int, refuse: type[TurbopilotError]) -> None:
    """Refuse what the disk has no room for, before anything is written."""
    folder = next(folder for folder in target.absolute().parents if folder.is_dir())
    free = shutil.disk_usage(folder).free
    if free < size + ROOM_TO_SPARE:
        raise refuse(
            f"{target.name} needs {size / 1e6:.0f} MB and only {free / 1e6:.0f} MB are free. Make room."
        )


@contextmanager
def write_atomically(target: Path, refuse: type[TurbopilotError]) -> Iterator[Path]:
    """Give a path to write to; what the disk says against it is said in words, by the error that is named."""
    partial = target.with_name(f".{target.name}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(target)
    except OSError as error:
        raise refuse(f"{target.name} could not be written: {error.strerror or error}.") from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
