"""`jupyter turbopilot purge` and `forget`: delete what our notes say we wrote, and name what stays."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.commands.loading import pilot_of
from jupyter_turbopilot.files import size_of
from jupyter_turbopilot.models.folder import others, ours, sequences
from jupyter_turbopilot.server import runtime

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable
    from pathlib import Path

NAMED = 20  # files that are left are named up to here, then counted


def add(commands: Any) -> None:
    """Declare the commands."""
    purge = commands.add_parser(
        "purge", help="remove models that were fetched, what was made of them, and runtime files"
    )
    purge.add_argument("-y", "--yes", action="store_true", help="do not ask")
    purge.set_defaults(run=run_purge)
    forget = commands.add_parser(
        "forget", help="remove what was read of notebooks and kept for the next start"
    )
    forget.set_defaults(run=run_forget)


def run_purge(options: argparse.Namespace) -> int:
    """Remove what we wrote."""
    folder = pilot_of(options).store.folder
    files = sorted(set(ours(folder)))
    stale, living = runtime.survey()
    if not options.yes and not _agreed(
        f"Remove {_size(files)} in {_count(files, 'file')} from {folder}, "
        f"and {_count(stale, 'runtime file')} of servers that have ended?"
    ):
        return 1
    said = f"{_size(files)} in {_count(files, 'file')} and {_count(stale, 'runtime file')} removed."
    kept = _remove([*files, *stale])
    _remove_empty(folder, files)
    print(said)
    _name("Could not be removed", kept)
    _name("Left, because nothing notes that it is ours", set(others(folder)) - set(kept))
    _name("Left, because their servers run, or run elsewhere", living)
    return 1 if kept else 0


def run_forget(options: argparse.Namespace) -> int:
    """Remove what was read of notebooks."""
    files = list(sequences(pilot_of(options).store.folder))
    said = f"{_size(files)} removed." if files else "Nothing was kept."
    kept = _remove(files)
    print(said)
    _name("Could not be removed", kept)
    _name("A server that runs keeps what it has read, and writes it down when it stops", runtime.survey()[1])
    return 1 if kept else 0


def _remove(files: Iterable[Path]) -> list[Path]:
    """Delete files; return those that could not be."""
    kept = []
    for path in files:
        try:
            path.unlink(missing_ok=True)
        except OSError:
            kept.append(path)
    return kept


def _remove_empty(folder: Path, files: Iterable[Path]) -> None:
    """Delete the folders that our files leave empty."""
    emptied = {parent for path in files for parent in path.parents if parent.is_relative_to(folder)}
    for one in sorted(emptied, key=lambda path: -len(path.parts)):
        with suppress(OSError):
            one.rmdir()


def _agreed(question: str) -> bool:
    try:
        return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False


def _size(files: Iterable[Path]) -> str:
    return f"{sum(map(size_of, files)) / 1e6:.0f} MB"


def _count(files: list[Path], what: str) -> str:
    return f"{len(files)} {what}{'' if len(files) == 1 else 's'}"


def _name(words: str, files: Iterable[Path]) -> None:
    named = sorted(files)
    if not named:
        return
    print(f"{words}:")
    for path in named[:NAMED]:
        print(f"  {path}")
    if len(named) > NAMED:
        print(f"  and {len(named) - NAMED} more")
