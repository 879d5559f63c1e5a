"""Merge adapters into a copy of a model, which removes their cost at inference.

NumPy is imported only to compute: at startup a server only needs the copy's path.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import platform
import struct
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from jupyter_turbopilot.models.folder import copies, copy_path, read_note, remove_with_note, write_note
from jupyter_turbopilot.models.ggml import FILE_NUMBERS, TYPES
from jupyter_turbopilot.models.gguf import has_header, read_header, sample, stamp
from jupyter_turbopilot.models.tuning.adapters import check, read_deltas
from jupyter_turbopilot.models.tuning.recipe import (
    LAYERS,
    RECIPE,
    importance_of,
    kind_of,
    matrix_path,
    read_importance,
)
from jupyter_turbopilot.protocol.errors import CancelledError, ModelRefusedError
from jupyter_turbopilot.util.files import is_forbidden, is_readable, need_room, size_of, write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from jupyter_turbopilot.models.gguf import GGUFTensor
    from jupyter_turbopilot.models.tuning.adapters import AdapterSpec, Delta
    from jupyter_turbopilot.models.tuning.recipe import Importance

MAX_COPIES = 2  # of one model and user, each with other adapters
_NUMBERS = 1 << 20  # dequantised at a time in each thread, which takes about 25 MB

Quantise = Callable[[int, Any, Any], bytes]  # of a type, the importance of each column, and rows of float32


def merged_copy(
    folder: Path,
    model: Path,
    adapters: Sequence[AdapterSpec],
    quantise: Quantise,
    threads: int = 1,
    cancelled: Callable[[], bool] = bool,
) -> Path:
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
        with FileLock(target.with_suffix(".lock")).acquire(cancel_check=cancelled):
            if not (target.is_file() and has_header(target)):
                merge(model, paths, target, quantise, threads)
                key = f"{model.resolve()}|{platform.machine()}|{_digests(adapters)}"
                write_note(target, f"{model.name} with {len(paths)} adapters", key=key)
                _tidy(folder, model, target, key)
    except Timeout:  # also an OSError: while another process makes the copy
        raise CancelledError("Merging the adapters was cancelled.") from None
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
    importance = (matrix_path(Path(adapter.path)) for adapter in adapters)
    recipe = [LAYERS, RECIPE, *(_digest(path) for path in importance if path.is_file())]
    identity = f"{_identity(model)}|{_digests(adapters)}|{recipe}"
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


def merge(
    model: Path, adapters: Sequence[tuple[Path, float]], target: Path, quantise: Quantise, threads: int = 1
) -> Path:
    """Write a copy of a model with merged adapters and the types of the recipe."""
    header = read_header(model)
    deltas: dict[str, list[Delta]] = {}
    importance: Importance = {}
    unweighted: set[str] = set()
    for path, scale in adapters:
        matrix = read_importance(path)
        importance |= matrix
        for name, delta in read_deltas(path, scale, header):
            deltas.setdefault(name, []).append(delta)
            if not matrix:
                unweighted.add(name)
    if not deltas:
        raise ModelRefusedError("The adapters contain no matrices. Remove them from the settings.")
    changes: dict[str, TensorChange] = {}
    with ThreadPoolExecutor(threads, initializer=_lower_priority) as pool:
        for part in header.parts:
            added = deltas.get(part.name, ())
            kind = kind_of(part, importance, changed=bool(added), lacks_importance=part.name in unweighted)
            if added or kind != part.kind:
                pack = partial(quantise, kind, importance_of(part, importance))
                make = partial(_added, deltas=added, pack=pack, pool=pool, ahead=2 * threads)
                changes[part.name] = TensorChange(kind, make)
        return rewrite(model, target, changes)


def _lower_priority() -> None:
    """Lower this thread's priority: the user may be working."""
    if sys.platform == "linux":  # elsewhere threads have no niceness of their own
        thread = threading.get_native_id()
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, max(10, os.getpriority(os.PRIO_PROCESS, thread)))


def _tidy(folder: Path, model: Path, latest: Path, key: str) -> None:
    """Remove this user's older copies of a model: those with the same adapters, and all but the latest other.

    Users who switch between adapters need two. The copies of other users may be in use elsewhere.
    """
    owner = latest.stat().st_uid
    dated: list[tuple[float, Path]] = []
    for path in copies(folder, model):
        with suppress(OSError):  # another process has removed it
            if path != latest and (status := path.stat()).st_uid == owner:
                dated.append((status.st_mtime, path))
    mine = [path for _, path in sorted(dated)]
    others = [path for path in mine if read_note(path).get("key") != key]
    for path in {*mine} - {*others[1 - MAX_COPIES :]}:
        with suppress(OSError):  # another process has it open, or has removed it
            remove_with_note(path)
            path.with_suffix(".lock").unlink(missing_ok=True)


def _digests(adapters: Sequence[AdapterSpec]) -> str:
    for adapter in adapters:
        check(Path(adapter.path))
    return "|".join(f"{_digest(Path(adapter.path))}={adapter.scale}" for adapter in adapters)


def _digest(path: Path) -> str:
    return hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()


def _added(
    old: memoryview,
    part: GGUFTensor,
    deltas: Sequence[Delta],
    pack: Callable[[Any], bytes],
    pool: ThreadPoolExecutor,
    ahead: int,
) -> Iterator[bytes]:
    """Dequantise a tensor a few rows at a time, add the deltas, and quantise it again.

    `ahead`: how many pieces are computed before they can be written, so that all threads have work.
    """
    import numpy as np
    from gguf import GGMLQuantizationType, quants

    width, rows = part.shape[0], prod(part.shape[1:])
    size, step = part.size // rows, max(1, _NUMBERS // width)

    def made(first: int) -> bytes:
        packed = np.frombuffer(bytes(old[first * size : (first + step) * size]), np.uint8)
        try:
            weights = quants.dequantize(packed.reshape(-1, size), GGMLQuantizationType(part.kind))
        except NotImplementedError:
            raise ModelRefusedError(
                f"Tensors of type {part.kind} cannot be dequantised by the package gguf."
            ) from None
        weights = weights.reshape(-1, width).astype(np.float32)
        for a, b in deltas:
            weights += b[first : first + step] @ a
        if not np.isfinite(weights).all():  # llama.cpp would end the process
            raise ModelRefusedError(f"The model's {part.name} contains NaN or infinity: the file is damaged.")
        return pack(weights)

    futures: deque[Future[bytes]] = deque()
    try:
        for first in range(0, rows, step):
            if len(futures) > ahead:
                yield futures[0].result()
                futures.popleft()
            futures.append(pool.submit(made, first))
        while futures:
            yield futures[0].result()
            futures.popleft()
    finally:  # the threads must not read a closed file
        for future in futures:
            future.cancel()
        wait(futures)


@dataclass(frozen=True)
class TensorChange:
    """The new type of a tensor, and the function that computes its bytes."""

    kind: int
    make: Callable[[memoryview, GGUFTensor], Iterable[bytes]]


def rewrite(source: Path, target: Path, changes: Mapping[str, TensorChange]) -> Path:
    """Write a copy of a model with some tensors changed, atomically."""
    header = read_header(source)
    if unknown := next((part for part in header.parts if part.kind not in TYPES), None):
        raise ModelRefusedError(f"{source.name} has tensors of an unknown type, {unknown.kind}.")
    parts = [
        (old, old.kind, old.size)
        if old.name not in changes or (kind := changes[old.name].kind) == old.kind
        else (old, kind, TYPES[kind].size(prod(old.shape)))
        for old in header.parts
    ]
    # llama.cpp copies repacked tensors, and unmaps their pages at the end of the file.
    parts.sort(key=lambda part: part[0]._replace(kind=part[1]).is_repacked)
    alignment = header.alignment
    need_room(target, sum(size for _, _, size in parts), ModelRefusedError)
    with (
        write_atomically(target, ModelRefusedError) as partial,
        source.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
        memoryview(mapped) as data,
        partial.open("wb") as out,
    ):
        out.write(_with_file_type(bytes(data[: header.keys_end]), parts))
        offset = 0
        for part, kind, size in parts:
            name = part.name.encode()
            out.write(struct.pack("<Q", len(name)) + name + struct.pack("<I", len(part.shape)))
            out.write(struct.pack(f"<{len(part.shape)}QIQ", *part.shape, kind, offset))
            offset += -(-size // alignment) * alignment
        out.write(bytes(-out.tell() % alignment))
        for part, _, size in parts:
            begin = header.start + part.offset
            with data[begin : begin + part.size] as old:
                if part.name in changes:
                    out.writelines(changes[part.name].make(old, part))
                else:
                    out.write(old)
            out.write(bytes(-size % alignment))
    return target


def _with_file_type(keys: bytes, parts: Iterable[tuple[GGUFTensor, int, int]]) -> bytes:
    """Return a file's metadata with the type of most weights."""
    weights: Counter[int] = Counter()
    for part, kind, _ in parts:
        weights[kind] += prod(part.shape)
    name, key = TYPES[weights.most_common(1)[0][0]].name, b"general.file_type"
    before, found, after = keys.partition(struct.pack("<Q", len(key)) + key + struct.pack("<I", 4))
    if not found or name not in FILE_NUMBERS:
        return keys
    return before + found + struct.pack("<I", FILE_NUMBERS[name]) + after[4:]
