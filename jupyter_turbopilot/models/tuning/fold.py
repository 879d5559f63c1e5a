"""Adds adapters to the weights of a copy: what was learnt then costs nothing at each key.

NumPy is imported only when something is computed: a server looks up a copy's path when it starts, and must
answer quickly.
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

from jupyter_turbopilot.errors import ModelRefusedError
from jupyter_turbopilot.files import is_forbidden, is_readable, need_room, size_of, write_atomically
from jupyter_turbopilot.models.folder import copies, copy_path, read_note, remove_with_note, write_note
from jupyter_turbopilot.models.ggml import F16, F32, Q8_0, TYPES, UNQUANTISED
from jupyter_turbopilot.models.gguf import has_header, read_header, sample, stamp
from jupyter_turbopilot.models.tuning.adapters import check

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from jupyter_turbopilot.models.gguf import Header, Part
    from jupyter_turbopilot.models.tuning.adapters import AdapterSpec

KEPT = 2  # copies of one model
_ROWS = 1024  # that are unpacked at a time

Delta = tuple[Any, Any]  # two thin matrices whose product is added


def folded(folder: Path, model: Path, adapters: Sequence[AdapterSpec]) -> Path:
    """Return the copy of a model that holds these adapters; made where it is not there yet."""
    paths = [(Path(adapter.path), adapter.scale) for adapter in adapters]
    target = place_of(folder, model, adapters)
    if target.is_file():  # in a folder that is another's, not even its lock could be taken
        if not is_readable(target):
            raise ModelRefusedError(f"You may not read {target}. Ask whoever keeps it.")
        if has_header(target):
            return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_suffix(".lock")):
            if not (target.is_file() and has_header(target)):
                fold(model, paths, target)
                write_note(target, f"{model.name} with {len(paths)} adapters")
                _tidy(folder, model)
    except OSError as error:
        if is_forbidden(error):
            raise ModelRefusedError(
                f"{model.name} has no copy with its adapters. {kept_by(folder)}"
            ) from None
        raise ModelRefusedError(f"{target.name} could not be written: {error.strerror}.") from None
    return target


def place_of(folder: Path, model: Path, adapters: Sequence[AdapterSpec]) -> Path:
    """Return where the copy of a model that holds these adapters is, or would be."""
    if not is_readable(model):
        raise ModelRefusedError(f"You may not read {model}. Ask whoever keeps it.")
    digests = (f"{_digest(Path(adapter.path))}={adapter.scale}" for adapter in adapters)
    identity = "|".join([_identity(model), *digests])
    return copy_path(folder, model, hashlib.blake2b(identity.encode(), digest_size=6).hexdigest())


def kept_by(folder: Path) -> str:
    """Say who makes a copy where the folder of models is read-only."""
    how = "whoever keeps it makes the copy with `jupyter turbopilot models pull`."
    return f"You may not write to {folder}: {how}"


def _identity(model: Path) -> str:
    """Return what distinguishes a model's file; its time only where no digest is noted.

    Files that are put into a container's image, or copied for a class, get other times.
    """
    noted = read_note(model)
    if noted.get("sha256") and noted.get("size") == size_of(model):
        return f"{noted['sha256']}|{sample(model)}"
    return stamp(model)


def fold(model: Path, adapters: Sequence[tuple[Path, float]], target: Path) -> Path:
    """Write a copy of a model with adapters added; what they change is kept in 8 bits.

    Rounded again to the few bits it had, a weight would fall back to where it was: what is learnt is smaller
    than a step.
    """
    header = read_header(model)
    deltas: dict[str, list[Delta]] = {}
    for path, scale in adapters:
        for name, delta in _deltas(path, scale, header):
            deltas.setdefault(name, []).append(delta)
    if not deltas:
        raise ModelRefusedError("The adapters hold no matrices. Leave them out.")
    changes = {
        part.name: Change(_kind(part), partial(_added, deltas=deltas[part.name]))
        for part in header.parts
        if part.name in deltas
    }
    return rewrite(model, target, changes)


def _tidy(folder: Path, model: Path) -> None:
    """Remove older copies of the same model; the last is left to who still goes back and forth."""
    for path in sorted(copies(folder, model), key=_written)[:-KEPT]:
        with suppress(OSError):  # another process has it open, or has removed it
            remove_with_note(path)
            path.with_suffix(".lock").unlink(missing_ok=True)


def _written(path: Path) -> float:
    """Return when a file was written; one that has gone meanwhile counts as the oldest."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _digest(path: Path) -> str:
    check(path)
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def _kind(part: Part) -> int:
    """Return how a tensor is kept that is changed: what was not quantised stays what it is."""
    if part.kind in UNQUANTISED:
        return part.kind
    return F16 if part.shape[0] % TYPES[Q8_0].block else Q8_0


def _deltas(path: Path, scale: float, model: Header) -> Iterator[tuple[str, Delta]]:
    """Read an adapter's matrices; refuse one that is for another model."""
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
            raise ModelRefusedError(f"{path.name} is for another model: {matrix} does not fit.")
        a, b = (_matrix(data, header, one) for one in (part, other))
        yield matrix, (a * (scale * (alpha / rank if alpha else 1.0)), b)


def _matrix(data: bytes, header: Header, part: Part) -> Any:
    import numpy as np

    if part.kind not in {F32, F16}:
        raise ModelRefusedError("Only adapters in F16 or F32 are supported.")
    kind = np.float32 if part.kind == F32 else np.float16
    numbers = np.frombuffer(data, kind, int(np.prod(part.shape)), header.start + part.offset)
    if not np.isfinite(numbers).all():
        raise ModelRefusedError(f"The adapter's {part.name} holds NaN or infinity: the file is damaged.")
    return numbers.reshape(part.shape[::-1]).astype(np.float32)


def _added(old: memoryview, part: Part, deltas: Sequence[Delta]) -> Iterator[bytes]:
    """Unpack a tensor some rows at a time, add, and pack it again."""
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
            raise ModelRefusedError(f"Tensors of type {part.kind} cannot be unpacked here.") from None
        weights = weights.reshape(count, width).astype(np.float32)
        for a, b in deltas:
            weights += b[first : first + count] @ a
        yield quants.quantize(weights, kind).tobytes()


@dataclass(frozen=True)
class Change:
    """How a tensor is kept from now on, and what makes its bytes of what it was."""

    kind: int
    make: Callable[[memoryview, Part], Iterable[bytes]]


def rewrite(source: Path, target: Path, changes: Mapping[str, Change]) -> Path:
    """Write the file beside its place, then put it there at once; what is not finished is never left."""
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
