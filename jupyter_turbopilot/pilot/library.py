"""The models a person can choose from: what there is, what suits this machine, downloads under way."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.load import machine
from jupyter_turbopilot.errors import (
    BadRequestError,
    BusyError,
    CancelledError,
    DownloadError,
    TurbopilotError,
)
from jupyter_turbopilot.models.catalog import catalog
from jupyter_turbopilot.models.download import DownloadProgress
from jupyter_turbopilot.models.folder import models_dir
from jupyter_turbopilot.models.personal import measured_rate, personal_dir
from jupyter_turbopilot.models.recommend import Advice, advise, guessed_rate
from jupyter_turbopilot.models.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.config import Turbopilot
    from jupyter_turbopilot.models.model import Model
    from jupyter_turbopilot.pilot.kinds.base import EngineKind

log = logging.getLogger(__name__)
MAX_DOWNLOADS = 16  # that are known, under way or ended


def store_of(settings: Turbopilot) -> Store:
    """Return the folder of models that the settings name."""
    return Store(models_dir(settings.models_dir), mirrors=settings.mirrors, hosts=settings.download_hosts)


class Download:
    """A download in the background; `step` is how far it is, `error` how it ended."""

    def __init__(self) -> None:
        self.cancel = threading.Event()
        self.step = DownloadProgress("waiting")
        # Until the model is here every end is a failure, whoever forgets to say so.
        self.error: TurbopilotError | None = DownloadError(
            "The download ended before the model was complete. Try again."
        )
        self.finished = threading.Event()

    @property
    def failure(self) -> str | None:
        """Say why there is no model, unless it is still on its way or the person stopped it."""
        if not self.finished.is_set() or self.error is None or isinstance(self.error, CancelledError):
            return None
        return self.error.message


class Library:
    """The catalogue, the store's folder, and what is being downloaded into it."""

    def __init__(self, store: Store, kind: EngineKind) -> None:
        self.store = store
        self._kind = kind
        self._downloads: dict[str, Download] = {}
        self._lock = threading.Lock()

    def advice(self) -> dict[str, Advice]:
        """Judge each model of the catalogue for this machine."""
        rate = measured_rate(personal_dir()) or guessed_rate(machine.cores())
        advice = advise(catalog().values(), machine.free_memory(), rate)
        return {each.model.name: each for each in advice}

    def download(
        self, spec: str, *, mirrors: bool = False, then: Callable[[], object] = lambda: None
    ) -> Download:
        """Fetch a model in the background, then do what was asked for; asking again joins the download."""
        model = self._kind.find(spec)
        with self._lock:
            if running := self._running(model):
                return running
            self._make_room(model.name)
            download = self._downloads[model.name] = Download()

        def work() -> None:
            try:
                self._kind.obtain(
                    model,
                    lambda step: setattr(download, "step", step),
                    download.cancel,
                    mirrors=mirrors,
                )
                self._kind.merge_adapters(model)
                then()
                download.error = None
            except TurbopilotError as error:
                download.error = error
            except BaseException:
                log.exception("Turbopilot: the download of %s failed", model.name)
            finally:
                download.finished.set()

        try:
            threading.Thread(target=work, name="turbopilot-pull", daemon=True).start()
        except RuntimeError:  # no more threads
            download.finished.set()
        return download

    def download_of(self, model: Model) -> Download | None:
        """Return a model's latest download, as far as it is remembered."""
        return self._downloads.get(model.name)

    def _running(self, model: Model) -> Download | None:
        download = self.download_of(model)
        return None if download is None or download.finished.is_set() else download

    def cancel(self, spec: str) -> bool:
        """Stop a download; what came stays for the next time."""
        running = self._running(self._kind.find(spec))
        if running:
            running.cancel.set()
        return running is not None

    def remove(self, model: Model) -> int:
        """Delete what was fetched of a model and return the bytes freed; one that is on its way stays."""
        if self._running(model):
            raise BadRequestError(
                f"{model.name} is being downloaded. Stop the download first.", field="model"
            )
        return self._kind.remove(model)

    def close(self) -> None:
        """Stop all downloads."""
        for download in list(self._downloads.values()):
            download.cancel.set()

    def _make_room(self, name: str) -> None:
        """Forget how the downloads ended that ended first; those under way are not forgotten."""
        self._downloads.pop(name, None)
        ended = [other for other, download in self._downloads.items() if download.finished.is_set()]
        for other in ended[: max(0, len(self._downloads) + 1 - MAX_DOWNLOADS)]:
            del self._downloads[other]
        if len(self._downloads) >= MAX_DOWNLOADS:
            raise BusyError(f"{MAX_DOWNLOADS} downloads are running. Wait for one to finish, or stop one.")
