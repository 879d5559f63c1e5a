"""The kinds of engine by name. A new one needs a module here, an entry in the table, and documentation."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_turbopilot.jupyter.pilot.kinds.base import EngineKind
    from jupyter_turbopilot.models.store import Store
    from jupyter_turbopilot.settings.config import Turbopilot

# Imported on demand: each has its own dependencies.
KINDS = {
    "llama": "jupyter_turbopilot.jupyter.pilot.kinds.llama:LlamaKind",
    "transformers": "jupyter_turbopilot.plugins.transformers.kind:TransformersKind",
    "remote": "jupyter_turbopilot.plugins.remote.kind:RemoteKind",
}


def kind_of(settings: Turbopilot, store: Store) -> EngineKind:
    """Return the configured kind of engine."""
    module, _, name = KINDS[settings.engine].partition(":")
    kind: EngineKind = getattr(import_module(module), name)(settings, store)
    return kind
