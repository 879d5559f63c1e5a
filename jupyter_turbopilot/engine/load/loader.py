"""The one place that turns a model's file and a plan into an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_turbopilot.engine.llama.engine import LlamaEngine
    from jupyter_turbopilot.engine.load.plan import Plan


def load(
    path: Path, plan: Plan, *, name: str, fim: str = "auto", chunk: int = 0, snapshot: Path | None = None
) -> LlamaEngine:
    """Load a GGUF file with llama.cpp; `chunk` 0: the engine's own; `snapshot`: its saved sequences."""
    from jupyter_turbopilot.engine.batch_sizes import CHUNK
    from jupyter_turbopilot.engine.llama.engine import LlamaEngine

    return LlamaEngine(
        path,
        name=name,
        context_size=plan.context_size,
        threads=plan.threads,
        fim=fim,
        cells=plan.cells,
        parked=plan.parked,
        state=snapshot,
        hardware=plan.hardware,
        chunk=chunk or CHUNK,
    )
