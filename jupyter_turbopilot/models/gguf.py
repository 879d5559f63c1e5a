"""Read a GGUF file's header and validate every count and offset before llama.cpp opens the file."""

from __future__ import annotations

import hashlib
import mmap
import os
import stat
import struct
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_turbopilot.models.ggml import REPACKED, tensor_type
from jupyter_turbopilot.protocol.errors import ModelRefusedError

if TYPE_CHECKING:
    from pathlib import Path

MAGIC = b"GGUF"
MAX_KEYS = 4096
MAX_TENSORS = 65_536
MAX_STRING = 16 * 1024 * 1024
MAX_ARRAY = 4_000_000
MAX_DIMS = 4
_SAMPLE = 64 * 1024  # bytes of each end of a file that identify it
_SCALARS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip
_STRING, _ARRAY = 8, 9


class GGUFTensor(NamedTuple):
    """One tensor of a file."""

    name: str
    shape: tuple[int, ...]
    kind: int
    size: int
    offset: int = 0  # relative to the first tensor

    @property
    def is_repacked(self) -> bool:
        """Whether llama.cpp computes with a repacked copy of it on a CPU."""
        matrix = len(self.shape) > 1 and self.shape[1] % 8 == 0 and not self.name.startswith("token_embd.")
        return matrix and self.kind in REPACKED


@dataclass(frozen=True)
class Header:
    """The file's metadata and tensor list; arrays are represented by their length."""

    metadata: dict[str, Any]
    parts: tuple[GGUFTensor, ...]
    file_size: int
    keys_end: int = 0  # end of the metadata, start of the tensor list
    end: int = 0  # end of the tensor list

    @property
    def parameters(self) -> int:
        """The number of parameters."""
        return sum(prod(part.shape) for part in self.parts)

    @property
    def architecture(self) -> str:
        """The architecture's name in llama.cpp."""
        return str(self.metadata.get("general.architecture", "unknown"))

    @property
    def alignment(self) -> int:
        """The alignment of tensors in bytes."""
        return int(self.metadata.get("general.alignment", 32))

    @property
    def start(self) -> int:
        """The offset of the first tensor."""
        return -(-self.end // self.alignment) * self.alignment

    @property
    def resident(self) -> int:
        """The memory for the weights on a CPU: mapped pages and repacked copies.

        llama.cpp unmaps the pages of repacked tensors only at the end of the file.
        """
        repacked = [part for part in self.parts if part.is_repacked]
        kept = max((part.offset + part.size for part in self.parts if not part.is_repacked), default=0)
        return self.file_size + sum(part.size for part in repacked if part.offset < kept)

    def number(self, key: str, default: int = 0) -> int:
        """Return an architecture-specific integer."""
        value = self.metadata.get(f"{self.architecture}.{key}", default)
        return value if isinstance(value, int) else default

    def kv_bytes(self, tokens: int) -> int:
        """Estimate the size of an F16 KV cache for that many tokens."""
        heads = max(1, self.number("attention.head_count", 1))
        width = self.number("embedding_length") // heads
        key = self.number("attention.key_length", width)
        value = self.number("attention.value_length", width)
        kv_heads = self.number("attention.head_count_kv", heads)
        return self.number("block_count") * tokens * kv_heads * (key + value) * 2


class _HeaderReader:
    def __init__(self, data: mmap.mmap, size: int) -> None:
        self.data = data
        self.size = size
        self.at = 0

    def need(self, count: int) -> int:
        if count < 0 or self.at + count > self.size:
            raise ModelRefusedError("The file ends inside its header: the file is damaged.")
        start = self.at
        self.at += count
        return start

    def scalar(self, form: str) -> Any:
        return struct.unpack_from(form, self.data, self.need(struct.calcsize(form)))[0]

    def string(self) -> str:
        length: int = self.scalar("<Q")
        if length > MAX_STRING:
            raise ModelRefusedError(f"The header contains a string of {length} bytes: the file is damaged.")
        start = self.need(length)
        return self.data[start : start + length].decode("utf-8", "replace")

    def skip_strings(self, count: int) -> None:
        # Vocabularies are the bulk of a header: avoid slices and calls per item.
        unpack, data, size, at = struct.Struct("<Q").unpack_from, self.data, self.size, self.at
        for _ in range(count):
            if at + 8 > size:
                raise ModelRefusedError("The file ends inside its vocabulary: the file is damaged.")
            length = unpack(data, at)[0]
            at += 8 + length
            if length > MAX_STRING or at > size:
                raise ModelRefusedError("The vocabulary ends in the middle: the file is damaged.")
        self.at = at

    def value(self, kind: int) -> Any:
        if kind in _SCALARS:
            return self.scalar(_SCALARS[kind])
        if kind == _STRING:
            return self.string()
        if kind != _ARRAY:
            raise ModelRefusedError(
                f"The header contains a value of unknown type {kind}: the file is damaged."
            )
        item = self.scalar("<I")
        count = self.scalar("<Q")
        if count > MAX_ARRAY:
            raise ModelRefusedError(f"The header contains a list of {count} items: the file is damaged.")
        if item == _STRING:
            self.skip_strings(count)
        elif item in _SCALARS:
            self.need(count * struct.calcsize(_SCALARS[item]))
        else:
            raise ModelRefusedError(
                f"The header contains a list of unknown type {item}: the file is damaged."
            )
        return count


def read_header(path: Path) -> Header:
    """Validate the file and return its header, or raise ModelRefusedError."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise ModelRefusedError(f"There is no file {path.name}.") from None
    except OSError as error:
        raise ModelRefusedError(f"{path.name} cannot be read: {error.strerror}.") from None
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        os.close(handle)
        raise ModelRefusedError(f"{path.name} is not a file.")
    with os.fdopen(handle, "rb") as file:
        if status.st_size < len(MAGIC) + 20:
            raise ModelRefusedError(f"{path.name} is too short to be a model: the file is damaged.")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _parse(_HeaderReader(data, status.st_size), path.name)


def has_header(path: Path) -> bool:
    """Return whether the file has the valid header of a whole model."""
    try:
        read_header(path)
    except ModelRefusedError:
        return False
    return True


def stamp(path: Path) -> str:
    """Return a fingerprint of a file, or of a folder's files, by time, size and content samples."""
    if path.is_dir():
        files = sorted(file for file in path.glob("[!.]*") if file.is_file())
        return "|".join(f"{file.name}|{stamp(file)}" for file in files)
    return f"{path.stat().st_mtime_ns}|{sample(path)}"


def sample(path: Path) -> str:
    """Return a fingerprint of a file by its size and content samples."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        found = hashlib.blake2b(file.read(_SAMPLE), digest_size=8)
        # Two trainings of one model have the same metadata and vocabulary at the beginning.
        file.seek(max(_SAMPLE, status.st_size - _SAMPLE))
        found.update(file.read(_SAMPLE))
    return f"{status.st_size}|{found.hexdigest()}"


def holds(path: Path, header: Header, text: str) -> bool:
    """Return whether the header contains a string, for example a token of the vocabulary."""
    data = text.encode()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        return mapped.find(struct.pack("<Q", len(data)) + data, 0, header.end) >= 0


def _parse(reader: _HeaderReader, name: str) -> Header:
    if reader.data[reader.need(4) : reader.at] != MAGIC:
        raise ModelRefusedError(f"{name} is not a GGUF file.")
    version = reader.scalar("<I")
    if version not in {2, 3}:
        raise ModelRefusedError(f"{name} is GGUF version {version}; versions 2 and 3 are supported.")
    tensors, keys = reader.scalar("<Q"), reader.scalar("<Q")
    if not 0 < tensors <= MAX_TENSORS or keys > MAX_KEYS:
        raise ModelRefusedError(f"{name} claims {tensors} tensors and {keys} keys: the file is damaged.")
    metadata: dict[str, Any] = {}
    for _ in range(keys):
        key = reader.string()
        if key in metadata:
            raise ModelRefusedError(f"{name} contains the key {key[:64]!r} twice: the file is damaged.")
        metadata[key] = reader.value(reader.scalar("<I"))
    if not isinstance(metadata.get("general.architecture"), str):
        raise ModelRefusedError(f"{name} does not name its architecture: the file is damaged.")
    alignment = metadata.get("general.alignment", 32)
    if not isinstance(alignment, int) or not 0 < alignment <= 1 << 20:
        raise ModelRefusedError(f"{name} has an invalid alignment: the file is damaged.")
    keys_end = reader.at
    parts, end = _read_tensor_infos(reader, tensors, name)
    start = -(-reader.at // alignment) * alignment
    if start + end > reader.size:
        raise ModelRefusedError(
            f"{name} ends {start + end - reader.size} bytes short of its last tensor: the file is damaged."
        )
    return Header(metadata, tuple(parts), reader.size, keys_end, reader.at)


def _read_tensor_infos(reader: _HeaderReader, tensors: int, name: str) -> tuple[list[GGUFTensor], int]:
    names: set[str] = set()
    parts: list[GGUFTensor] = []
    end = 0
    for _ in range(tensors):
        tensor = reader.string()
        if tensor in names:
            raise ModelRefusedError(f"{name} contains the tensor {tensor[:64]!r} twice: the file is damaged.")
        names.add(tensor)
        dims = reader.scalar("<I")
        if not 0 < dims <= MAX_DIMS:
            raise ModelRefusedError(f"{name} has a tensor of {dims} dimensions: the file is damaged.")
        shape = [reader.scalar("<Q") for _ in range(dims)]
        kind, offset = reader.scalar("<I"), reader.scalar("<Q")
        stored = tensor_type(kind)
        if 0 in shape or shape[0] % stored.block:
            raise ModelRefusedError(f"{name} has a tensor with an invalid shape: the file is damaged.")
        parts.append(GGUFTensor(tensor, tuple(shape), kind, stored.size(prod(shape)), offset))
        end = max(end, offset + parts[-1].size)
    return parts, end
