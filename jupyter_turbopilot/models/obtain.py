"""Obtain a model: download its file, or download and convert its checkpoint."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from jupyter_turbopilot.models.download import DownloadProgress, download_errors, is_intact, pull
from jupyter_turbopilot.protocol.errors import DownloadError
from jupyter_turbopilot.util import registry

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
            source = registry.find("model_sources", "checkpoint")
            fetch: Callable[..., Path] | None = source.load() if source else None
            if fetch is None:
                raise DownloadError(f"{model.name} cannot be converted: the plugin for it is not installed.")
            path = fetch(store, model, progress, cancel or threading.Event())
        else:
            path = pull(store, model, progress, cancel, mirrors=mirrors)
    if not path.is_file():
        raise DownloadError(f"{model.name} was downloaded, but its file is gone. Try again.")
    return path
