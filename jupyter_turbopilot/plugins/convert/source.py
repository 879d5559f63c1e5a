"""The source of models that are converted: their checkpoint is downloaded first."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from jupyter_turbopilot.models.download import DownloadProgress, move_damaged_aside
from jupyter_turbopilot.models.folder import is_complete, write_note
from jupyter_turbopilot.plugins.convert import convert
from jupyter_turbopilot.plugins.convert.repository import Repositories
from jupyter_turbopilot.protocol.errors import CancelledError, TurbopilotError
from jupyter_turbopilot.util.files import sha256_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from pathlib import Path

    from jupyter_turbopilot.models.model import Model
    from jupyter_turbopilot.models.store import Store


def fetch(
    store: Store, model: Model, progress: Callable[[DownloadProgress], None], cancel: threading.Event
) -> Path:
    """Download a checkpoint and convert it to the model's file."""
    repositories = Repositories(store.folder, progress, cancel)

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
