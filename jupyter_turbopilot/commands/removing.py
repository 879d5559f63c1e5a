"""Removing files, and saying so: how much it was, what could not go, and what stays."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from jupyter_turbopilot.files import describe_size, size_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

NAMED = 20  # up to here names are listed, then counted


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


def size_of_all(files: Iterable[Path]) -> str:
    """Word how much files take together."""
    return describe_size(sum(map(size_of, files)))


def list_names(words: str, names: Iterable[Path | str]) -> None:
    """Print the names of files or servers, the first of them where there are many."""
    named = sorted(map(str, names))
    if not named:
        return
    print(f"{words}:")
    for name in named[:NAMED]:
        print(f"  {name}")
    if len(named) > NAMED:
        print(f"  and {len(named) - NAMED} more")


def agreed(question: str) -> bool:
    """Ask; no answer is no."""
    try:
        return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False
