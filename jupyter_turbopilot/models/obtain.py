"""Obtain a model: download its file, or download and convert its checkpoint."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from jupyter_turbopilot.models.download import (
    DownloadProgress,
    download_errors,
    is_intact,
    move_damaged_aside,
    pull,
)
from jupyter_turbopilot.models.folder import is_complete, write_note
from jupyter_turbopilot.protocol.errors import CancelledError, DownloadError, TurbopilotError
from jupyter_turbopilot.util.files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jupyter_turbopilot.models.model import Model
    from jupyter_turbopilot.models.store import Store


def obtain(
    store: Store,
    model: Model,
    progress: Callable[[DownloadProgress], None] = lambda _: None,
    cancel: threading.Event | None = None,
    *,
    mirrors: bool = False,
) -> Path:
    """Return the model's path after downloading it if necessary; any failure is an error with a message."""
    if model.engine != "llama":
        raise DownloadError(
            f"llama.cpp cannot run {model.name}. Set c.Turbopilot.engine to {model.engine!r} and "
            f"c.Turbopilot.model to {model.name!r}."
        )
    with download_errors(store.folder, model.name):
        if model.checkpoint and not is_intact(store, model, progress):
            path = _convert(store, model, progress, cancel or threading.Event())
        else:
            path = pull(store, model, progress, cancel, mirrors=mirrors)
    if not path.is_file():
        raise DownloadError(f"{model.name} was downloaded, but its file is gone. Try again.")
    return path


def _convert(
    store: Store, model: Model, progress: Callable[[DownloadProgress], None], cancel: threading.Event
) -> Path:
    """Download a checkpoint and convert it to the model's file."""
    from jupyter_turbopilot.models.repository import Repositories
    from jupyter_turbopilot.plugins.convert import convert

    repositories = Repositories(store.folder, progress, cancel, hosts=store.hosts)

    def step(name: str, done: int, total: int) -> None:
        if cancel.is_set():
            raise CancelledError("The conversion was cancelled. The downloaded checkpoint is kept.")
        progress(DownloadProgress("downloading", done, total, f"converting {name}"))

    kept = is_complete(repositories.where(model.checkpoint))  # keep it for the engine that runs it
    folder = repositories.fetch(model.checkpoint, keep=False)
    move_damaged_aside(store.path(model))
    path = convert(
        folder,
        store.path(model),
        outtype=model.kind.lower(),
        find_tokenizer=lambda family, rows: repositories.tokenizer_for(folder, family, rows),
        shards=model.shards,
        progress=step,
    )
    write_note(
        path,
        f"converted from Hugging Face, {model.checkpoint}",
        address=model.checkpoint,
        sha256=sha256_of(path),
        size=path.stat().st_size,
    )
    if not kept:
        with suppress(TurbopilotError):
            repositories.remove(model.checkpoint)  # it is several times as large as the converted file
    return path
