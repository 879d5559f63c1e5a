"""GGUF files with llama.cpp: merging adapters, planning, load test, loading."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.engine.base import Engine
from jupyter_turbopilot.engine.kind import EngineKind, limits_of
from jupyter_turbopilot.engine.load.plan import ALL_LAYERS, Hardware, LoadPlan, make_plan
from jupyter_turbopilot.models.catalog import catalog, find
from jupyter_turbopilot.models.download import obtain
from jupyter_turbopilot.models.findings import Finding, adapter_files, copy_with_adapters, missing, model_file
from jupyter_turbopilot.models.gguf import has_header, read_header
from jupyter_turbopilot.models.model import Model
from jupyter_turbopilot.models.recommend import OVERHEAD_BYTES
from jupyter_turbopilot.models.store import unavailable
from jupyter_turbopilot.models.tuning.adapters import adapters_of
from jupyter_turbopilot.models.tuning.merge import merged_copy, path_of
from jupyter_turbopilot.models.user_cache import SEQUENCES, VERDICTS, personal_dir
from jupyter_turbopilot.protocol.errors import CancelledError, EngineError, ModelRefusedError, TurbopilotError
from jupyter_turbopilot.util.files import describe_size, size_of

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.engine.llama.bindings import Gpu
    from jupyter_turbopilot.engine.llama.vocabulary import LlamaVocabulary
    from jupyter_turbopilot.models.download import DownloadProgress
    from jupyter_turbopilot.models.store import Store, Stored
    from jupyter_turbopilot.models.tuning.adapters import AdapterSpec
    from jupyter_turbopilot.settings.config import Turbopilot


log = logging.getLogger(__name__)
_TEMPORARY = {"memory", "load_test"}  # errors of child processes that another try may not have
EngineFactory = Callable[[Path, Model, LoadPlan, Path | None], Engine]


def llama_engine(path: Path, model: Model, plan: LoadPlan, snapshot: Path | None = None) -> Engine:
    """Load a model with llama.cpp, and restore its saved sequences."""
    from jupyter_turbopilot.engine.llama.engine import LlamaEngine

    return LlamaEngine(path, plan, name=model.name, fim=model.fim, state=snapshot)


class LlamaKind(EngineKind):
    """Loads GGUF files from the store."""

    def __init__(
        self, settings: Turbopilot, store: Store, engine_factory: EngineFactory = llama_engine
    ) -> None:
        super().__init__(settings, store)
        self.engine_factory = engine_factory
        self._adapter_warning = ""  # the last warning, to log it once
        self._gpu_failed = False
        self._failed_copies: set[Path] = set()  # copies that cannot be made or loaded
        self._plan: LoadPlan | None = None  # of the last loaded engine

    def find(self, spec: str) -> Model:
        return find(spec)

    def models(self, selected: str) -> list[Model]:
        """List the catalogue, other files in the models folder, and the selected model."""
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
        return self.store.stored(model)

    def remove(self, model: Model) -> int:
        return self.store.remove(model)

    def verify(self, model: Model) -> bool:
        return self.store.verify(model)

    def obtain(
        self,
        model: Model,
        progress: Callable[[DownloadProgress], None] = lambda _: None,
        cancel: threading.Event | None = None,
        *,
        mirrors: bool = False,
    ) -> Path:
        return obtain(self.store, model, progress, cancel, mirrors=mirrors)

    def merge_adapters(self, model: Model, cancelled: Callable[[], bool] = bool) -> None:
        self.weights(model, cancelled)

    def plan(
        self, model: Model, cancelled: Callable[[], bool] = bool, *, adapters_enabled: bool
    ) -> tuple[Path, LoadPlan]:
        """Return the file to load and the plan; raise an error if it cannot be loaded here."""
        path, hardware = self.weights(model, cancelled, adapters_enabled=adapters_enabled)
        # Read the header first: llama.cpp aborts the process on some damaged files.
        return path, make_plan(read_header(path), model.name, limits_of(self.settings), hardware)

    @staticmethod
    def load_vocabulary(path: Path) -> LlamaVocabulary:
        from jupyter_turbopilot.engine.llama.vocabulary import load_vocabulary

        return load_vocabulary(path)

    def load(self, model: Model, cancel: Cancel, *, adapters_enabled: bool) -> Engine:
        """Load a model; if the file is refused, check its digest."""
        try:
            return self._load(model, cancel, adapters_enabled=adapters_enabled)
        except (ModelRefusedError, EngineError) as error:
            if self.settings.gpu_layers is None and self._layers():
                return self._load_without_gpu(error, model, cancel, adapters_enabled=adapters_enabled)
            if error.code not in {"model_refused", "engine"} or model.path:
                raise
            if self.store.has(model):
                with suppress(OSError, TurbopilotError):  # the file may have been deleted
                    self.store.verify(model)
            if self.store.has(model):
                raise
            raise unavailable(model, self.store.stored(model)) from None

    def _load_without_gpu(
        self, error: TurbopilotError, model: Model, cancel: Cancel, *, adapters_enabled: bool
    ) -> Engine:
        """Load a model on the processor, and use no GPU from now on if that succeeds."""
        self._gpu_failed = True
        try:
            engine = self.load(model, cancel, adapters_enabled=adapters_enabled)
        except BaseException:
            self._gpu_failed = False  # the model is at fault
            raise
        log.warning("The GPU cannot be used. %s The processor is used instead.", error)
        return engine

    def _load(self, model: Model, cancel: Cancel, *, adapters_enabled: bool) -> Engine:
        """Load a model, after a load test in a child process."""
        path, plan = self.plan(model, cancel.is_set, adapters_enabled=adapters_enabled)
        try:
            self._ensure_loads(path, model, plan, cancel)
        except ModelRefusedError as error:
            is_copy = path != self.store.path(model)
            if not is_copy or error.code != "model_refused" or plan.hardware.gpu_layers:
                raise
            self._refuse(path, model)
            return self._load(model, cancel, adapters_enabled=adapters_enabled)
        engine = self._new_engine(path, model, plan)
        self._plan = plan
        return engine

    def _ensure_loads(
        self, path: Path, model: Model, plan: LoadPlan, cancel: Cancel, *, lowest_priority: bool = False
    ) -> None:
        if self.engine_factory is llama_engine:
            from jupyter_turbopilot.engine.llama.load_test import Load, ensure_loads

            load, verdicts = Load(str(path), plan, model.name), personal_dir() / VERDICTS
            ensure_loads(load, verdicts, cancel, lowest_priority=lowest_priority)

    def _new_engine(self, path: Path, model: Model, plan: LoadPlan) -> Engine:
        snapshot = personal_dir() / SEQUENCES if self.settings.keep_sequences else None
        return self.engine_factory(path, model, plan, snapshot)

    def lacks_copy(self, model: Model, *, adapters_enabled: bool) -> bool:
        with suppress(OSError, TurbopilotError):  # the load has reported them
            adapters = adapters_of(self.settings, model) if adapters_enabled else ()
            return bool(adapters) and self._may_make(self._copy_path(model, adapters))
        return False

    def _copy_path(self, model: Model, adapters: Sequence[AdapterSpec]) -> Path:
        return path_of(self.store.folder, self.store.path(model), adapters)

    def _may_make(self, copy: Path) -> bool:
        return copy not in self._failed_copies and not (copy.is_file() and has_header(copy))

    def prepare_copy(self, model: Model, cancel: Cancel) -> Callable[[], Engine | None] | None:
        from jupyter_turbopilot.engine.llama.copying import Copying, make_copy

        path, hardware, loaded = self.store.path(model), self.hardware(model), self._plan
        copy = self._copy_path(model, hardware.adapters)
        threads = limits_of(self.settings).threads
        try:
            task = Copying(str(self.store.folder), str(path), hardware.adapters, threads)
            make_copy(task, copy, cancel)
            plan = self._plan_beside(copy, model, loaded)
            if not plan:
                log.info("Turbopilot: The faster copy of %s is used after the next start", model.name)
                return None
        except CancelledError:
            raise
        except TurbopilotError as error:
            if error.code not in _TEMPORARY:
                self._failed_copies.add(copy)
            self._warn(error)
            return None
        try:
            self._ensure_loads(copy, model, plan, cancel, lowest_priority=True)
        except CancelledError:
            raise
        except TurbopilotError as error:
            if error.code in _TEMPORARY:
                log.info("Turbopilot: %s", error)
            else:
                self._refuse(copy, model)
            return None
        return partial(self._load_beside, copy, model, plan, loaded)

    def _load_beside(
        self, copy: Path, model: Model, plan: LoadPlan, loaded: LoadPlan | None
    ) -> Engine | None:
        if self._plan_beside(copy, model, loaded) != plan:
            return None
        engine = self._new_engine(copy, model, plan)
        self._plan = plan
        return engine

    def _plan_beside(self, copy: Path, model: Model, loaded: LoadPlan | None) -> LoadPlan | None:
        """Return the plan to load a copy beside the loaded engine; None if it would get smaller caches."""
        limits, hardware = limits_of(self.settings), replace(self.hardware(model), adapters=())
        if limits.max_bytes and loaded:
            limits = replace(limits, max_bytes=max(1, limits.max_bytes - loaded.needs))
        try:
            plan = make_plan(read_header(copy), model.name, limits, hardware)
        except ModelRefusedError:
            return None
        return plan if loaded and _caches(plan) == _caches(loaded) else None

    def weights(
        self, model: Model, cancelled: Callable[[], bool] = bool, *, adapters_enabled: bool = True
    ) -> tuple[Path, Hardware]:
        """Return the file to load and its options; adapters are merged into it or applied at run time."""
        from jupyter_turbopilot.engine.llama.bindings import quantise

        def quantise_rows(kind: int, importance: Any, rows: Any) -> bytes:
            if cancelled():
                raise CancelledError("Merging the adapters was cancelled.")
            return quantise(kind, importance, rows)

        path, hardware = self.store.path(model), self.hardware(model, adapters_enabled=adapters_enabled)
        if not hardware.adapters:
            return path, hardware
        try:
            target = self._copy_path(model, hardware.adapters)
            if target in self._failed_copies or (not self.waits_for_copy and self._may_make(target)):
                return path, hardware
            threads = limits_of(self.settings).threads
            if sys.platform != "linux":  # their priority stays normal
                threads = max(1, threads // 2)
            copy = merged_copy(self.store.folder, path, hardware.adapters, quantise_rows, threads, cancelled)
        except CancelledError:
            raise
        except TurbopilotError as error:
            read_header(path)  # report a damaged model as such, not as a problem with its adapters
            self._warn(error)
            return path, hardware
        return copy, replace(hardware, adapters=())

    def _refuse(self, copy: Path, model: Model) -> None:
        """Use the file instead of a copy that failed the load test."""
        self._failed_copies.add(copy)
        self._warn(ModelRefusedError(f"The copy of {model.name} with merged adapters failed the load test."))

    def _warn(self, error: TurbopilotError) -> None:
        if error.message != self._adapter_warning:
            log.warning("%s The adapters are applied at run time, which is slower.", error)
        self._adapter_warning = error.message

    def served(self, model: Model) -> Path:
        """Return the file that is loaded: the copy with merged adapters, if there is one."""
        path = self.store.path(model)
        with suppress(OSError, TurbopilotError):  # the load reports invalid settings
            added = adapters_of(self.settings, model)
            if added and (copy := path_of(self.store.folder, path, added)).is_file():
                return copy
        return path

    def hardware(self, model: Model, *, adapters_enabled: bool = True) -> Hardware:
        settings, layers = self.settings, self._layers()
        return Hardware(
            gpu_layers=layers,
            shares_memory=layers != 0 and self._shares_memory(),
            separate_caches=settings.separate_caches and not layers,
            adapters=adapters_of(settings, model) if adapters_enabled else (),
        )

    def _gpus(self) -> list[Gpu]:
        """Return the GPUs that can be used."""
        from jupyter_turbopilot.engine.llama import bindings as llama

        with suppress(TurbopilotError):  # the load reports a broken engine
            return [] if self._gpu_failed else llama.gpus()
        return []

    def _shares_memory(self) -> bool:
        return any(gpu.shares_memory for gpu in self._gpus())

    def _layers(self) -> int:
        layers = self.settings.gpu_layers
        return layers if layers is not None else ALL_LAYERS if self._shares_memory() else 0

    def gpu_offer(self, model: Model) -> str:
        gpus = self._gpus()
        if not gpus or self.settings.gpu_layers is not None or self._layers():
            return ""
        needs = describe_size((size_of(self.served(model)) or model.bytes) + OVERHEAD_BYTES)
        return (
            f"{gpus[0].name} is not used, because your programs may need its memory. {model.name} would take "
            f"about {needs} of it. Set c.Turbopilot.gpu_layers = -1 to use it."
        )

    def examine(self) -> Iterator[Finding]:
        """Check the bindings, the GPU, the adapters, the model's file and its merged copy."""
        from jupyter_turbopilot.engine.llama import bindings as llama

        settings = self.settings
        try:
            yield Finding("engine", f"llama-cpp-python {llama.version()}: {llama.instruction_sets()}")
            yield from adapter_files(settings)
        except TurbopilotError as error:
            yield Finding("engine", f"{error.message} {error.hint}".strip(), problem=True)
        try:
            model = find(settings.model)
        except TurbopilotError as error:
            yield Finding("model", error.message, problem=True)
            return
        with suppress(TurbopilotError):  # of the engine, reported above
            yield self._graphics(model, llama.gpus())
        if self.store.has(model) and not model.path:
            with suppress(OSError, TurbopilotError):  # an unreadable file is reported below
                self.store.verify(model)
        stored = self.store.stored(model)
        if stored is None or stored.damaged:
            yield from missing(model, stored)
        else:
            yield model_file(model, stored)
            yield from copy_with_adapters(self.store.folder, stored.path, adapters_of(settings, model))

    def _graphics(self, model: Model, gpus: list[Gpu]) -> Finding:
        """Report whether a GPU can be used, and whether it is."""
        settings = self.settings
        if settings.gpu_layers and not gpus:
            return Finding(
                "graphics",
                "gpu_layers is set, but this engine was built without GPU support. Build it for the GPU "
                "(see the Models page of the documentation), or set c.Turbopilot.gpu_layers = 0.",
                problem=True,
            )
        if layers := self._layers():
            chosen = "" if settings.gpu_layers else ". Set c.Turbopilot.gpu_layers = 0 to use the processor"
            return Finding("graphics", f"{'all' if layers < 0 else layers} layers on {gpus[0].name}{chosen}")
        return Finding("graphics", self.gpu_offer(model) or "no GPU is used")


def _caches(plan: LoadPlan) -> tuple[int, int, int, bool]:
    return plan.context_size, plan.cells, plan.parked, plan.is_mapped
