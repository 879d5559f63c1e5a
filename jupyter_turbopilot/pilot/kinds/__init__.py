"""The kinds of engine by name. A new one needs a module here, an entry in the table, and documentation."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_turbopilot.config import Turbopilot
    from jupyter_turbopilot.models.store import Store
    from jupyter_turbopilot.pilot.kinds.base import EngineKind

# Imported on demand: each has its own dependencies.
KINDS = {
    "llama": "LlamaKind",
    "transformers": "TransformersKind",
    "remote": "RemoteKind",
}


def kind_of(settings: Turbopilot, store: Store) -> EngineKind:
    """Return the configured kind of engine."""
    module = import_module(f"{__name__}.{settings.engine}")
    kind: EngineKind = getattr(module, KINDS[settings.engine])(settings, store)
    return kind
