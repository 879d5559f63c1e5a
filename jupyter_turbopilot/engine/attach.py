"""Puts LoRA adapters beside a loaded model."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.errors import EngineError
from jupyter_turbopilot.models.adapters import check
from jupyter_turbopilot.models.gguf import read_header

if TYPE_CHECKING:
    import types
    from collections.abc import Sequence


def attach(
    lib: types.ModuleType, model: Any, context: Any, adapters: Sequence[tuple[str, float]], path: Path
) -> None:
    """Load adapters and put them into use; they go with the model."""
    if not adapters:
        return
    architecture = read_header(path).architecture
    handles = []
    for name, _ in adapters:
        check(Path(name), architecture)
        handle = lib.llama_adapter_lora_init(model, name.encode())
        if not handle:
            raise EngineError(
                f"llama.cpp could not load the adapter {Path(name).name}: it is for another model."
            )
        handles.append(handle)
    count = len(handles)
    pointers = (lib.llama_adapter_lora_p_ctypes * count)(*handles)
    scales = (ctypes.c_float * count)(*(scale for _, scale in adapters))
    if lib.llama_set_adapters_lora(context, pointers, count, scales):
        raise EngineError("llama.cpp could not put the adapters into use.")
