"""Adds adapters to the weights of a copy: what was learnt then costs nothing at each key."""

from __future__ import annotations

import hashlib
import mmap
import os
import shutil
import struct
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock

from jupyter_turbopilot.errors import ModelRefusedError
from jupyter_turbopilot.models.adapters import check
from jupyter_turbopilot.models.gguf import read_header, stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.models.gguf import Header, Part

COPIES = "tuned"  # the folder beside the models
KEPT = 2  # copies of one model
ROOM_TO_SPARE = 64 * 1024**2
_WHOLE = {0, 1, 30}  # F32, F16, BF16: such a tensor stays what it is
_F16, _Q8 = 1, 8
_Q8_BLOCK, _Q8_BYTES = 32, 34
_ROWS = 1024  # that are unpacked at a time

Delta = tuple[Any, Any]  # two thin matrices whose product is added


def fold(
    model: Path,
    adapters: Sequence[tuple[Path, float]],
    target: Path,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Path:
    """Write a copy of a model with adapters added; what they change is kept in 8 bits.

    Rounded again to the few bits it had, a weight would fall back to where it was: what is learnt is smaller
    than a step.
    """
    header = read_header(model)
    deltas = [delta for path, scale in adapters for delta in _deltas(path, scale, header)]
    if not deltas:
        raise ModelRefusedError("The adapters hold nothing.")
    changes: dict[str, list[Delta]] = {}
    for name, delta in deltas:
        changes.setdefault(name, []).append(delta)
    kinds = [_kind(part) if part.name in changes else part.kind for part in header.parts]
    sizes = [_size(part, kind) for part, kind in zip(header.parts, kinds, strict=True)]
    partial = target.with_name(f".{target.name}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(target.parent).free
        if free < sum(sizes) + ROOM_TO_SPARE:
            raise ModelRefusedError(
                f"A copy of the model with its adapters takes {sum(sizes) / 1e6:.0f} MB; "
                f"{free / 1e6:.0f} MB are free."
            )
        with (
            model.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as source,
            partial.open("wb") as out,
        ):
            out.write(source[: header.keys_end])
            offset = 0
            for part, kind, size in zip(header.parts, kinds, sizes, strict=True):
                called = part.name.encode()
                out.write(struct.pack("<Q", len(called)) + called + struct.pack("<I", len(part.shape)))
                out.write(struct.pack(f"<{len(part.shape)}QIQ", *part.shape, kind, offset))
                offset += _padded(size, header.alignment)
            out.write(bytes(-out.tell() % header.alignment))
            for number, (part, kind, size) in enumerate(zip(header.parts, kinds, sizes, strict=True)):
                progress(number, len(sizes))
                begin = header.start + part.offset
                if part.name in changes:
                    _write_changed(out, source, begin, part, kind, changes[part.name])
                else:
                    out.write(source[begin : begin + size])
                out.write(bytes(-size % header.alignment))
            out.flush()
            os.fsync(out.fileno())
        partial.replace(target)
    except OSError as error:
        raise ModelRefusedError(f"{target.name} could not be written: {error.strerror}.") from None
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return target


def _padded(size: int, alignment: int) -> int:
    return -(-size // alignment) * alignment


def _kind(part: Part) -> int:
    if part.kind in _WHOLE:
        return part.kind
    return _F16 if part.shape[0] % _Q8_BLOCK else _Q8


def _size(part: Part, kind: int) -> int:
    if kind == part.kind:
        return part.size
    count = int(np.prod(part.shape))
    return count * 2 if kind == _F16 else count // _Q8_BLOCK * _Q8_BYTES


def _deltas(path: Path, scale: float, model: Header) -> list[tuple[str, Delta]]:
    """Read an adapter's matrices; refuse one that is for another model."""
    header = check(path, model.architecture)
    shapes = {part.name: part.shape for part in model.parts}
    found = {part.name: part for part in header.parts}
    alpha = float(header.metadata.get("adapter.lora.alpha", 0.0))
    data = np.memmap(path, np.uint8, mode="r")
    deltas = []
    for name, part in found.items():
        if not name.endswith(".lora_a"):
            continue
        matrix = name.removesuffix(".lora_a")
        other = found.get(f"{matrix}.lora_b")
        shape = shapes.get(matrix)
        if other is None or shape is None or (part.shape[0], other.shape[1]) != shape[:2]:
            raise ModelRefusedError(f"{path.name} is for another model: {matrix} does not fit.")
        rank = part.shape[1]
        a, b = (_matrix(data, header, one) for one in (part, other))
        deltas.append((matrix, (a * (scale * (alpha / rank if alpha else 1.0)), b)))
    return deltas


def _matrix(data: Any, header: Header, part: Part) -> Any:
    if part.kind not in {0, 1}:
        raise ModelRefusedError("An adapter is kept in F16 or F32.")
    begin = header.start + part.offset
    kind = np.float32 if part.kind == 0 else np.float16
    return np.asarray(data[begin : begin + part.size]).view(kind).reshape(part.shape[::-1]).astype(np.float32)


def _write_changed(out: Any, source: Any, begin: int, part: Part, kind: int, deltas: Sequence[Delta]) -> None:
    """Unpack a tensor some rows at a time, add, and pack it again."""
    from gguf import GGMLQuantizationType, quants

    width, rows = part.shape[0], int(np.prod(part.shape[1:]))
    row = part.size // rows
    for first in range(0, rows, _ROWS):
        count = min(_ROWS, rows - first)
        packed = np.frombuffer(source, np.uint8, count * row, begin + first * row).reshape(count, row)
        try:
            weights = quants.dequantize(packed, GGMLQuantizationType(part.kind)).reshape(count, width)
        except NotImplementedError:
            raise ModelRefusedError(f"Tensors of type {part.kind} cannot be unpacked here.") from None
        weights = weights.astype(np.float32)
        for a, b in deltas:
            weights += b[first : first + count] @ a
        out.write(quants.quantize(weights, GGMLQuantizationType(kind)).tobytes())
        del packed


def folded(
    folder: Path,
    model: Path,
    adapters: Sequence[tuple[str, float]],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Path:
    """Return the copy of a model that holds these adapters; made where it is not there yet."""
    paths = [(Path(name), scale) for name, scale in adapters]
    said = "|".join([stamp(model), *(f"{_digest(path)}={scale}" for path, scale in paths)])
    key = hashlib.blake2b(said.encode(), digest_size=6).hexdigest()
    target = folder / COPIES / f"{model.stem}-{key}.gguf"
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_suffix(".lock")):
        if not target.is_file():
            fold(model, paths, target, progress)
            _tidy(target, model.stem)
    return target


def _digest(path: Path) -> str:
    check(path)
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def _tidy(newest: Path, stem: str) -> None:
    """Remove older copies of the same model; the last is left to who still goes back and forth."""
    found = sorted(copies(newest.parent, stem), key=lambda path: path.stat().st_mtime)
    for path in found[:-KEPT]:
        with suppress(OSError):  # somebody else has it open, or has removed it
            path.unlink()
            path.with_suffix(".lock").unlink(missing_ok=True)


def copies(folder: Path, stem: str) -> list[Path]:
    """Return the copies of a model in a folder of copies."""
    return [path for path in folder.glob("*.gguf") if path.stem.rpartition("-")[0] == stem]
