"""GGUF files in llama.cpp: the file with its adapters, a plan, a load test, the load."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import structs

from jupyter_turbopilot.engine.base import Engine
from jupyter_turbopilot.engine.load.plan import Hardware, LoadPlan, load, make_plan
from jupyter_turbopilot.errors import EngineError, ModelRefusedError, TurbopilotError
from jupyter_turbopilot.files import describe_size, is_readable, is_writable
from jupyter_turbopilot.models.catalog import catalog, find
from jupyter_turbopilot.models.gguf import read_header
from jupyter_turbopilot.models.model import Model
from jupyter_turbopilot.models.obtain import obtain
from jupyter_turbopilot.models.personal import SEQUENCES, VERDICTS, personal_dir
from jupyter_turbopilot.models.store import unavailable
from jupyter_turbopilot.models.tuning import adapters
from jupyter_turbopilot.models.tuning.adapters import adapters_of
from jupyter_turbopilot.models.tuning.fold import folded, kept_by, place_of
from jupyter_turbopilot.pilot.kinds.base import EngineKind, Finding, limits_of, missing

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.config import Turbopilot
    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.models.download import DownloadProgress
    from jupyter_turbopilot.models.store import Store, Stored
    from jupyter_turbopilot.models.tuning.adapters import AdapterSpec


log = logging.getLogger(__name__)
EngineFactory = Callable[[Path, Model, LoadPlan, Path | None], Engine]


def llama_engine(path: Path, model: Model, plan: LoadPlan, snapshot: Path | None = None) -> Engine:
    """Load a model with llama.cpp, and what it had read before the last stop."""
    return load(path, plan, name=model.name, fim=model.fim, snapshot=snapshot)


class LlamaKind(EngineKind):
    """Loads GGUF files that are in the store, as the settings say."""

    def __init__(
        self, settings: Turbopilot, store: Store, engine_factory: EngineFactory = llama_engine
    ) -> None:
        super().__init__(settings, store)
        self.engine_factory = engine_factory
        self._adapter_warning = ""  # the last one, which is logged once

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
        """Download a model, or convert its checkpoint; return where it is."""
        return obtain(self.store, model, progress, cancel, mirrors=mirrors)

    def merge_adapters(self, model: Model) -> None:
        """Write the copy of a model with its adapters, for all who use the folder of models."""
        self.weights(model)

    def plan(self, model: Model, *, tuned: bool) -> tuple[Path, LoadPlan]:
        """Return the file to load and how, or refuse what cannot be loaded here."""
        path, hardware = self.weights(model, tuned=tuned)
        # Our own check first: llama.cpp ends the process on some damaged files.
        return path, make_plan(read_header(path), model.name, limits_of(self.settings), hardware)

    def load(self, model: Model, cancel: Cancel, *, tuned: bool) -> Engine:
        """Load a model. Where the file is refused, check its digest."""
        try:
            return self._load(model, cancel, tuned=tuned)
        except (ModelRefusedError, EngineError) as error:
            if error.code not in {"model_refused", "engine"} or model.path:
                raise
            if self.store.has(model):
                with suppress(OSError, TurbopilotError):  # the file may be deleted meanwhile
                    self.store.verify(model)
            if self.store.has(model):
                raise
            raise unavailable(model, self.store.stored(model)) from None

    def _load(self, model: Model, cancel: Cancel, *, tuned: bool) -> Engine:
        """Load a model: in a child process, or here once it has passed a load test."""
        from jupyter_turbopilot.engine.isolated.messages import HostedLlama

        path, plan = self.plan(model, tuned=tuned)
        own = personal_dir()
        snapshot = own / SEQUENCES if self.settings.keep_sequences else None
        hosted = HostedLlama(str(path), plan, model.name, model.fim)
        timeout = self.settings.load_timeout
        if self.settings.isolate:
            from jupyter_turbopilot.engine.isolated.engine import load_isolated
            from jupyter_turbopilot.engine.llama.vocabulary import load_vocabulary

            vocabulary = partial(self._vocabulary.of, path, load_vocabulary)
            hosted = structs.replace(hosted, snapshot=str(snapshot or ""))
            return load_isolated(hosted, vocabulary, cancel, timeout=timeout)
        if self.settings.trial and self.engine_factory is llama_engine:
            from jupyter_turbopilot.engine.isolated.load_test import ensure_loads

            ensure_loads(hosted, own / VERDICTS, timeout=timeout, cancel=cancel)
        return self.engine_factory(path, model, plan, snapshot)

    def weights(self, model: Model, *, tuned: bool = True) -> tuple[Path, Hardware]:
        """Return the file to load, and how: adapters are in a copy of the model, or else beside it."""
        path, hardware = self.store.path(model), self.hardware(model, tuned=tuned)
        added = self.added(model) if tuned else []
        if not added:
            return path, hardware
        try:
            copy = folded(self.store.folder, path, added)
        except TurbopilotError as error:
            read_header(path)  # a damaged model is reported as such, not as a fault of its adapters
            if error.message != self._adapter_warning:
                log.warning("%s The adapters are used beside the model, which is slower.", error)
            self._adapter_warning = error.message
            return path, hardware
        return copy, replace(hardware, adapters=tuple(a for a in hardware.adapters if a.language))

    def added(self, model: Model) -> list[AdapterSpec]:
        """Return the adapters that are added to a copy of a model: those that are for any language."""
        if not self.settings.fold_adapters:
            return []
        return [adapter for adapter in adapters_of(self.settings, model) if not adapter.language]

    def hardware(self, model: Model, *, tuned: bool = True) -> Hardware:
        """Return what the settings hand through to llama.cpp."""
        settings = self.settings
        return Hardware(
            gpu_layers=settings.gpu_layers,
            main_gpu=settings.main_gpu,
            tensor_split=tuple(settings.tensor_split),
            cache_type=settings.cache_type,
            memory_map=settings.memory_map,
            adapters=adapters_of(settings, model) if tuned else (),
        )

    def examine(self) -> Iterator[Finding]:
        """Examine the bindings, the graphics card, the adapters, the model's file and its copy."""
        from jupyter_turbopilot.engine.llama import bindings as llama

        settings = self.settings
        try:
            yield Finding("engine", f"llama-cpp-python {llama.version()}: {llama.instruction_sets()}")
            yield graphics(settings, able=llama.supports_gpu())
            yield from adapter_files(settings)
        except TurbopilotError as error:
            yield Finding("engine", f"{error.message} {error.hint}".strip(), problem=True)
        try:
            model = find(settings.model)
        except TurbopilotError as error:
            yield Finding("model", error.message, problem=True)
            return
        if self.store.has(model) and not model.path:
            with suppress(OSError, TurbopilotError):  # a file that cannot be read is reported below
                self.store.verify(model)
        stored = self.store.stored(model)
        if stored is None or stored.damaged:
            yield from missing(model, stored)
        else:
            yield model_file(model, stored)
            yield from copy_with_adapters(self.store.folder, stored.path, self.added(model))


def model_file(model: Model, stored: Stored) -> Finding:
    """Say whether a model's file can be read, and whether its digest was checked."""
    if not is_readable(stored.path):
        return Finding("model", f"you may not read {stored.path}: ask its owner for access", problem=True)
    checked = (
        "checked by digest"
        if stored.verified
        else f"unverified: run `jupyter turbopilot models verify {model.spec}`"
        if model.sha256
        else "unverified: its publisher gives no digest"
    )
    return Finding("model", f"{model.name}, {describe_size(stored.size)}, {checked}, {stored.path}")


def copy_with_adapters(folder: Path, path: Path, added: Sequence[AdapterSpec]) -> Iterator[Finding]:
    """Say where the copy of a model with its adapters is, or who has to make it; else the next load does."""
    if not added:
        return
    with suppress(TurbopilotError, OSError):  # of the adapter or the file, which the other lines are about
        copy = place_of(folder, path, added)
        if copy.is_file():
            closed = "" if is_readable(copy) else ". You may not read it: ask its owner for access"
            yield Finding("copy", f"has the adapters in it, {copy}{closed}", problem=bool(closed))
        elif not is_writable(copy.parent):
            slower = "The adapters are used beside the model, which is slower."
            yield Finding("copy", f"there is none. {slower} {kept_by(folder)}", problem=True)


def adapter_files(settings: Turbopilot) -> Iterator[Finding]:
    """Say of each adapter whether it is one, and for what."""
    try:
        specs = adapters.adapters_of(settings, find(settings.model))
    except TurbopilotError as error:
        yield Finding("adapter", error.message, problem=True)
        return
    for name, scale, language in specs:
        try:
            path = Path(name)
            header = adapters.check(path)
            size = describe_size(header.file_size)
            where = f" in {language} alone" if language else ""
            counts = f"for {header.architecture}, strength {scale:g}{where}"
            yield Finding("adapter", f"{path.name}, {size}, {counts}")
        except TurbopilotError as error:
            yield Finding("adapter", error.message, problem=True)


def graphics(settings: Turbopilot, *, able: bool) -> Finding:
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
