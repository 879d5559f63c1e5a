"""The available models: the catalogue, recommendations for this machine, and downloads."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.load import machine
from jupyter_turbopilot.models.catalog import catalog
from jupyter_turbopilot.models.download import DownloadProgress
from jupyter_turbopilot.models.folder import models_dir
from jupyter_turbopilot.models.recommend import Advice, advise, guessed_rate, rate_of
from jupyter_turbopilot.models.store import Store
from jupyter_turbopilot.protocol.errors import (
    BadRequestError,
    BusyError,
    CancelledError,
    DownloadError,
    TurbopilotError,
)
from jupyter_turbopilot.util.threads import start_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.engine.kind import EngineKind
    from jupyter_turbopilot.models.model import Model
    from jupyter_turbopilot.settings.config import Turbopilot

MAX_DOWNLOADS = 16  # running or finished downloads that are tracked


def store_of(settings: Turbopilot) -> Store:
    return Store(models_dir(settings.models_dir), mirrors=settings.mirrors)


class Download:
    """A background download: its progress is in `step`, its result in `error`."""

    def __init__(self) -> None:
        self.cancel = threading.Event()
        self.step = DownloadProgress("waiting")
        # Every end before the model is complete is a failure, also an unexpected one.
        self.error: TurbopilotError | None = DownloadError(
            "The download ended before the model was complete. Try again."
        )
        self.finished = threading.Event()

    @property
    def failure(self) -> str | None:
        """The reason why the download failed; None while it runs, or if the user cancelled it."""
        if not self.finished.is_set() or self.error is None or isinstance(self.error, CancelledError):
            return None
        return self.error.message


class Library:
    """The catalogue, the store, and the downloads into it."""

    def __init__(self, store: Store, kind: EngineKind) -> None:
        self.store = store
        self._kind = kind
        self._downloads: dict[str, Download] = {}
        self._rate = 0.0  # bytes of weights that this machine has read per second, at most
        self._lock = threading.Lock()

    def advice(self, loaded: str = "", tokens_per_second: float = 0.0) -> dict[str, Advice]:
        """Judge each model of the catalogue for this machine, by the highest speed measured so far.

        `loaded`: the loaded model; `tokens_per_second`: its speed, 0 until it has run. Other programs only
        lower it.
        """
        model = catalog().get(loaded)
        if model and tokens_per_second:
            self._rate = max(self._rate, rate_of(model.served_bytes, tokens_per_second))
        return _judge_all(model, self._rate or guessed_rate(machine.cores()))

    def advise_on(self, loaded: str, tokens_per_second: float) -> str:
        """Return a sentence that recommends a model for this machine, given the speed of the loaded one."""
        model = catalog().get(loaded)
        if not (model and tokens_per_second):
            return "`jupyter turbopilot models list` shows which model fits it."
        advice = _judge_all(model, rate_of(model.served_bytes, tokens_per_second))
        best = next((one.model for one in advice.values() if one.verdict == "recommended"), model)
        if best is model:
            return f"{loaded} is the measured model that fits it best."
        return f"{best.name} fits it better than {loaded}. Run: {best.pull()}"

    def download(
        self, spec: str, *, mirrors: bool = False, then: Callable[[], object] = lambda: None
    ) -> Download:
        """Download a model in the background, then call `then`; a repeated call joins a running download."""
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
                if self._kind.waits_for_copy:
                    self._kind.merge_adapters(model, download.cancel.is_set)
                then()
                download.error = None
            except TurbopilotError as error:
                download.error = error
            finally:
                download.finished.set()

        if not start_thread("turbopilot-background", work):
            download.finished.set()
        return download

    def _make_room(self, name: str) -> None:
        """Drop the oldest finished download; running ones are kept."""
        self._downloads.pop(name, None)
        if len(self._downloads) < MAX_DOWNLOADS:
            return
        ended = next((each for each, one in self._downloads.items() if one.finished.is_set()), None)
        if ended is None:
            raise BusyError(f"{MAX_DOWNLOADS} downloads are running. Wait until one finishes, or cancel one.")
        del self._downloads[ended]

    def download_of(self, model: Model) -> Download | None:
        return self._downloads.get(model.name)

    def _running(self, model: Model) -> Download | None:
        download = self.download_of(model)
        return None if download is None or download.finished.is_set() else download

    def cancel(self, spec: str) -> bool:
        """Cancel a download; the next one resumes it."""
        running = self._running(self._kind.find(spec))
        if running:
            running.cancel.set()
        return running is not None

    def remove(self, model: Model) -> int:
        """Delete a model's downloaded files and return the bytes freed; refuse during a download."""
        if self._running(model):
            raise BadRequestError(
                f"{model.name} is being downloaded. Cancel the download first.", field="model"
            )
        return self._kind.remove(model)

    def close(self) -> None:
        for download in list(self._downloads.values()):
            download.cancel.set()


def _judge_all(loaded: Model | None, rate: float) -> dict[str, Advice]:
    """Judge each model of the catalogue; another model would replace the loaded one in memory."""
    free = machine.free_memory() + (loaded.bytes if loaded else 0)
    return {each.model.name: each for each in advise(catalog().values(), free, rate)}
