"""Applies LoRA adapters to a loaded model. An adapter may be for one language only."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.models.gguf import read_header
from jupyter_turbopilot.models.tuning.adapters import AdapterSpec, check
from jupyter_turbopilot.protocol.errors import EngineError

if TYPE_CHECKING:
    import types
    from collections.abc import Sequence


class LoadedAdapters:
    """The adapters of a loaded model, which frees them. `tunings` numbers their languages."""

    def __init__(
        self, lib: types.ModuleType, model: Any, context: Any, adapters: Sequence[AdapterSpec], path: Path
    ) -> None:
        self._lib, self._context = lib, context
        self._in_use = -1
        architecture = read_header(path).architecture if adapters else ""
        self._loaded = [(_load(lib, model, adapter, architecture), adapter) for adapter in adapters]
        languages = sorted({adapter.language for adapter in adapters} - {""})
        self.tunings = {language: number for number, language in enumerate(languages, 1)}
        self.use(0)

    def use(self, tuning: int) -> None:
        """Apply the adapters for one language and those for all languages."""
        if tuning == self._in_use or not self._loaded:
            return
        chosen = [
            (handle, adapter.scale)
            for handle, adapter in self._loaded
            if not adapter.language or self.tunings[adapter.language] == tuning
        ]
        pointers = (self._lib.llama_adapter_lora_p_ctypes * len(chosen))(*(handle for handle, _ in chosen))
        scales = (ctypes.c_float * len(chosen))(*(scale for _, scale in chosen))
        if self._lib.llama_set_adapters_lora(self._context, pointers, len(chosen), scales):
            raise EngineError("llama.cpp could not apply the adapters. Check c.Turbopilot.adapters.")
        self._in_use = tuning


def _load(lib: types.ModuleType, model: Any, adapter: AdapterSpec, architecture: str) -> Any:
    check(Path(adapter.path), architecture)
    handle = lib.llama_adapter_lora_init(model, adapter.path.encode())
    if not handle:
        name = Path(adapter.path).name
        raise EngineError(
            f"llama.cpp could not load the adapter {name}: it is for another model. "
            "Remove it from c.Turbopilot.adapters."
        )
    return handle
