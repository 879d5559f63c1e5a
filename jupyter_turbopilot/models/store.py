"""Installed models: their files, integrity and removal."""

from __future__ import annotations

import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.models.catalog import catalog
from jupyter_turbopilot.models.folder import (
    OWN,
    aside_path,
    copies,
    note_path,
    read_note,
    remove_all,
    state_path,
    write_note,
)
from jupyter_turbopilot.models.gguf import has_header, read_header
from jupyter_turbopilot.models.model import IndexParts, Model, Source, address, describe
from jupyter_turbopilot.protocol.errors import NotReadyError, TurbopilotError, UnknownModelError
from jupyter_turbopilot.util.files import describe_size, partial_path, sha256_of, size_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Stored:
    """A model file on the disk."""

    path: Path
    size: int
    sha256: str | None
    verified: bool
    source: str
    damaged: bool = False  # by its size, its digest or a failed load


def unavailable(model: Model, stored: Stored | None, engine: str = "llama") -> TurbopilotError:
    """Return the error for a missing or damaged model; `engine` is the configured one."""
    if model.path:
        return UnknownModelError(f"There is no model at {model.path}.")
    mirrors = [describe(source) for source in model.sources if isinstance(source, IndexParts)]
    if stored and stored.damaged:
        command = model.pull(engine, mirrors=stored.source in mirrors)
        error = NotReadyError(
            f"The file of {model.name} is damaged. Download it again, or run: {command}", code="model_damaged"
        )
        error.exit_status = 2
        return error
    size = f" ({describe_size(model.size)})" if model.size else ""
    advice = f" Download it, or run: {model.pull(engine)}" if model.sources or model.checkpoint else ""
    return NotReadyError(
        f"The model {model.name}{size} is not on this machine.{advice}", code="model_missing"
    )


class Store:
    """The models of one folder."""

    def __init__(self, folder: Path, *, mirrors: bool = False) -> None:
        self.folder = folder
        self.mirrors = mirrors

    def path(self, model: Model) -> Path:
        """Return the path of the model's file, which need not exist."""
        return model.path or self.folder / model.file

    def has(self, model: Model) -> bool:
        """Return whether the model's file exists and is not known to be damaged."""
        stored = self.stored(model)
        return stored is not None and not stored.damaged

    def stored(self, model: Model) -> Stored | None:
        """Return the metadata of the model's file, or None. Does not read the file."""
        path = self.path(model)
        try:
            status = path.stat()
        except OSError:
            return None
        note = read_note(path)
        if not stat.S_ISREG(status.st_mode) or not (model.path or _is_of(note, model)):
            return None
        size = status.st_size
        expected = model.size or note.get("size", size)
        is_marked = note.get("damaged") == status.st_mtime_ns
        return Stored(
            path=path,
            size=size,
            sha256=note.get("sha256"),
            verified=note.get("verified") is True and note.get("size", size) == size and not is_marked,
            source=note.get("source", OWN if model.path else ""),
            damaged=not model.path and (is_marked or size != expected),
        )

    def received(self, model: Model) -> int | None:
        """Return the size of the unfinished download in bytes, or None."""
        return size_of(partial_path(self.path(model))) or None

    def sources(self, model: Model, *, mirrors: bool = False) -> list[Source]:
        """Return the sources that the settings allow, in order."""
        allowed = mirrors or self.mirrors
        return [source for source in model.sources if allowed or not isinstance(source, IndexParts)]

    def others(self) -> Iterator[Path]:
        """Iterate over model files that are not in the catalogue."""
        known = {self.path(model).name for model in catalog().values() if self.stored(model)}
        yield from sorted(p for p in self.folder.glob("*.gguf") if p.name not in known)

    def verify(self, model: Model) -> bool:
        """Compute the file's digest, compare it with the expected one, and record the result."""
        path = self.path(model)
        note = read_note(path)
        expected = model.sha256 or note.get("sha256")
        if not path.is_file():
            read_header(path)  # raises the error with the reason
        status = path.stat()
        is_damaged = sha256_of(path) != expected if expected else not has_header(path)
        if expected or is_damaged:
            note = {key: value for key, value in note.items() if key != "damaged"} or _first_note(model)
            note |= {"damaged": status.st_mtime_ns} if is_damaged else {"size": status.st_size}
            with suppress(OSError):  # in a read-only folder the check is repeated next time
                write_note(path, **note)
        return bool(expected) and not is_damaged

    def is_removable(self, model: Model) -> bool:
        """Return whether Turbopilot wrote the model's files."""
        return not model.path or (model.path.parent == self.folder and bool(read_note(model.path)))

    def remove(self, model: Model) -> int:
        """Delete the model's files and return the bytes freed."""
        path = self.path(model)
        if not self.is_removable(model):
            raise UnknownModelError(
                "Turbopilot did not download this file. Delete it yourself.", field="model"
            )
        partial = partial_path(self.folder / model.file)
        files = [partial, state_path(partial)]
        if self.stored(model):
            whole = [path, *copies(self.folder, path)]
            files += [*whole, *map(note_path, whole), *map(aside_path, whole)]
        return remove_all(files)


def _first_note(model: Model) -> dict[str, Any]:
    """Return the note of a file that Turbopilot did not download."""
    if model.sha256:
        return {"source": OWN, "sha256": model.sha256, "verified": True}
    return {"source": OWN, "address": address(model.sources[0]) if model.sources else model.checkpoint}


def _is_of(note: dict[str, Any], model: Model) -> bool:
    """Return whether a note belongs to a model: by its digest if known, otherwise by its address."""
    if not note:
        return True
    if model.sha256:
        return bool(note.get("sha256") == model.sha256)
    return note.get("address") in {*map(address, model.sources), model.checkpoint}
