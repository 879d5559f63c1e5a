"""A model loaded for a command of its own, without a worker: nobody else waits."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.engine.load.plan import CACHE_TYPES, Wishes, make_plan
from jupyter_turbopilot.errors import NotReadyError
from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.models.gguf import read_header

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.engine.llama.engine import LlamaEngine
    from jupyter_turbopilot.engine.load.plan import Hardware
    from jupyter_turbopilot.engine.stepping import Row
    from jupyter_turbopilot.pilot.pilot import Pilot


@dataclass
class Loaded:
    """The engine, what it takes, and how long loading took."""

    engine: LlamaEngine
    path: Path
    hardware: Hardware
    seconds: float
    size: int
    threads: int
    bytes_a_token: int


def pilot_of(options: argparse.Namespace) -> Pilot:
    """Return the store and the settings that a command works with."""
    from jupyter_turbopilot.pilot.pilot import Pilot

    return Pilot(options.settings(options))


def load(options: argparse.Namespace, model: str | None, **chosen: Any) -> Loaded:
    """Check and load a model as the server would, but without the trial: a crash ends only this command."""
    from jupyter_turbopilot.engine.llama.engine import LlamaEngine

    pilot = pilot_of(options)
    settings = pilot.settings
    found = find(model or pilot.selected)
    if not pilot.store.has(found):
        raise NotReadyError(
            f"The model {found.name} is not on this machine yet. "
            f"Run: jupyter turbopilot models pull {found.name}",
            code="model_missing",
        )
    path, hardware = pilot.weights(found)
    header = read_header(path)
    context = chosen.pop("context", 0) or settings.context_size
    threads = chosen.pop("threads", 0) or settings.threads
    plan = make_plan(header, found.name, Wishes(hardware, context, threads, settings.max_threads))
    begun = time.perf_counter()
    engine = LlamaEngine(
        path,
        name=found.name,
        context_size=plan.context_size,
        threads=plan.threads,
        fim=found.fim,
        hardware=hardware,
        **chosen,
    )
    seconds = time.perf_counter() - begun
    cache = int(header.kv_bytes(1) * CACHE_TYPES[hardware.cache_type])
    return Loaded(engine, path, hardware, seconds, header.file_size, plan.threads, cache)


class Clock:
    """Tells how much of an engine's time is llama.cpp's computing."""

    def __init__(self, engine: LlamaEngine) -> None:
        self.seconds = 0.0
        self._inner = engine.evaluate
        engine.evaluate = self._timed  # type: ignore[method-assign]

    def _timed(self, rows: Sequence[Row], attention: Cancel | None) -> bool:
        begun = time.perf_counter()
        try:
            return self._inner(rows, attention)
        finally:
            self.seconds += time.perf_counter() - begun
