"""The tensor types of a merged copy, chosen by measurement, and the importance matrix of its adapter.

`docs/developers/recipes.md` describes how both were made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

from jupyter_turbopilot.models.ggml import F16, IQ4_NL, IS_ARM, Q4_0, Q8_0, TYPES, UNQUANTISED, tensor_type
from jupyter_turbopilot.protocol.errors import ModelRefusedError

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_turbopilot.models.gguf import GGUFTensor

# A token reads all layers: half the bytes are half the time if llama.cpp has a repacked kernel for the type.
# On x86 IQ4_NL and Q4_0 have one, and IQ4_NL loses less. On ARM only those of Q4_0 and Q8_0 use i8mm.
# Measured on x86 only.
LAYERS = Q4_0 if IS_ARM else IQ4_NL
# By group, where it differs from the other matrices. Of the divergence from 8 bits, 8 bits for `attn_k` and
# `attn_v` remove a quarter with 3 MB.
RECIPE = {"output": Q8_0, "attn_k": Q8_0, "attn_v": Q8_0}
# Matrices with the same inputs have the same importance.
_INPUTS = {"attn_q": "attn", "attn_k": "attn", "attn_v": "attn", "ffn_gate": "ffn", "ffn_up": "ffn"}

Importance = dict[str, Any]  # the mean square of each input of a matrix, relative to the others, by its name


def matrix_path(adapter: Path) -> Path:
    """Return the path of the importance matrix beside an adapter; only bundled adapters have one."""
    return adapter.with_suffix(".importance.npz")


def read_importance(adapter: Path) -> Importance:
    """Return the importance matrix of an adapter; empty if there is none."""
    import numpy as np

    path = matrix_path(adapter)
    if not path.is_file():
        return {}
    try:
        with np.load(path) as rows:
            importance = {name: rows[name].astype(np.float32) for name in rows.files}
    except (OSError, EOFError, ValueError, BadZipFile):
        raise ModelRefusedError(f"{path.name} is damaged.") from None
    if not all((np.isfinite(row) & (row > 0)).all() for row in importance.values()):
        raise ModelRefusedError(f"{path.name} is damaged: an importance is not a positive number.")
    return importance


def group_of(name: str) -> str:
    """Return the name of a matrix's importance."""
    layer, _, matrix = name.removesuffix(".weight").rpartition(".")
    return f"{layer}.{_INPUTS.get(matrix, matrix)}".lstrip(".")


def importance_of(part: GGUFTensor, importance: Importance) -> Any:
    """Return the importance of a matrix's inputs, or None if it is unknown."""
    row = importance.get(group_of(part.name))
    if row is not None and row.shape != part.shape[:1]:
        raise ModelRefusedError(f"The importance matrix was made for another model: {part.name} differs.")
    return row


def kind_of(part: GGUFTensor, importance: Importance, *, changed: bool, lacks_importance: bool) -> int:
    """Return the type of a tensor in a copy.

    `lacks_importance`: an adapter without an importance matrix changes it.

    The loss of the recipe was measured for the bundled adapters: other changes keep 8 bits. Unchanged tensors
    are quantised again only if that makes them smaller.
    """
    known = not lacks_importance and importance_of(part, importance) is not None
    kind = RECIPE.get(part.name.split(".")[-2], LAYERS) if known else Q8_0
    size = TYPES[kind].size(part.shape[0])
    smaller = known and size < tensor_type(part.kind).size(part.shape[0])
    if part.kind in UNQUANTISED or not (changed or smaller):
        return part.kind
    return F16 if part.shape[0] % TYPES[kind].block else kind
