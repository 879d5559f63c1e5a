"""From a model and the settings to an engine: the file with its adapters, a plan, a trial, the load.

All of it is about GGUF files; another kind of engine needs a loader of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.base import Engine
from jupyter_turbopilot.engine.load import loader, machine
from jupyter_turbopilot.engine.load.plan import Hardware, Plan, Wishes, make_plan
from jupyter_turbopilot.engine.load.retry import LoadConditions
from jupyter_turbopilot.errors import TurbopilotError
from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.models.folder import SEQUENCES, VERDICTS
from jupyter_turbopilot.models.gguf import read_header, stamp
from jupyter_turbopilot.models.model import Model
from jupyter_turbopilot.models.tuning import adapters
from jupyter_turbopilot.models.tuning.fold import folded

if TYPE_CHECKING:
    from jupyter_turbopilot.config import Turbopilot
    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.models.store import Store
    from jupyter_turbopilot.models.tuning.adapters import AdapterSpec

log = logging.getLogger(__name__)
EngineFactory = Callable[[Path, Model, Plan, Path | None], Engine]


def llama_engine(path: Path, model: Model, plan: Plan, snapshot: Path | None = None) -> Engine:
    """Load a model with llama.cpp, and what it had read before the last stop."""
    return loader.load(path, plan, name=model.name, fim=model.fim, snapshot=snapshot)


class ModelLoader:
    """Loads models that are in the store, as the settings say."""

    def __init__(
        self, settings: Turbopilot, store: Store, engine_factory: EngineFactory = llama_engine
    ) -> None:
        self.settings = settings
        self.store = store
        self.engine_factory = engine_factory

    def facts(self, spec: str, *, tuned: bool) -> LoadConditions:
        """Say what the next load depends on; costs a look at the disk and at the memory."""
        file = ""
        try:
            model = find(spec)
            if self.store.has(model):
                file = f"{stamp(self.store.path(model))}|{self.hardware(model, tuned=tuned).stamp}"
        except (TurbopilotError, OSError):
            file = ""
        return LoadConditions(file, machine.free_memory())

    def plan(self, model: Model, *, tuned: bool) -> tuple[Path, Plan]:
        """Return the file to load and how, or refuse what cannot be loaded here."""
        path, hardware = self.weights(model, tuned=tuned)
        wishes = Wishes(
            hardware,
            context_size=self.settings.context_size,
            threads=self.settings.threads,
            max_threads=self.settings.max_threads,
            max_bytes=self.settings.max_memory * 1024 * 1024,
            sequence_bytes=self.settings.sequences_memory * 1024 * 1024,
        )
        # Our own check first: llama.cpp ends the process on some damaged files.
        return path, make_plan(read_header(path), model.name, wishes)

    def load(self, path: Path, model: Model, plan: Plan, cancel: Cancel) -> Engine:
        """Load a file as planned, after a trial in a child process where it has not passed one yet."""
        if self.settings.trial and self.engine_factory is llama_engine:
            from jupyter_turbopilot.engine.load.trial import ensure_loads

            verdicts = self.store.folder / VERDICTS
            ensure_loads(path, plan, verdicts, timeout=self.settings.load_timeout, cancel=cancel)
        snapshot = self.store.folder / SEQUENCES if self.settings.keep_sequences else None
        return self.engine_factory(path, model, plan, snapshot)

    def weights(self, model: Model, *, tuned: bool = True) -> tuple[Path, Hardware]:
        """Return the file to load, and how: adapters are in a copy of the model, or else beside it."""
        path, hardware = self.store.path(model), self.hardware(model, tuned=tuned)
        always = [adapter for adapter in hardware.adapters if not adapter.language]
        if not always or not self.settings.fold_adapters:
            return path, hardware
        try:
            copy = folded(self.store.folder, path, always)
        except TurbopilotError as error:
            log.warning("%s The adapters are used beside the model, which is slower.", error)
            return path, hardware
        return copy, replace(hardware, adapters=tuple(a for a in hardware.adapters if a.language))

    def adapters(self, model: Model) -> tuple[AdapterSpec, ...]:
        """Return the adapters that are set for a model."""
        configured = model.name == find(self.settings.model).name
        return adapters.chosen(self.settings.adapters, model.name, configured=configured)

    def hardware(self, model: Model, *, tuned: bool = True) -> Hardware:
        """Return what the settings hand through to llama.cpp."""
        settings = self.settings
        return Hardware(
            gpu_layers=settings.gpu_layers,
            main_gpu=settings.main_gpu,
            tensor_split=tuple(settings.tensor_split),
            cache_type=settings.cache_type,
            memory_map=settings.memory_map,
            adapters=self.adapters(model) if tuned else (),
        )
