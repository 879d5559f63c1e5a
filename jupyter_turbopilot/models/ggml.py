"""ggml's tensor and file types, their sizes and names, and llama.cpp's order of rows. Pure."""

from __future__ import annotations

import platform
from typing import Any, NamedTuple


class TensorType(NamedTuple):
    """A tensor type: `block` numbers are stored in `block_bytes` bytes."""

    name: str
    block: int = 1
    block_bytes: int = 0  # 0: unknown type

    def size(self, elements: int) -> int:
        """Return the size in bytes of `elements` numbers."""
        return elements // self.block * self.block_bytes


IS_ARM = platform.machine().lower() in {"arm64", "aarch64"}
F32, F16, Q4_0, Q8_0, IQ4_NL, BF16 = 0, 1, 2, 8, 20, 30
UNQUANTISED = frozenset({F32, F16, BF16})
TYPES = {
    F32: TensorType("F32", 1, 4), F16: TensorType("F16", 1, 2), Q4_0: TensorType("Q4_0", 32, 18),
    3: TensorType("Q4_1", 32, 20), 6: TensorType("Q5_0", 32, 22), 7: TensorType("Q5_1", 32, 24),
    Q8_0: TensorType("Q8_0", 32, 34), 9: TensorType("Q8_1", 32, 36), 10: TensorType("Q2_K", 256, 84),
    11: TensorType("Q3_K", 256, 110), 12: TensorType("Q4_K", 256, 144), 13: TensorType("Q5_K", 256, 176),
    14: TensorType("Q6_K", 256, 210), 15: TensorType("Q8_K", 256, 292), 16: TensorType("IQ2_XXS", 256, 66),
    17: TensorType("IQ2_XS", 256, 74), 18: TensorType("IQ3_XXS", 256, 98), 19: TensorType("IQ1_S", 256, 50),
    IQ4_NL: TensorType("IQ4_NL", 32, 18), 21: TensorType("IQ3_S", 256, 110), 22: TensorType("IQ2_S", 256, 82),
    23: TensorType("IQ4_XS", 256, 136), 24: TensorType("I8", 1, 1), 25: TensorType("I16", 1, 2),
    26: TensorType("I32", 1, 4), 27: TensorType("I64", 1, 8), 28: TensorType("F64", 1, 8),
    29: TensorType("IQ1_M", 256, 56), BF16: TensorType("BF16", 1, 2), 34: TensorType("TQ1_0", 256, 54),
    35: TensorType("TQ2_0", 256, 66), 39: TensorType("MXFP4", 32, 17),
}  # fmt: skip
# The types that llama.cpp copies in the order in which it computes, "repacked", on processors of x86 and ARM.
REPACKED = frozenset({Q4_0, 12, IQ4_NL, 39} | ({Q8_0, 13, 14} if IS_ARM else {10}))
NUMBERS = {known.name: number for number, known in TYPES.items()}


def tensor_type(number: int) -> TensorType:
    """Return a tensor type; an unknown one has no size and is left to llama.cpp."""
    return TYPES.get(number) or TensorType(f"type {number}")


# Values of `general.file_type`: the type of most tensors; S, M and L are mixtures.
FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S",
    12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K",
    25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 30: "IQ4_XS", 32: "BF16",
}  # fmt: skip
FILE_NUMBERS = {name: number for number, name in FILE_TYPES.items()}
# Files in training precision: only these should be quantised.
UNQUANTISED_FILES = frozenset(FILE_NUMBERS[TYPES[number].name] for number in UNQUANTISED)
# llama.cpp refuses these without an importance matrix, which llama-cpp-python cannot pass.
NEEDS_MATRIX = ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "Q2_K_S", "IQ3_XXS", "IQ3_XS")
# Bits per weight including scales, measured on files of several models.
BITS = {"F32": 32.0, "Q4_1": 5.0, "Q4_K_M": 5.0, "Q8_0": 8.5, "IQ4_XS": 4.3, "IQ3_XXS": 3.1, "IQ2_XXS": 2.1}
# The output types of `models convert`, as its option names them.
OUTTYPES = ("f32", "f16", "bf16", "q8_0")


def interleave_halves(matrix: Any, *, heads: int) -> Any:
    """Reorder the rows of each head: transformers' RoPE pairs halves, llama.cpp's pairs neighbours."""
    halves = matrix.reshape(heads, 2, -1, *matrix.shape[1:])
    return halves.swapaxes(1, 2).reshape(matrix.shape)
