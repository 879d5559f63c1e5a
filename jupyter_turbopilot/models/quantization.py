"""Which ways of quantising there are, and whether a file may be quantised at all. Pure but for the header."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_turbopilot.errors import ConversionError
from jupyter_turbopilot.files import need_room
from jupyter_turbopilot.models.gguf import read_header

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from jupyter_turbopilot.models.gguf import Header

WHOLE = {0: "F32", 1: "F16", 32: "BF16"}  # files that hold what was trained, or nearly
# llama.cpp refuses these without a matrix that says which weights matter, and cannot be told one from here.
NEEDS_MATRIX = ("IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "Q2_K_S", "IQ3_XXS", "IQ3_XS")
# ggml's names of how a tensor's numbers are stored.
KINDS = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1", 10: "Q2_K",
    11: "Q3_K", 12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS",
    19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32",
    27: "I64", 28: "F64", 29: "IQ1_M", 30: "BF16", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4",
}  # fmt: skip


@dataclass(frozen=True)
class Order:
    """What is to be quantised, and how."""

    source: Path
    target: Path
    kind: str
    number: int  # llama.cpp's own
    again: bool  # whether it was quantised before


def order(source: Path, target: Path, kind: str, kinds: Mapping[str, int], *, force: bool) -> Order:
    """Check what was asked for, or refuse it in words."""
    name = kind.upper()
    if name not in kinds:
        raise ConversionError(f"There is no type {kind!r}. Types: {', '.join(sorted(kinds))}.")
    header = read_header(source)
    before = header.metadata.get("general.file_type")
    again = not isinstance(before, int) or before not in WHOLE
    if again and not force:
        called = next((key for key, number in kinds.items() if number == before), f"number {before}")
        raise ConversionError(
            f"{source.name} is quantised already ({called}). Done twice it loses far more than once: from "
            "Q4_K_M to Q4_0 half of the exact completions were lost. Quantise the F16 file, or add --force."
        )
    if name in NEEDS_MATRIX:
        raise ConversionError(
            f"{name} needs an importance matrix, which cannot be made through llama-cpp-python. Make it with "
            "llama.cpp's own llama-imatrix and llama-quantize, or choose another type, IQ3_S or Q2_K."
        )
    if target.exists() and target.samefile(source):
        raise ConversionError("The result would be written over its source.")
    need_room(target, header.file_size, ConversionError)
    return Order(source, target, name, kinds[name], again)


def table(before: Header, after: Header) -> str:
    """Say what became of each tensor, and of all of them."""
    new = {part.name: part for part in after.parts}
    lines = []
    for old in before.parts:
        part = new.get(old.name)
        if part is None:
            continue
        shape = " x ".join(map(str, old.shape))
        change = f"{KINDS.get(old.kind, old.kind)} → {KINDS.get(part.kind, part.kind)}"
        lines.append(
            f"{old.name:<34} {shape:>16}  {change:<14} {old.size / 1e6:9.2f} → {part.size / 1e6:8.2f} MB"
        )
    ratio = after.file_size / before.file_size
    bits = 8 * sum(part.size for part in after.parts) / after.parameters
    lines.append(
        f"{before.file_size / 1e6:.2f} MB → {after.file_size / 1e6:.2f} MB ({ratio:.0%}), "
        f"{bits:.2f} bits a weight"
    )
    return "\n".join(lines)
