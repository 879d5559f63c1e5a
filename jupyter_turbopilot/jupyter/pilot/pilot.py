"""The composition root: creates store, loader, worker and completer from the settings."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.completer.cache.completion_cache import CACHE_BYTES, CompletionCache
from jupyter_turbopilot.completer.completer import Completer
from jupyter_turbopilot.completer.listeners import Listeners
from jupyter_turbopilot.completer.statistics import Statistics
from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.cpu_usage import Effort
from jupyter_turbopilot.engine.job import STOPPED, SUPERSEDED
from jupyter_turbopilot.engine.kind import kind_of, limits_of
from jupyter_turbopilot.engine.worker import Worker
from jupyter_turbopilot.jupyter.pilot.library import Download, Library, store_of
from jupyter_turbopilot.jupyter.pilot.retry import Recovery
from jupyter_turbopilot.jupyter.pilot.threads import BackgroundThreads, DiskThreads
from jupyter_turbopilot.models.folder import is_unreadable
from jupyter_turbopilot.models.gguf import stamp
from jupyter_turbopilot.models.store import unavailable
from jupyter_turbopilot.models.tuning.adapters import adapters_of
from jupyter_turbopilot.models.user_cache import STATISTICS, personal_dir
from jupyter_turbopilot.protocol.errors import (
    BadRequestError,
    CancelledError,
    DisabledError,
    EngineGoneError,
    TurbopilotError,
)
from jupyter_turbopilot.protocol.phase import Phase
from jupyter_turbopilot.settings.access import access_of
from jupyter_turbopilot.util.failures import on_failure
from jupyter_turbopilot.util.threads import start_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.completer.cache.cache_writer import CacheWriter
    from jupyter_turbopilot.engine.base import Engine
    from jupyter_turbopilot.engine.kind import EngineKind
    from jupyter_turbopilot.index.local_files import LocalFiles
    from jupyter_turbopilot.index.reader import MaintainedIndex
    from jupyter_turbopilot.jupyter.kernels.watch import Kernels
    from jupyter_turbopilot.models.model import Model
    from jupyter_turbopilot.settings.access import Access
    from jupyter_turbopilot.settings.config import Turbopilot

COPY_STOP_SECONDS = 1.0


@dataclass(frozen=True, eq=False)
class Selection:
    """A selected model, and whether its adapters are used."""

    spec: str
    adapters_enabled: bool = True


@dataclass(eq=False)
class _Copying:
    """A copy that is being made on a thread."""

    model: Model
    cancel: Cancel
    thread: threading.Thread | None = None

    @property
    def is_running(self) -> bool:
        return self.thread is not None and self.thread.is_alive()


class Pilot:
    """One model, one worker and one completer, as used by the server, the terminal and the commands.

    It selects the model, and decides when to retry one that could not be loaded. `kind` is the kind of
    engine, by default the configured one; `kernels`, `kernel_busy` and `root` belong to a Jupyter server.
    `access` replaces the decision of the settings on where completion is allowed. `has_owner`: whether it
    belongs to one user, whose suggestions are counted.
    """

    def __init__(
        self,
        settings: Turbopilot,
        *,
        kind: EngineKind | None = None,
        kernels: Kernels | None = None,
        kernel_busy: Callable[[], bool] = lambda: False,
        root: str = "",
        access: Access | None = None,
        has_owner: bool = True,
    ) -> None:
        self.settings = settings
        self.access = access or access_of(settings, os.environ, root)
        self.store = store_of(settings)
        self.kind = kind or kind_of(settings, self.store)
        self.library = Library(self.store, self.kind)
        self.effort = Effort(yield_cpu=settings.yield_cpu, kernel_busy=kernel_busy)
        self.worker = Worker(
            threads=self.effort.threads,
            idle=settings.idle_minutes * 60,
            deadline=settings.deadline,
        )
        self._cache_writer: CacheWriter | None = None  # the persistent completion cache
        if settings.cache_file:
            from jupyter_turbopilot.completer.cache.cache_writer import CacheWriter

            self._cache_writer = CacheWriter(settings.cache_file)
        results = CompletionCache(CACHE_BYTES, keep=self._cache_writer.keep if self._cache_writer else None)
        self.statistics = Statistics(personal_dir() / STATISTICS) if has_owner else None
        self.completer = Completer(
            self.worker,
            settings,
            results,
            self.effort.resting,
            root,
            Listeners(*filter(None, [self.statistics])),
        )
        self.background = BackgroundThreads()
        self.parsing = BackgroundThreads(2)  # for parsing and tokenizing, which can take seconds
        self.disk = DiskThreads()  # for reading users' files
        self.kernels = kernels
        self.notebook_index: MaintainedIndex | None = None  # the index of the user's code
        self._lock = threading.Lock()
        self._wanted = Selection(settings.model)
        self._last_loaded = self._wanted  # the last model that was loaded, initially the configured one
        self._recovery = Recovery()
        self._copying: _Copying | None = None
        if self.access.reason:
            self.worker.set_error(settings.model, DisabledError(self.access.reason))

    @property
    def selected(self) -> str:
        return self._wanted.spec

    @property
    def adapters_enabled(self) -> bool:
        return self._wanted.adapters_enabled

    @property
    def copying(self) -> str:
        """The name of the model whose copy is being made in the background; "" if none is."""
        copying = self._copying
        return copying.model.name if copying and copying.is_running else ""

    @property
    def cache_error(self) -> str:
        """The reason not to save completions to the configured file; empty if they are saved."""
        return self._cache_writer.error if self._cache_writer else ""

    def start(self) -> None:
        """Load the selected model in the background if it is on disk; otherwise record what is missing."""
        try:
            self._select(self._wanted)
        except TurbopilotError as error:
            self._recovery.failed(self._stamp())
            self.worker.set_error(self.selected, error)

    def remember(self, source: LocalFiles, folder: str = "") -> MaintainedIndex | None:
        """Start indexing the user's own code, unless the settings disable it.

        `folder`: the source's root, relative to the server's.
        """
        if not self.settings.notebook_index or self.access.reason or self.notebook_index:
            return self.notebook_index
        from jupyter_turbopilot.index.reader import MaintainedIndex

        self.notebook_index = MaintainedIndex(
            source,
            pause=self.effort.pause,
            asked=lambda: self.completer.counters["requests"],
            allows=lambda path: self.access.allows(f"{folder}/{path}"),
            denied=self.access.identity(folder),
        )
        self.notebook_index.builder.start()
        return self.notebook_index

    def ensure(self) -> None:
        """Start loading if necessary, or retry a failed load: called for each request. Reads the disk."""
        if self.worker.state.phase is Phase.EMPTY:
            self.start()
        else:
            self.retry()

    def retry(self) -> None:
        """Retry a failed load if it may succeed now: called for each status query. Reads the disk."""
        state = self.worker.state
        if self.access.reason:
            return  # a retry would be refused, too
        if state.phase is Phase.FAILED and self._recovery.due(state.code, self._stamp):
            self.start()

    def select(self, spec: str, *, adapters_enabled: bool | None = None) -> Model:
        """Load a model from disk in the background. `adapters_enabled`: None keeps the current choice."""
        self._recovery.forget()
        return self._select(
            Selection(spec, self.adapters_enabled if adapters_enabled is None else adapters_enabled)
        )

    def download(self, spec: str, *, mirrors: bool = False, select: bool = True) -> Download:
        """Download a model in the background, then load it."""
        self.access.require_enabled()
        then = partial(self.select, spec) if select else lambda: None
        return self.library.download(spec, mirrors=mirrors, then=then)

    def remove(self, spec: str) -> int:
        """Delete a model's downloaded files and return the bytes freed; refuse while it is in use."""
        model = self.kind.find(spec)
        if self.worker.state.phase not in {Phase.FAILED, Phase.EMPTY} and self._uses(model):
            raise BadRequestError(f"{model.name} is in use. Select another model first.", field="model")
        freed = self.library.remove(model)
        if self.worker.state.phase is Phase.FAILED and model == self.kind.find(self.selected):
            self.start()  # updates the reason: the model is missing now
        return freed

    def stop(self) -> None:
        """Stop downloads and the worker, then close the files."""
        self.library.close()
        self.background.close()
        with self._lock:  # afterwards no other copy is begun
            copying = self._stop_copying(STOPPED)
        self.parsing.close()
        self.disk.close()
        self.settle()
        self.worker.stop()
        if copying and copying.thread:
            copying.thread.join(COPY_STOP_SECONDS)  # it deletes an unfinished file
        if self._cache_writer:
            self._cache_writer.close()
        if self.kernels:
            self.kernels.close()

    def settle(self) -> None:
        """Close the listeners, which write what they have recorded, and the index."""
        self.completer.listeners.close()
        if self.notebook_index:
            self.notebook_index.close()

    def _stamp(self) -> str:
        """Return what changes with the files of the selected model; empty if there are none."""
        with suppress(TurbopilotError, OSError):
            model = self.kind.find(self.selected)
            stored = self.kind.stored(model)
            if stored and stored.size and not stored.damaged:
                adapters = adapters_of(self.settings, model) if self.adapters_enabled else ()
                paths = [stored.path, *(Path(adapter.path) for adapter in adapters)]
                return "|".join(stamp(path) for path in paths if path.exists())
        return ""

    def _uses(self, model: Model) -> bool:
        """Return whether a model shares its files with a loaded or selected one, regardless of names."""
        chosen = (self.kind.find(choice.spec) for choice in (self._wanted, self._last_loaded))
        wanted, *used = (self.kind.stored(each) for each in (model, *chosen))
        if wanted is None or not wanted.size:  # no file of it is on this machine
            return False
        return wanted.path.resolve() in {stored.path.resolve() for stored in used if stored}

    def _select(self, choice: Selection) -> Model:
        self.access.require_enabled()
        model = self.kind.find(choice.spec)
        stored = self.kind.stored(model)
        if stored is None or stored.damaged:
            error = unavailable(model, stored, self.settings.engine)
            note = ", which this account may not read" if is_unreadable(self.store.folder) else ""
            error.hint = (
                f"The models folder is {self.store.folder}{note}. To use another one, set "
                "TURBOPILOT_MODELS or c.Turbopilot.models_dir."
            )
            raise error
        if self._cache_writer:
            self._cache_writer.start(self.completer.results.restore)
        with self._lock:  # the selection and the load must have the same order
            self._wanted = choice
            self._stop_copying(SUPERSEDED)
            self.worker.load(model.name, partial(self._load_selection, choice, model))
        return model

    def _load_selection(self, choice: Selection, model: Model, cancel: Cancel) -> Engine:
        """Load a selected model on the worker's thread, and record the result."""
        begun = time.monotonic()
        failed = partial(self._load_failed, choice, cancel, begun)
        self.effort.full = limits_of(self.settings).threads
        with on_failure(failed, unless=(EngineGoneError,)):  # then the worker retries
            engine = self.kind.load(model, cancel, adapters_enabled=choice.adapters_enabled)
        self.completer.use_cache_of(engine)
        self._recovery.loaded(self._stamp())
        self._last_loaded = choice
        self._make_copy(choice, model)
        return engine

    def _make_copy(self, choice: Selection, model: Model) -> None:
        """Start making the copy of a loaded model, unless there is one; then replace the engine."""
        if self.kind.waits_for_copy or not self.kind.lacks_copy(
            model, adapters_enabled=choice.adapters_enabled
        ):
            return
        with self._lock:
            running = self._copying is not None and self._copying.is_running
            if self._wanted is choice and not running and not self.background.is_closed:
                self._copying = copying = _Copying(model, Cancel())
                copying.thread = start_thread("turbopilot-copy", partial(self._copy, choice, copying))

    def _copy(self, choice: Selection, copying: _Copying) -> None:
        try:
            if load := self.kind.prepare_copy(copying.model, copying.cancel):
                with self._lock:  # otherwise the copy could replace a model that is selected meanwhile
                    if self._wanted is choice and not copying.cancel.is_set():
                        self.worker.replace_when_idle(
                            lambda: None if self.effort.resting() else load(), self.completer.use_successor
                        )
        except CancelledError:
            pass

    def _stop_copying(self, reason: str) -> _Copying | None:
        copying, self._copying = self._copying, None
        if copying:
            copying.cancel.set(reason)
        return copying

    def _load_failed(self, choice: Selection, cancel: Cancel, begun: float) -> None:
        with self._lock:
            if self._wanted is choice:  # no other model was selected meanwhile
                self._wanted = self._last_loaded  # which stays in use
        if not cancel.is_set():
            self._recovery.failed(self._stamp(), time.monotonic() - begun)
