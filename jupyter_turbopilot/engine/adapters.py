"""LoRA adapters beside a model: what it was tuned to, without a copy of it."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.errors import BadRequestError, EngineError, ModelRefusedError
from jupyter_turbopilot.models.gguf import read_header

if TYPE_CHECKING:
    import types
    from collections.abc import Sequence

    from jupyter_turbopilot.models.gguf import Header

MOST_SCALE = 8.0


def read_spec(spec: str) -> tuple[str, float]:
    """Read a path, or a path and how strongly it counts: `notebooks.gguf=0.5`."""
    path, sign, scale = spec.rpartition("=")
    if not sign:
        return str(Path(spec).expanduser()), 1.0
    try:
        found = float(scale)
    except ValueError:
        return str(Path(spec).expanduser()), 1.0  # the path itself has such a sign in it
    if not 0 < found <= MOST_SCALE:
        raise BadRequestError(
            f"An adapter counts between 0 and {MOST_SCALE:.0f} times, not {scale}.", field="adapters"
        )
    return str(Path(path).expanduser()), found


def check(path: Path) -> Header:
    """Return the header of an adapter; refuse in words what llama.cpp would refuse without, or worse."""
    header = read_header(path)
    if header.metadata.get("general.type") != "adapter" or header.metadata.get("adapter.type") != "lora":
        raise ModelRefusedError(f"{path.name} is no LoRA adapter.")
    return header


def attach(
    lib: types.ModuleType, model: Any, context: Any, adapters: Sequence[tuple[str, float]], path: Path
) -> None:
    """Load adapters and put them into use; they go with the model."""
    if not adapters:
        return
    architecture = read_header(path).architecture
    handles = []
    for name, _ in adapters:
        trained = check(Path(name)).architecture
        if trained != architecture:
            raise ModelRefusedError(
                f"{Path(name).name} was trained for a {trained}, and the model is a {architecture}."
            )
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
