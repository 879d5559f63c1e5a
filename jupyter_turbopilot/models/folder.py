"""The models folder: file names, notes, and which files Turbopilot created.

A model `m.gguf` has a note, `.m.gguf.json`. A download has `.m.gguf.lock`, `.m.gguf.partial` and
`.m.gguf.state`. `tuned/` contains copies of models with merged adapters, `checkpoints/` the checkpoints
to convert or to run with transformers.
"""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import platformdirs
from filelock import FileLock

from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.util.files import (
    is_forbidden,
    is_readable,
    is_unfinished,
    is_writable,
    partial_path,
    read_object,
    remove,
    replace_content,
    size_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

COPIES = "tuned"
CHECKPOINTS = "checkpoints"
CHECKPOINT_NOTE = ".fetched.json"
OWN = "a file of your own"  # the source of a file that the user put there
_FILE = re.compile(r"[A-Za-z0-9][\w.+-]{0,200}")
_COPY = re.compile(r".{1,255}-[0-9a-f]{12}\.(gguf|lock)")


def models_dir(configured: str = "") -> Path:
    chosen = configured or os.environ.get("TURBOPILOT_MODELS", "")
    if chosen:
        return Path(chosen).expanduser()
    return Path(platformdirs.user_data_dir("jupyter-turbopilot", appauthor=False)) / "models"


def is_unreadable(folder: Path) -> bool:
    """Return whether the folder exists, or may exist, and this account may not read it."""
    try:
        return stat.S_ISDIR(folder.stat().st_mode) and not is_readable(folder)
    except OSError as error:
        return is_forbidden(error)


def described(folder: Path) -> str:
    """Return the folder's path with the user's access restrictions."""
    if is_unreadable(folder):
        return f"{folder}, which you may not read: ask its owner for access"
    return f"{folder}" if is_writable(folder) else f"{folder}, which you may read but not write to"


# Names ------------------------------------------------------------------------------------------------------


def aside_path(file: Path) -> Path:
    """Return the path a damaged file is moved to before it is replaced."""
    return file.with_name(f"{file.name}.damaged")


def state_path(partial: Path) -> Path:
    """Return the path of the state of an unfinished download."""
    return partial.with_suffix(".state")


def copy_path(folder: Path, model: Path, key: str) -> Path:
    """Return the path of a copy with merged adapters; `key` identifies the adapters."""
    return folder / COPIES / f"{model.stem}-{key}.gguf"


def copies(folder: Path, model: Path) -> list[Path]:
    """Return the copies of a model with merged adapters."""
    return [path for path in (folder / COPIES).glob("*.gguf") if path.stem.rpartition("-")[0] == model.stem]


# Notes ------------------------------------------------------------------------------------------------------


def note_path(file: Path) -> Path:
    """Return the path of a file's note."""
    return file.with_name(f".{file.name}.json")


def read_note(file: Path) -> dict[str, Any]:
    """Read a file's note; empty if there is none or it is not Turbopilot's."""
    note = read_object(note_path(file))
    return note if isinstance(note.get("source"), str) else {}


def write_note(file: Path, source: str, **more: Any) -> None:
    """Record a file's source in its note."""
    replace_content(note_path(file), json.dumps({"source": source} | more).encode())


def remove_with_note(file: Path) -> int:
    """Delete a file and its note; return the bytes freed."""
    return sum(map(remove, (file, note_path(file))))


def remove_all(files: Iterable[Path]) -> int:
    """Delete a model's files and return the bytes freed, or raise an error with a message."""
    try:
        return sum(map(remove, files))
    except OSError as error:
        advice = "Ask the owner of the models folder." if is_forbidden(error) else "Try again."
        why = f"{error.strerror or error}. {advice}"
        raise BadRequestError(f"The model could not be removed: {why}", field="model") from None


# Checkpoints ------------------------------------------------------------------------------------------------


def checkpoint_path(folder: Path, repository: str) -> Path:
    """Return the folder of a repository's files."""
    return folder / CHECKPOINTS / repository.replace("/", "--")


class CheckpointNote(msgspec.Struct, frozen=True):
    """The note in a checkpoint's folder."""

    repository: str = ""
    files: tuple[str, ...] = ()
    digests: dict[str, str] = {}  # of files, verified against the publisher's
    complete: bool = False  # whether all files were downloaded

    @property
    def verified(self) -> bool:
        """Whether all weights were verified; the publisher gives no digests of small files."""
        weights = {name for name in self.files if name.endswith((".safetensors", ".bin"))}
        return self.complete and bool(weights) and weights <= self.digests.keys()


def read_checkpoint_note(checkpoint: Path) -> CheckpointNote:
    """Read a checkpoint's note; empty if there is none or it is not Turbopilot's."""
    note = read_object(checkpoint / CHECKPOINT_NOTE)
    repository, names, digests = note.get("repository"), note.get("files"), note.get("digests")
    names = names if isinstance(names, list) else []
    files = [name for name in names if isinstance(name, str) and _FILE.fullmatch(name)]
    return CheckpointNote(
        repository if isinstance(repository, str) else "",
        tuple(files),
        {name: str(digests[name]) for name in files if name in digests} if isinstance(digests, dict) else {},
        note.get("complete") is True,
    )


def write_checkpoint_note(checkpoint: Path, note: CheckpointNote) -> None:
    """Write a checkpoint's note; a file is noted before its download."""
    replace_content(checkpoint / CHECKPOINT_NOTE, msgspec.json.encode(note))


def checkpoints(folder: Path) -> Iterator[CheckpointNote]:
    """Iterate over the notes of whole checkpoints; of some repositories only the tokenizer is kept."""
    notes = map(read_checkpoint_note, sorted((folder / CHECKPOINTS).glob("*")))
    return (note for note in notes if "config.json" in note.files)


def is_complete(checkpoint: Path) -> bool:
    """Return whether all files of a checkpoint were downloaded and exist."""
    note = read_checkpoint_note(checkpoint)
    return note.complete and all((checkpoint / name).is_file() for name in note.files)


# Files written by Turbopilot --------------------------------------------------------------------------------


def ours(folder: Path) -> Iterator[Path]:
    """Iterate over the files in a models folder that Turbopilot wrote, by their notes or content."""
    for note in folder.glob(".*.gguf.json"):
        file = note.with_name(note.name[1:].removesuffix(".json"))
        if noted := read_note(file):
            yield from _present(note, *(() if noted["source"] == OWN else (file,)))
    yield from _downloads(folder)
    yield from _copies(folder / COPIES)
    yield from _unfinished(folder, ".*.gguf.*")
    yield from _unfinished(folder / COPIES, ".*.gguf.*")
    for checkpoint in (folder / CHECKPOINTS).glob("*"):
        yield from checkpoint_files(checkpoint)


def _unfinished(folder: Path, names: str) -> Iterator[Path]:
    """Iterate over temporary files of killed processes."""
    return (path for path in folder.glob(names) if is_unfinished(path.name) and path.is_file())


def checkpoint_files(checkpoint: Path) -> list[Path]:
    """Return the files in a checkpoint's folder that Turbopilot wrote."""
    paths: list[Path] = []
    for name in read_checkpoint_note(checkpoint).files:
        partial = partial_path(checkpoint / name)
        paths += [checkpoint / name, partial, state_path(partial)]
    if (checkpoint / CHECKPOINT_NOTE).is_file():
        paths += [checkpoint / CHECKPOINT_NOTE, checkpoint / ".lock"]
    return [*_present(*paths), *_unfinished(checkpoint, ".*")]


def others(folder: Path) -> Iterator[Path]:
    """Iterate over all entries; other folders are listed, but not entered."""
    within = (folder / COPIES, folder / CHECKPOINTS)
    for one in (folder, *within):
        if one.is_dir():
            yield from (path for path in one.iterdir() if path not in within)


def _downloads(folder: Path) -> Iterator[Path]:
    """Iterate over the files of downloads that are not running."""
    running = {lock.stem for lock in folder.glob(".*.gguf.lock") if _is_held(lock)}
    for state in folder.glob(".*.gguf.state"):
        if state.stem not in running and "source" in read_object(state):
            yield from _present(state, state.with_suffix(".partial"))
    for lock in folder.glob(".*.gguf.lock"):
        if lock.stem not in running and not size_of(lock):
            yield lock


def _is_held(lock: Path) -> bool:
    """Return whether the download is running; removing its files would break it."""
    try:
        with lock.open("rb+") as file:
            if file.read(1):
                return False  # not a lock of Turbopilot
        with FileLock(lock, timeout=0):
            return False
    except OSError:  # includes TimeoutError
        return True


def _copies(folder: Path) -> Iterator[Path]:
    """Iterate over copies with merged adapters; a copy without a note is recognized by its lock."""
    for copy in folder.glob("*.gguf"):
        lock, note = copy.with_suffix(".lock"), note_path(copy)
        if _COPY.fullmatch(copy.name) and (read_note(copy) or lock.is_file()):
            yield from _present(copy, note, lock, partial_path(copy))
    for lock in folder.glob("*.lock"):
        if _COPY.fullmatch(lock.name) and not size_of(lock):
            copy = lock.with_suffix(".gguf")
            if not copy.exists() and not _is_held(lock):
                yield from _present(partial_path(copy))  # of a killed process
            yield lock


def _present(*paths: Path) -> Iterator[Path]:
    return (path for path in paths if path.is_file())
