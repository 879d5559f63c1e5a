"""Merge adapters into a copy of a model, which removes their cost at inference.

NumPy is imported only to compute: at startup a server only needs the copy's path.
"""

from __future__ import annotations

import hashlib
import mmap
import struct
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from jupyter_turbopilot.models.folder import copies, copy_path, read_note, remove_with_note, write_note
from jupyter_turbopilot.models.ggml import F16, F32, Q8_0, TYPES, UNQUANTISED
from jupyter_turbopilot.models.gguf import has_header, read_header, sample, stamp
from jupyter_turbopilot.models.tuning.adapters import check
from jupyter_turbopilot.protocol.errors import ModelRefusedError
from jupyter_turbopilot.util.files import is_forbidden, is_readable, need_room, size_of, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from jupyter_turbopilot.models.gguf import GGUFTensor, Header
    from jupyter_turbopilot.models.tuning.adapters import AdapterSpec

MAX_COPIES = 2  # copies of one model
_ROWS = 1024  # dequantised at a time

Delta = tuple[Any, Any]  # two low-rank matrices whose product is added


def merged_copy(folder: Path, model: Path, adapters: Sequence[AdapterSpec]) -> Path:
    """Return the model's copy with merged adapters; create it if necessary."""
    paths = [(Path(adapter.path), adapter.scale) for adapter in adapters]
    target = path_of(folder, model, adapters)
    if target.is_file():  # in a read-only folder the lock cannot be acquired
        if not is_readable(target):
            raise ModelRefusedError(f"You may not read {target}. Ask its owner for access.")
        if has_header(target):
            return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_suffix(".lock")):
            if not (target.is_file() and has_header(target)):
                merge(model, paths, target)
                write_note(target, f"{model.name} with {len(paths)} adapters")
                _tidy(folder, model)
    except OSError as error:
        if is_forbidden(error):
            raise ModelRefusedError(
                f"{model.name} has no copy with merged adapters. {read_only_advice(folder)}"
            ) from None
        raise ModelRefusedError(f"{target.name} could not be written: {error.strerror}.") from None
    return target


def path_of(folder: Path, model: Path, adapters: Sequence[AdapterSpec]) -> Path:
    """Return the path of the model's copy with merged adapters, which need not exist."""
    if not is_readable(model):
        raise ModelRefusedError(f"You may not read {model}. Ask its owner for access.")
    digests = (f"{_digest(Path(adapter.path))}={adapter.scale}" for adapter in adapters)
    identity = "|".join([_identity(model), *digests])
    return copy_path(folder, model, hashlib.blake2b(identity.encode(), digest_size=6).hexdigest())


def read_only_advice(folder: Path) -> str:
    """Return the advice for a read-only models folder."""
    how = "Its owner can create the copy with `jupyter turbopilot models pull`."
    return f"You may not write to {folder}. {how}"


def _identity(model: Path) -> str:
    """Return the identity of a model's file: its digest, or a fingerprint with its time if none is noted.

    The times of files change when they are copied or built into a container image.
    """
    noted = read_note(model)
    if noted.get("sha256") and noted.get("size") == size_of(model):
        return f"{noted['sha256']}|{sample(model)}"
    return stamp(model)


def merge(model: Path, adapters: Sequence[tuple[Path, float]], target: Path) -> Path:
    """Write a copy of a model with merged adapters; changed tensors are stored as Q8_0.

    At the original precision, rounding would undo most of the small changes.
    """
    header = read_header(model)
    deltas: dict[str, list[Delta]] = {}
    for path, scale in adapters:
        for name, delta in _deltas(path, scale, header):
            deltas.setdefault(name, []).append(delta)
    if not deltas:
        raise ModelRefusedError("The adapters contain no matrices. Remove them from the settings.")
    changes = {
        part.name: TensorChange(_kind(part), partial(_added, deltas=deltas[part.name]))
        for part in header.parts
        if part.name in deltas
    }
    return rewrite(model, target, changes)


def _tidy(folder: Path, model: Path) -> None:
    """Remove older copies of the same model; keep the latest for users who switch between adapters."""
    for path in sorted(copies(folder, model), key=_written)[:-MAX_COPIES]:
        with suppress(OSError):  # another process has it open, or has removed it
            remove_with_note(path)
            path.with_suffix(".lock").unlink(missing_ok=True)


def _written(path: Path) -> float:
    """Return a file's modification time; 0 if it no longer exists."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _digest(path: Path) -> str:
    check(path)
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def _kind(part: GGUFTensor) -> int:
    """Return the type of a changed tensor; unquantised tensors keep theirs."""
    if part.kind in UNQUANTISED:
        return part.kind
    return F16 if part.shape[0] % TYPES[Q8_0].block else Q8_0


def _deltas(path: Path, scale: float, model: Header) -> Iterator[tuple[str, Delta]]:
    """Iterate over an adapter's matrices; refuse an adapter of another model."""
    header = check(path, model.architecture)
    shapes = {part.name: part.shape for part in model.parts}
    parts = {part.name: part for part in header.parts}
    alpha = float(header.metadata.get("adapter.lora.alpha", 0.0))
    data = path.read_bytes()
    for name, part in parts.items():
        if not name.endswith(".lora_a"):
            continue
        matrix = name.removesuffix(".lora_a")
        other = parts.get(f"{matrix}.lora_b")
        shape = shapes.get(matrix)
        rank = part.shape[-1]
        fits = (
            other is not None
            and shape is not None
            and len(shape) == 2  # noqa: PLR2004 - a matrix
            and (part.shape, other.shape) == ((shape[0], rank), (rank, shape[1]))
        )
        if other is None or not fits:
            raise ModelRefusedError(
                f"{path.name} was trained for another model: the shape of {matrix} does not match."
            )
        a, b = (_matrix(data, header, one) for one in (part, other))
        yield matrix, (a * (scale * (alpha / rank if alpha else 1.0)), b)


def _matrix(data: bytes, header: Header, part: GGUFTensor) -> Any:
    import numpy as np

    if part.kind not in {F32, F16}:
        raise ModelRefusedError("Only adapters in F16 or F32 are supported.")
    kind = np.float32 if part.kind == F32 else np.float16
    numbers = np.frombuffer(data, kind, int(np.prod(part.shape)), header.start + part.offset)
    if not np.isfinite(numbers).all():
        raise ModelRefusedError(f"The adapter's {part.name} contains NaN or infinity: the file is damaged.")
    return numbers.reshape(part.shape[::-1]).astype(np.float32)


def _added(old: memoryview, part: GGUFTensor, deltas: Sequence[Delta]) -> Iterator[bytes]:
    """Dequantise a tensor a few rows at a time, add the deltas, and quantise it again."""
    import numpy as np
    from gguf import GGMLQuantizationType, quants

    width, rows = part.shape[0], int(np.prod(part.shape[1:]))
    kind = GGMLQuantizationType(_kind(part))
    for first in range(0, rows, _ROWS):
        count = min(_ROWS, rows - first)
        size = part.size // rows
        packed = np.frombuffer(bytes(old[first * size : (first + count) * size]), np.uint8)
        try:
            weights = quants.dequantize(packed.reshape(count, size), GGMLQuantizationType(part.kind))
        except NotImplementedError:
            raise ModelRefusedError(
                f"Tensors of type {part.kind} cannot be dequantised by the package gguf."
            ) from None
        weights = weights.reshape(count, width).astype(np.float32)
        for a, b in deltas:
            weights += b[first : first + count] @ a
        yield quants.quantize(weights, kind).tobytes()


@dataclass(frozen=True)
class TensorChange:
    """The new type of a tensor, and the function that computes its bytes."""

    kind: int
    make: Callable[[memoryview, GGUFTensor], Iterable[bytes]]


def rewrite(source: Path, target: Path, changes: Mapping[str, TensorChange]) -> Path:
    """Write a copy of a model with some tensors changed, atomically."""
    header = read_header(source)
    kinds = [changes[part.name].kind if part.name in changes else part.kind for part in header.parts]
    sizes = [
        part.size if kind == part.kind else TYPES[kind].size(prod(part.shape))
        for part, kind in zip(header.parts, kinds, strict=True)
    ]
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
        for part, size in zip(header.parts, sizes, strict=True):
            begin = header.start + part.offset
            with data[begin : begin + part.size] as old:
                if part.name in changes:
                    out.writelines(changes[part.name].make(old, part))
                else:
                    out.write(old)
            out.write(bytes(-size % alignment))
    return target
