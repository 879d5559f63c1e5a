"""One model, one worker, one completer: what the server, the terminal and the command line hold."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.completer.completer import Completer
from jupyter_turbopilot.engine.base import Engine
from jupyter_turbopilot.engine.effort import Effort
from jupyter_turbopilot.engine.load import machine
from jupyter_turbopilot.engine.load.plan import Hardware, Plan, Wishes, make_plan
from jupyter_turbopilot.engine.load.retry import Facts, Recovery
from jupyter_turbopilot.engine.worker import State, Worker
from jupyter_turbopilot.errors import (
    BadRequestError,
    BusyError,
    CancelledError,
    DownloadError,
    NotReadyError,
    TurbopilotError,
)
from jupyter_turbopilot.models import speed
from jupyter_turbopilot.models.catalog import catalog, find
from jupyter_turbopilot.models.gguf import read_header, stamp
from jupyter_turbopilot.models.model import Model
from jupyter_turbopilot.models.obtain import obtain
from jupyter_turbopilot.models.recommend import Advice, advise, guessed_rate
from jupyter_turbopilot.models.store import Step, Store, models_dir
from jupyter_turbopilot.models.tuning import adapters
from jupyter_turbopilot.models.tuning.fold import folded
from jupyter_turbopilot.pilot.threads import BackgroundThreads

if TYPE_CHECKING:
    from jupyter_turbopilot.config import Turbopilot
    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.kernels.watch import Kernels
    from jupyter_turbopilot.models.tuning.adapters import Adapter

log = logging.getLogger(__name__)
MOST_PULLS = 16  # downloads that are known, under way or ended
EngineFactory = Callable[[Path, Model, Plan, Path | None], Engine]


def llama_engine(path: Path, model: Model, chosen: Plan, state: Path | None = None) -> Engine:
    """Load a model with llama.cpp, and what it had read before the last stop."""
    from jupyter_turbopilot.engine.llama.engine import LlamaEngine

    return LlamaEngine(
        path,
        name=model.name,
        context_size=chosen.context_size,
        threads=chosen.threads,
        fim=model.fim,
        cells=chosen.cells,
        parked=chosen.parked,
        state=state,
        hardware=chosen.hardware,
    )


def _judged(model: Model, advice: Advice | None) -> dict[str, Any]:
    """Say how a model would do on this machine."""
    if advice is None:
        return {"verdict": "not run here" if not model.runs else None}
    return {
        "memory": advice.memory,
        "tokens_a_second": round(advice.tokens_a_second, 1),
        "verdict": advice.verdict,
    }


class Pull:
    """A download under way; `step` is how far it is, `error` how it ended."""

    def __init__(self) -> None:
        self.cancel = threading.Event()
        self.step = Step("waiting")
        # Until the model is here every end is a failure, whoever forgets to say so.
        self.error: TurbopilotError | None = DownloadError("The download ended without the model. Try again.")
        self.finished = threading.Event()

    @property
    def failure(self) -> str | None:
        """Say why there is no model, unless it is still on its way or the person stopped it."""
        if not self.finished.is_set() or self.error is None or isinstance(self.error, CancelledError):
            return None
        return self.error.message


@dataclass(frozen=True, eq=False)
class Choice:
    """A model that somebody chose, and whether its adapters are used."""

    spec: str
    tuned: bool = True


class Pilot:
    """Holds the store, the worker and the completer together."""

    def __init__(self, settings: Turbopilot, engine_factory: EngineFactory = llama_engine) -> None:
        self.settings = settings
        self.store = Store(
            models_dir(settings.models_dir), mirrors=settings.mirrors, hosts=settings.download_hosts
        )
        self.effort = Effort(considerate=settings.considerate)
        self.worker = Worker(
            settings.queue_limit, threads=self.effort.threads, idle=settings.idle_minutes * 60
        )
        self.completer = Completer(self.worker, settings)
        self.completer.resting = self.effort.resting
        self.background = BackgroundThreads()
        self.kernels: Kernels | None = None  # a Jupyter server's
        self._engine_factory = engine_factory
        self._pulls: dict[str, Pull] = {}
        self._lock = threading.Lock()
        self._wanted = Choice(settings.model)
        self._good = self._wanted  # what was loaded last, or else is configured
        self._recovery = Recovery()

    @property
    def selected(self) -> str:
        """The model that is wanted."""
        return self._wanted.spec

    @selected.setter
    def selected(self, spec: str) -> None:
        self._wanted = Choice(spec, self._wanted.tuned)

    @property
    def tuned(self) -> bool:
        """Whether adapters are used."""
        return self._wanted.tuned

    def start(self) -> None:
        """Load the selected model in the background if it is on the disk; otherwise say what is missing."""
        try:
            self._select(self._wanted)
        except TurbopilotError as error:
            self._recovery.failed(self._facts())
            self.worker.fail(self.selected, error)

    def ensure(self) -> None:
        """Begin to load what was not loaded yet, or could not be and now may: called where somebody asks."""
        state = self.worker.state
        if state.phase == "empty" or (
            state.phase == "failed" and self._recovery.due(state.code, self._facts)
        ):
            self.start()

    def _facts(self) -> Facts:
        """Say what the next load depends on; costs a look at the disk and at the memory."""
        try:
            model = find(self.selected)
            file = ""
            if self.store.has(model):
                file = f"{stamp(self.store.path(model))}|{self.hardware(model, tuned=self.tuned).stamp}"
        except (TurbopilotError, OSError):
            file = ""
        return Facts(file, machine.free_memory())

    def select(self, spec: str, *, tuned: bool | None = None) -> Model:
        """Load a model that is on the disk, in the background; `tuned`: with adapters from now on, or not."""
        self._recovery.forget()
        return self._select(Choice(spec, self.tuned if tuned is None else tuned))

    def _select(self, choice: Choice) -> Model:
        model = find(choice.spec)
        if not self.store.has(model):
            size = f" ({model.size / 1e6:.0f} MB)" if model.size else ""
            raise NotReadyError(
                f"The model {model.name}{size} is not on this machine yet. "
                f"Fetch it from the notification, or run: jupyter turbopilot models pull {model.spec}",
                code="model_missing",
            )

        def load(cancel: Cancel) -> Engine:
            begun = time.monotonic()
            try:
                engine = self._load(model, cancel, tuned=choice.tuned)
            except BaseException:
                with self._lock:
                    if self._wanted is choice:  # nobody has chosen another since
                        self._wanted = self._good  # which goes on
                if not cancel.is_set():
                    self._recovery.failed(self._facts(), time.monotonic() - begun)
                raise
            self.completer.forget()
            self._recovery.loaded(self._facts())
            self._good = choice
            return engine

        with self._lock:  # what is wanted is what is loaded last
            self._wanted = choice
            self.worker.load(model.name, load)
        return model

    def _load(self, model: Model, cancel: Cancel, *, tuned: bool) -> Engine:
        path, hardware = self.weights(model, tuned=tuned)
        # Our own check first: llama.cpp ends the process on some damaged files.
        chosen = make_plan(
            read_header(path),
            model.name,
            Wishes(
                hardware,
                context_size=self.settings.context_size,
                threads=self.settings.threads,
                max_threads=self.settings.max_threads,
                max_bytes=self.settings.max_memory * 1024 * 1024,
                sequence_bytes=self.settings.sequences_memory * 1024 * 1024,
            ),
        )
        self.effort.full = chosen.threads
        if self.settings.trial and self._engine_factory is llama_engine:
            from jupyter_turbopilot.engine.load.trial import ensure_loads

            ensure_loads(
                path,
                chosen,
                self.store.folder / ".trials.json",
                timeout=self.settings.load_timeout,
                cancel=cancel,
            )
        state = self.store.folder / ".sequences" if self.settings.keep_sequences else None
        return self._engine_factory(path, model, chosen, state)

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

    def adapters(self, model: Model) -> tuple[Adapter, ...]:
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

    def pull(self, spec: str, *, mirrors: bool = False, select: bool = True) -> Pull:
        """Fetch a model in the background; asking again joins the download that is under way."""
        model = find(spec)
        with self._lock:
            running = self._pulls.get(model.name)
            if running and not running.finished.is_set():
                return running
            self._make_room(model.name)
            pull = self._pulls[model.name] = Pull()

        def work() -> None:
            try:
                obtain(
                    self.store, model, lambda step: setattr(pull, "step", step), pull.cancel, mirrors=mirrors
                )
                if select:
                    self.select(spec)
                pull.error = None
            except TurbopilotError as error:
                pull.error = error
            except BaseException:
                log.exception("Turbopilot: the download of %s failed", model.name)
            finally:
                pull.finished.set()

        try:
            threading.Thread(target=work, name="turbopilot-pull", daemon=True).start()
        except RuntimeError:  # no more threads
            pull.finished.set()
        return pull

    def _make_room(self, name: str) -> None:
        """Forget how the downloads ended that ended first; those under way are not forgotten."""
        self._pulls.pop(name, None)
        ended = [other for other, pull in self._pulls.items() if pull.finished.is_set()]
        for other in ended[: max(0, len(self._pulls) + 1 - MOST_PULLS)]:
            del self._pulls[other]
        if len(self._pulls) >= MOST_PULLS:
            raise BusyError(f"{MOST_PULLS} downloads are under way. Wait until one has ended, or stop one.")

    def cancel_pull(self, spec: str) -> bool:
        """Stop a download; what came stays for the next time."""
        pull = self._pulls.get(find(spec).name)
        if pull is None or pull.finished.is_set():
            return False
        pull.cancel.set()
        return True

    def advice(self) -> dict[str, Advice]:
        """Judge each model of the catalogue for this machine."""
        rate = speed.rate(self.store.folder) or guessed_rate(machine.cores())
        found = advise(catalog().values(), machine.free_memory(), rate)
        return {one.model.name: one for one in found}

    def remove(self, spec: str) -> int:
        """Delete a model's file and return the bytes freed; one that is in use or on its way stays."""
        model = find(spec)
        pull = self._pulls.get(model.name)
        if self.worker.state.phase not in {"failed", "empty"} and self._uses(self.store.path(model)):
            raise BadRequestError(f"{model.name} is in use. Choose another model first.", field="model")
        if pull and not pull.finished.is_set():
            raise BadRequestError(f"{model.name} is being fetched. Stop that first.", field="model")
        return self.store.remove(model)

    def _uses(self, path: Path) -> bool:
        """Tell whether a file is the one that is loaded or about to be, by whatever name."""
        chosen = [find(choice.spec) for choice in (self._wanted, self._good)]
        return path.resolve() in {self.store.path(model).resolve() for model in chosen}

    def models(self) -> list[dict[str, Any]]:
        """Describe every model of the catalogue and every file in the folder."""
        state, advice = self.worker.state, self.advice()
        found = [
            self._describe(model, state) | _judged(model, advice.get(model.name))
            for model in catalog().values()
        ]
        named = {entry["name"] for entry in found}
        others = [Model(name=path.name, file=path.name, path=path) for path in self.store.others()]
        if self.selected not in named:
            try:
                chosen = find(self.selected)
            except TurbopilotError:
                chosen = None
            if chosen:
                others = [o for o in others if self.store.path(chosen) != o.path]
                others.append(chosen)
        return found + [self._describe(model, state) for model in others]

    def _describe(self, model: Model, state: State) -> dict[str, Any]:
        stored = self.store.stored(model)
        pull = self._pulls.get(model.name)
        return {
            "name": model.name,
            "spec": model.spec,
            "size": stored.size if stored else model.bytes or None,
            "counted": bool(stored or model.size),  # otherwise the size is an estimate
            "architecture": model.architecture,
            "fim": model.fim,
            "checkpoint": model.checkpoint,
            "licence": model.licence,
            "use": model.use,
            "stored": stored is not None,
            "verified": bool(stored and stored.verified),
            "selected": state.model == model.name,
            "adapters": self._adapters(model),
            "tuned": self.tuned,
            "pulling": bool(pull and not pull.finished.is_set()),
            "failed": pull.failure if pull else None,
            "progress": asdict(pull.step) if pull and not pull.finished.is_set() else None,
            # The publisher's own source comes first; a mirror needs the person's yes.
            "mirror": len(self.store.sources(model, mirrors=True)) > len(self.store.sources(model)),
        }

    def _adapters(self, model: Model) -> list[dict[str, Any]]:
        """Name a model's adapters; a setting that makes no sense is `doctor`'s to say."""
        try:
            found = self.adapters(model)
        except TurbopilotError:
            return []
        ours = adapters.ours(model.name)
        return [
            {"name": Path(a.path).stem, "language": a.language, "ours": a.path == str(ours)} for a in found
        ]

    def health(self) -> dict[str, Any]:
        """Say whether the worker lives and whether it can complete; what has failed may be tried again."""
        if self.worker.state.phase == "failed":
            self.ensure()
        state = self.worker.state
        reason = state.reason or {"loading": f"{state.model} is being loaded."}.get(state.phase)
        return {
            "status": "ok" if state.ready else "loading model" if state.phase == "loading" else "error",
            "live": self.worker.alive(),
            "ready": state.ready,
            "phase": state.phase,
            "code": state.code or None,
            "model": state.model or self.selected,
            "reason": None if state.ready else reason,
            "notice": state.reason or None if state.ready else None,  # why another was not loaded
            "last_ms": self.completer.last_ms,
        }

    def stop(self) -> None:
        """End downloads and the worker."""
        for pull in list(self._pulls.values()):
            pull.cancel.set()
        self.background.close()
        self.worker.stop()
        if self.kernels:
            self.kernels.close()
