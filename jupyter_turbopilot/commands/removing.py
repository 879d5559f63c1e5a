"""Removing files, and saying so: how much it was, what could not go, and what stays."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from jupyter_turbopilot.files import size_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NAMED = 20  # files that are left are named up to here, then counted


def remove(files: Iterable[Path]) -> list[Path]:
    """Delete files; return those that could not be."""
    remaining = []
    for path in files:
        try:
            path.unlink(missing_ok=True)
        except OSError:
            remaining.append(path)
    return remaining


def remove_empty(folder: Path, files: Iterable[Path]) -> None:
    """Delete the folders that our files leave empty."""
    emptied = {parent for path in files for parent in path.parents if parent.is_relative_to(folder)}
    for one in sorted(emptied, key=lambda path: -len(path.parts)):
        with suppress(OSError):
            one.rmdir()


def megabytes(files: Iterable[Path]) -> str:
    """Word how much files take together."""
    return f"{sum(map(size_of, files)) / 1e6:.0f} MB"


def count_of(files: list[Path], what: str) -> str:
    """Word how many files there are."""
    return f"{len(files)} {what}{'' if len(files) == 1 else 's'}"


def list_files(words: str, files: Iterable[Path]) -> None:
    """Print the names of files, the first of them where there are many."""
    named = sorted(files)
    if not named:
        return
    print(f"{words}:")
    for path in named[:NAMED]:
        print(f"  {path}")
    if len(named) > NAMED:
        print(f"  and {len(named) - NAMED} more")
