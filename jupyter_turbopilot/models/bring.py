"""Get a model onto this machine: its file fetched, or its checkpoint fetched and converted."""

from __future__ import annotations

import shutil
import threading
from typing import TYPE_CHECKING

from jupyter_turbopilot.errors import CancelledError, DownloadError
from jupyter_turbopilot.models.store import Step

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jupyter_turbopilot.models.catalog import Model
    from jupyter_turbopilot.models.store import Store


def bring(
    store: Store,
    model: Model,
    progress: Callable[[Step], None] = lambda _: None,
    cancel: threading.Event | None = None,
    *,
    mirrors: bool = False,
) -> Path:
    """Return the model's path once its file is there."""
    if not model.runs:
        raise DownloadError(f"{model.name} is not run by llama.cpp: {model.use}.")
    if not model.checkpoint or store.has(model):
        return store.pull(model, progress, cancel, mirrors=mirrors)
    from jupyter_turbopilot.models.convert import Repositories, convert

    cancel = cancel or threading.Event()
    repositories = Repositories(store.folder, progress, cancel)

    def step(name: str, done: int, total: int) -> None:
        if cancel.is_set():
            raise CancelledError("The conversion was stopped; what was fetched stays.")
        progress(Step("fetching", done, total, f"converting {name}"))

    try:
        folder = repositories.checkpoint(model.checkpoint)
        path = convert(
            folder,
            store.path(model),
            outtype=model.kind.lower(),
            find_tokenizer=lambda family, rows: repositories.tokenizer_for(folder, family, rows),
            shards=model.shards,
            progress=step,
        )
    except OSError as error:
        raise DownloadError(f"{model.name} could not be written: {error.strerror}. Make room.") from None
    shutil.rmtree(repositories.where(model.checkpoint), ignore_errors=True)  # it is several times as large
    return path
