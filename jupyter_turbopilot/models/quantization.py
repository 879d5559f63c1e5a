"""Validate requests to quantise a file. Pure except for reading its header."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_turbopilot.models.ggml import NEEDS_MATRIX, UNQUANTISED_FILES
from jupyter_turbopilot.models.gguf import read_header
from jupyter_turbopilot.protocol.errors import ConversionError
from jupyter_turbopilot.util.files import need_room

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Order:
    """A valid request to quantise a file."""

    source: Path
    target: Path
    kind: str
    number: int  # llama.cpp's number of the type
    again: bool  # whether the source is quantised already


def order(source: Path, target: Path, kind: str, kinds: Mapping[str, int], *, force: bool) -> Order:
    """Return a valid request to quantise, or raise ConversionError."""
    name = kind.upper()
    if name not in kinds:
        raise ConversionError(
            f"{kind!r} is not a type of quantisation. Choose one of: {', '.join(sorted(kinds))}."
        )
    header = read_header(source)
    before = header.metadata.get("general.file_type")
    again = not isinstance(before, int) or before not in UNQUANTISED_FILES
    if again and not force:
        called = next((key for key, number in kinds.items() if number == before), f"number {before}")
        raise ConversionError(
            f"{source.name} is quantised already ({called}). Quantising again adds to the loss: from "
            "Q8_0 to Q4_0 the perplexity of code rises by 6 %. Quantise the F16 file, or add --force."
        )
    if name in NEEDS_MATRIX:
        raise ConversionError(
            f"{name} needs an importance matrix, which llama-cpp-python cannot create. Create it with "
            "llama.cpp's own llama-imatrix and llama-quantize, or choose another type, IQ3_S or Q2_K."
        )
    if target.exists() and target.samefile(source):
        raise ConversionError("The output file is the input file. Choose another name.")
    need_room(target, header.file_size, ConversionError)
    return Order(source, target, name, kinds[name], again)
