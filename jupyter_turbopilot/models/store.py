"""What of a model is in the folder: its file, whether it is sound; removing it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.errors import UnknownModelError
from jupyter_turbopilot.files import partial_path, sha256_of
from jupyter_turbopilot.models.catalog import catalog
from jupyter_turbopilot.models.folder import (
    OWN,
    copies,
    note_path,
    read_note,
    remove_all,
    state_path,
    write_note,
)
from jupyter_turbopilot.models.gguf import read_header
from jupyter_turbopilot.models.model import IndexParts, Model, Source, address

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Stored:
    """A model on the disk."""

    path: Path
    size: int
    sha256: str | None
    verified: bool
    source: str


class Store:
    """The models of one folder."""

    def __init__(self, folder: Path, *, mirrors: bool = False, hosts: Collection[str] = ()) -> None:
        self.folder = folder
        self.mirrors = mirrors
        self.hosts = hosts  # that a download may be redirected to, though they are not public

    def path(self, model: Model) -> Path:
        """Return where the model's file is or would be."""
        if model.path:
            return model.path
        return self.folder / model.file

    def has(self, model: Model) -> bool:
        """Tell whether the model is on the disk; asks nobody else."""
        path = self.path(model)
        return _is_there(path) and (bool(model.path) or _is_of(read_note(path), model))

    def stored(self, model: Model) -> Stored | None:
        """Return what is known of the model's file."""
        if not self.has(model):
            return None
        path = self.path(model)
        note = read_note(path)
        try:
            size = path.stat().st_size
        except OSError:  # deleted since we looked
            return None
        return Stored(
            path=path,
            size=size,
            sha256=note.get("sha256"),
            verified=note.get("verified") is True and note.get("size", size) == size,
            source=note.get("source", OWN if model.path else ""),
        )

    def sources(self, model: Model, *, mirrors: bool = False) -> list[Source]:
        """Return where the model may be fetched from, in order, as the person allows."""
        allowed = mirrors or self.mirrors
        return [source for source in model.sources if allowed or not isinstance(source, IndexParts)]

    def others(self) -> Iterator[Path]:
        """Iterate over model files that the catalogue does not name."""
        known = {self.path(model).name for model in catalog().values() if self.has(model)}
        yield from sorted(p for p in self.folder.glob("*.gguf") if p.name not in known)

    def verify(self, model: Model) -> bool:
        """Read the whole file and compare it with the digest that is known for it."""
        path = self.path(model)
        read_header(path)
        note = read_note(path)
        expected = model.sha256 or note.get("sha256")
        if expected is None or sha256_of(path) != expected:
            return False
        if model.sha256 and not note:
            with suppress(OSError):
                size = path.stat().st_size
                write_note(path, OWN, sha256=expected, verified=True, size=size)
        return True

    def remove(self, model: Model) -> int:
        """Delete the model's files and return the bytes freed."""
        path = self.path(model)
        if model.path and not (path.parent == self.folder and read_note(path)):
            raise UnknownModelError(
                "This file is your own, not a download; delete it yourself.", field="model"
            )
        partial = partial_path(self.folder / model.file)
        files = [partial, state_path(partial)]
        if self.has(model):
            whole = [path, *copies(self.folder, path)]
            files += [*whole, *map(note_path, whole)]
        return remove_all(files)


def _is_there(path: Path) -> bool:
    """Tell whether a file is there, as far as we may look."""
    try:
        return path.is_file()
    except OSError:
        return False


def _is_of(note: dict[str, Any], model: Model) -> bool:
    """Tell whether a file with this note is this model: by digest where one is known, else by its address."""
    if not note:
        return True
    if model.sha256:
        return bool(note.get("sha256") == model.sha256)
    return note.get("address") in {*map(address, model.sources), model.checkpoint}
