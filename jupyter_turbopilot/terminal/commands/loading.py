"""Load a model for a command, without a worker."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.base import CHUNK
from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.engine.llama.kind import LlamaKind
from jupyter_turbopilot.engine.load import machine
from jupyter_turbopilot.engine.load import plan as planning
from jupyter_turbopilot.jupyter.pilot.library import store_of
from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.models.gguf import read_header
from jupyter_turbopilot.models.store import unavailable
from jupyter_turbopilot.protocol.engine_request import EngineRequest
from jupyter_turbopilot.protocol.errors import EngineError
from jupyter_turbopilot.settings.access import access_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.engine.load.plan import Hardware
    from jupyter_turbopilot.engine.stepping.engine import Stepping
    from jupyter_turbopilot.engine.stepping.run import BatchToken
    from jupyter_turbopilot.protocol.engine_request import Sampling, Token, Usage
    from jupyter_turbopilot.settings.config import Turbopilot


@dataclass
class Loaded:
    """A loaded engine, its file and hardware, and the loading time."""

    engine: LlamaEngine
    path: Path
    hardware: Hardware
    seconds: float
    size: int
    threads: int
    bytes_per_token: int


def load(settings: Turbopilot, spec: str, *, context: int = 0, threads: int = 0, chunk: int = 0) -> Loaded:
    """Check and load a model like the server, but without a load test: a crash ends only this command."""
    access_of(settings, os.environ).require_enabled()
    models = LlamaKind(settings, store_of(settings))
    model = find(spec)
    if not models.store.has(model):
        raise unavailable(model, models.store.stored(model), settings.engine)
    path, hardware = models.weights(model)
    header = read_header(path)
    count = machine.threads(threads or settings.threads)
    limits = planning.Limits(context or settings.context_size, count)
    plan = planning.make_plan(header, model.name, limits, hardware)
    begun = time.perf_counter()
    # A single sequence needs no extra cache cells.
    alone = replace(plan, cells=0, hardware=replace(plan.hardware, separate_caches=False))
    engine = LlamaEngine(path, alone, name=model.name, fim=model.fim, chunk=chunk or CHUNK)
    seconds = time.perf_counter() - begun
    return Loaded(engine, path, hardware, seconds, header.file_size, plan.threads, header.kv_bytes(1))


def write(
    engine: Stepping, prompt: Sequence[int], sampling: Sampling, usage: Usage, cancel: Cancel
) -> Iterator[Token]:
    run = engine.start(EngineRequest(prompt, sampling, usage))
    if run is None:
        raise EngineError("The engine is busy. Try again in a moment.")
    try:
        yield from run.fresh
        while not run.done and not cancel.is_set():
            run.fresh.clear()
            engine.step([run], cancel)
            yield from run.fresh
    finally:
        engine.release(run)


class Clock:
    """Measures how much of an engine's time is spent in llama.cpp."""

    def __init__(self, engine: LlamaEngine) -> None:
        self.seconds = 0.0
        self._inner = engine.evaluate
        engine.evaluate = self._timed  # type: ignore[method-assign]

    def _timed(self, rows: Sequence[BatchToken], interrupt: Cancel | None) -> bool:
        begun = time.perf_counter()
        try:
            return self._inner(rows, interrupt)
        finally:
            self.seconds += time.perf_counter() - begun
