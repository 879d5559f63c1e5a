"""Writes a GGUF file anew with some of its tensors changed: what it says of itself is copied as it stands."""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from jupyter_turbopilot.errors import ModelRefusedError
from jupyter_turbopilot.files import need_room, write_atomically
from jupyter_turbopilot.models.ggml import TYPES
from jupyter_turbopilot.models.gguf import read_header

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from jupyter_turbopilot.models.gguf import Part


@dataclass(frozen=True)
class Change:
    """How a tensor is kept from now on, and what makes its bytes of what it was."""

    kind: int
    make: Callable[[memoryview, Part], Iterable[bytes]]


def rewrite(
    source: Path,
    target: Path,
    changes: Mapping[str, Change],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Path:
    """Write the file beside its place, then put it there at once; what is not finished is never left."""
    header = read_header(source)
    kinds = [changes[part.name].kind if part.name in changes else part.kind for part in header.parts]
    sizes = [_size(part, kind) for part, kind in zip(header.parts, kinds, strict=True)]
    alignment = header.alignment
    need_room(target, sum(sizes), ModelRefusedError)
    with (
        write_atomically(target, ModelRefusedError) as partial,
        source.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        memoryview(mapped) as data,
        partial.open("wb") as out,
    ):
        out.write(data[: header.keys_end])
        offset = 0
        for part, kind, size in zip(header.parts, kinds, sizes, strict=True):
            name = part.name.encode()
            out.write(struct.pack("<Q", len(name)) + name + struct.pack("<I", len(part.shape)))
            out.write(struct.pack(f"<{len(part.shape)}QIQ", *part.shape, kind, offset))
            offset += -(-size // alignment) * alignment
        out.write(bytes(-out.tell() % alignment))
        for number, (part, size) in enumerate(zip(header.parts, sizes, strict=True)):
            progress(number, len(sizes))
            begin = header.start + part.offset
            with data[begin : begin + part.size] as old:
                if part.name in changes:
                    out.writelines(changes[part.name].make(old, part))
                else:
                    out.write(old)
            out.write(bytes(-size % alignment))
    return target


def _size(part: Part, kind: int) -> int:
    return part.size if kind == part.kind else TYPES[kind].size(prod(part.shape))
