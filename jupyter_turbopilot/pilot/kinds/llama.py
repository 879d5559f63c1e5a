"""GGUF files in llama.cpp: the file with its adapters, a plan, a trial, the load."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.base import Engine
from jupyter_turbopilot.engine.load import loader, machine
from jupyter_turbopilot.engine.load.plan import Hardware, Plan, make_plan
from jupyter_turbopilot.engine.load.retry import LoadConditions
from jupyter_turbopilot.errors import TurbopilotError
from jupyter_turbopilot.models.catalog import catalog, find
from jupyter_turbopilot.models.folder import SEQUENCES, VERDICTS
from jupyter_turbopilot.models.gguf import read_header, stamp
from jupyter_turbopilot.models.model import Model
from jupyter_turbopilot.models.obtain import obtain
from jupyter_turbopilot.models.tuning import adapters
from jupyter_turbopilot.models.tuning.fold import folded
from jupyter_turbopilot.pilot.kinds.base import Finding, limits_of, missing
from jupyter_turbopilot.pilot.kinds.vocabularies import LatestVocabulary

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from jupyter_turbopilot.config import Turbopilot
    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.models.download import DownloadProgress
    from jupyter_turbopilot.models.store import Store, Stored
    from jupyter_turbopilot.models.tuning.adapters import AdapterSpec

log = logging.getLogger(__name__)
EngineFactory = Callable[[Path, Model, Plan, Path | None], Engine]


def llama_engine(path: Path, model: Model, plan: Plan, snapshot: Path | None = None) -> Engine:
    """Load a model with llama.cpp, and what it had read before the last stop."""
    return loader.load(path, plan, name=model.name, fim=model.fim, snapshot=snapshot)


class LlamaKind:
    """Loads GGUF files that are in the store, as the settings say."""

    address = ""

    def __init__(
        self, settings: Turbopilot, store: Store, engine_factory: EngineFactory = llama_engine
    ) -> None:
        self.settings = settings
        self.store = store
        self.engine_factory = engine_factory
        self._vocabulary = LatestVocabulary()

    def find(self, spec: str) -> Model:
        """Return the model that a person means."""
        return find(spec)

    def models(self, selected: str) -> list[Model]:
        """List the catalogue, files in the folder that it lacks, and the selected one, wherever it is."""
        others = [Model(name=path.name, file=path.name, path=path) for path in self.store.others()]
        known = [*catalog().values()]
        if selected in catalog():
            return [*known, *others]
        try:
            chosen = find(selected)
        except TurbopilotError:
            return [*known, *others]
        return [*known, *(other for other in others if other.path != self.store.path(chosen)), chosen]

    def stored(self, model: Model) -> Stored | None:
        """Return what is on the disk of a model; None where it has to be fetched first."""
        return self.store.stored(model)

    def remove(self, model: Model) -> int:
        """Delete a model's files, and return the bytes freed."""
        return self.store.remove(model)

    def verify(self, model: Model) -> bool:
        """Read the whole file and compare it with the digest that is known for it."""
        return self.store.verify(model)

    def obtain(
        self,
        model: Model,
        progress: Callable[[DownloadProgress], None] = lambda _: None,
        cancel: threading.Event | None = None,
        *,
        mirrors: bool = False,
    ) -> Path:
        """Fetch a model; return where it is."""
        return obtain(self.store, model, progress, cancel, mirrors=mirrors)

    def conditions(self, spec: str, *, tuned: bool) -> LoadConditions:
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
        # Our own check first: llama.cpp ends the process on some damaged files.
        return path, make_plan(read_header(path), model.name, limits_of(self.settings), hardware)

    def load(self, model: Model, cancel: Cancel, *, tuned: bool) -> Engine:
        """Load a model, after a trial in a child process where it has not passed one yet."""
        path, plan = self.plan(model, tuned=tuned)
        snapshot = self.store.folder / SEQUENCES if self.settings.keep_sequences else None
        if self.settings.isolate:
            return self._load_isolated(model, path, plan, snapshot, cancel)
        if self.settings.trial and self.engine_factory is llama_engine:
            from jupyter_turbopilot.engine.load.trial import ensure_loads

            verdicts = self.store.folder / VERDICTS
            ensure_loads(path, plan, verdicts, timeout=self.settings.load_timeout, cancel=cancel)
        return self.engine_factory(path, model, plan, snapshot)

    def _load_isolated(
        self, model: Model, path: Path, plan: Plan, snapshot: Path | None, cancel: Cancel
    ) -> Engine:
        """Load a model in a child process, which stands in for the trial."""
        from jupyter_turbopilot.engine.isolated.engine import load_isolated
        from jupyter_turbopilot.engine.isolated.hosted import HostedLlama
        from jupyter_turbopilot.engine.llama.vocabulary import load_vocabulary

        hosted = HostedLlama(str(path), plan, model.name, model.fim, str(snapshot or ""))
        vocabulary = partial(self._vocabulary.of, path, load_vocabulary)
        return load_isolated(hosted, vocabulary, cancel, timeout=self.settings.load_timeout)

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

    def examine(self) -> Iterator[Finding]:
        """Examine the bindings, the graphics card, the adapters and the model's file."""
        from jupyter_turbopilot.engine.llama import bindings as llama

        settings = self.settings
        try:
            yield Finding("engine", f"llama-cpp-python {llama.version()}: {llama.instruction_sets()}")
            yield _graphics(settings, able=llama.supports_gpu())
            yield from _adapters(settings)
        except TurbopilotError as error:
            yield Finding("engine", f"{error.message} {error.hint}".strip(), problem=True)
        yield from self._file()

    def _file(self) -> Iterator[Finding]:
        """Say whether the model's file is there, and whether its digest was checked."""
        try:
            model = find(self.settings.model)
        except TurbopilotError as error:
            yield Finding("model", error.message, problem=True)
            return
        stored = self.store.stored(model)
        if stored is None:
            yield from missing(model)
            return
        checked = (
            "checked by digest"
            if stored.verified
            else "unverified: run `jupyter turbopilot models verify`"
            if model.sha256
            else "unverified: its publisher gives no digest"
        )
        yield Finding("model", f"{model.name}, {stored.size / 1e6:.0f} MB, {checked}, {stored.path}")


def _adapters(settings: Turbopilot) -> Iterator[Finding]:
    """Say of each adapter whether it is one, and for what."""
    try:
        specs = adapters.chosen(settings.adapters, find(settings.model).name, configured=True)
    except TurbopilotError as error:
        yield Finding("adapter", error.message, problem=True)
        return
    for name, scale, language in specs:
        try:
            path = Path(name)
            header = adapters.check(path)
            size = f"{header.file_size / 1e6:.0f} MB"
            where = f" in {language} alone" if language else ""
            counts = f"for a {header.architecture}, counts {scale:g}{where}"
            yield Finding("adapter", f"{path.name}, {size}, {counts}")
        except TurbopilotError as error:
            yield Finding("adapter", error.message, problem=True)


def _graphics(settings: Turbopilot, *, able: bool) -> Finding:
    """Say whether layers can be computed by a graphics card, and whether they are to be."""
    layers = settings.gpu_layers
    if layers and not able:
        return Finding(
            "graphics",
            "gpu_layers is set, but this engine was built without GPU support. Build it for the GPU "
            "(docs/models.md), or set c.Turbopilot.gpu_layers = 0.",
            problem=True,
        )
    if layers:
        count = "all" if layers < 0 else layers
        return Finding("graphics", f"{count} layers on card {settings.main_gpu}")
    return Finding("graphics", "none used" + (": c.Turbopilot.gpu_layers = -1 would" if able else ""))
