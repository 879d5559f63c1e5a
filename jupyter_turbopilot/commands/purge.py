"""`jupyter turbopilot purge` and `forget`: delete what our notes say we wrote, and name what stays."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from jupyter_turbopilot.commands.loading import pilot_of
from jupyter_turbopilot.engine.llama import snapshot as state
from jupyter_turbopilot.files import read_object, size_of
from jupyter_turbopilot.models import speed
from jupyter_turbopilot.models.convert.repository import CHECKPOINTS, fetched
from jupyter_turbopilot.models.folder import OWN, note_path, read_note
from jupyter_turbopilot.models.tuning.fold import COPIES
from jupyter_turbopilot.server import runtime

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

NAMED = 20  # files that are left are named up to here, then counted
_COPY = re.compile(r"\.?.{1,255}-[0-9a-f]{12}\.(gguf|lock|gguf\.json|gguf\.json\.new|gguf\.partial)")


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
    _name("Left, because nothing notes that it is ours", set(_others(folder)) - set(kept))
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


def ours(folder: Path) -> Iterator[Path]:
    """Iterate over the files in a folder of models that we wrote: a note or the content says so."""
    for note in folder.glob(".*.gguf.json"):
        file = note.with_name(note.name[1:].removesuffix(".json"))
        if found := read_note(file):
            yield from _present(note, *(() if found["source"] == OWN else (file,)))
    running = {lock.stem for lock in folder.glob(".*.gguf.lock") if _is_held(lock)}
    for begun in folder.glob(".*.gguf.state"):
        if begun.stem not in running and "source" in read_object(begun):
            yield from _present(begun, begun.with_suffix(".partial"))
    for lock in folder.glob(".*.gguf.lock"):
        if lock.stem not in running and not size_of(lock):
            yield lock
    yield from sequences(folder)
    yield from _own(folder, f"{speed.FILE}*", lambda path: "bytes_a_second" in read_object(path))
    yield from _own(folder, ".trials.json*", _holds_verdicts)
    yield from _copies(folder / COPIES)
    for repository in (folder / CHECKPOINTS).glob("*"):
        yield from fetched(repository)


def _is_held(lock: Path) -> bool:
    """Tell whether a download runs: taking its files away would end it, or let two write one file."""
    try:
        with lock.open("rb+") as file:
            if file.read(1):
                return False  # none of ours: it is not even locked
        with FileLock(lock, timeout=0):
            return False
    except OSError:  # a time-out, too, is one
        return True


def sequences(folder: Path) -> Iterator[Path]:
    """Iterate over the files that hold what was read of notebooks."""
    return _own(folder, ".sequences*", state.is_ours)


def _own(folder: Path, pattern: str, known: Callable[[Path], bool]) -> Iterator[Path]:
    for path in folder.glob(pattern):
        if path.is_file() and known(path):
            yield path


def _holds_verdicts(path: Path) -> bool:
    return all(re.fullmatch(r"[0-9a-f]{32}", key) for key in read_object(path) or {"": ""})


def _copies(folder: Path) -> Iterator[Path]:
    """Iterate over copies of models with adapters; older ones have a lock instead of a note."""
    for copy in folder.glob("*.gguf"):
        lock, note = copy.with_suffix(".lock"), note_path(copy)
        if _COPY.fullmatch(copy.name) and (read_note(copy) or lock.is_file()):
            yield from _present(copy, note, lock, copy.with_name(f".{copy.name}.partial"))
    for lock in folder.glob("*.lock"):
        if _COPY.fullmatch(lock.name) and not size_of(lock):
            yield lock


def _present(*paths: Path) -> Iterator[Path]:
    return (path for path in paths if path.is_file())


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


def _others(folder: Path) -> Iterator[Path]:
    """Iterate over what is left; other people's folders are named, not looked into."""
    within = (folder / COPIES, folder / CHECKPOINTS)
    for one in (folder, *within):
        if one.is_dir():
            yield from (path for path in one.iterdir() if path not in within)


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
