"""Checkpoints in Hugging Face's layout: the configuration, and tensors that are loaded lazily."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np

from jupyter_turbopilot.models.checkpoint_config import Config, read_json
from jupyter_turbopilot.protocol.errors import ConversionError
from jupyter_turbopilot.util.failures import DAMAGED

Array = np.ndarray[Any, Any]

MAX_TENSORS = 65_536
MAX_ELEMENTS = 1 << 40
_PREFIXES = ("", "transformer.", "model.", "gpt_neox.")
_TYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_IGNORED = {"BOOL", "U8", "I8", "I16", "I32", "I64"}  # masks and counters in old files


def need(package: str, distribution: str = "jupyter-turbopilot[convert]") -> ConversionError:
    """Return the error for a missing package, with its installation command."""
    return ConversionError(f'This needs {package}. Run: python -m pip install "{distribution}"')


@dataclass(frozen=True)
class Tensor:
    """A tensor in a checkpoint file."""

    path: Path
    key: str
    shape: tuple[int, ...]
    kind: str
    offset: int | None = None  # in the file; None if torch has to load it

    def read(self) -> Array:
        """Return the tensor's values, memory-mapped where possible."""
        if self.offset is None:
            return _torch_tensor(self.path, self.key)
        return np.memmap(self.path, dtype_of(self.kind), "r", self.offset, self.shape)


def dtype_of(kind: str) -> np.dtype[Any]:
    """Return the numpy type of a stored type."""
    if kind == "BF16":
        try:
            import ml_dtypes
        except ImportError:
            raise need("ml_dtypes") from None
        brain: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return brain
    plain: np.dtype[Any] = np.dtype(_TYPES[kind]).newbyteorder("<")
    return plain


class Checkpoint:
    """A model's configuration and tensors."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise ConversionError(
                f"{folder.name} is not a folder. Pass the folder that contains config.json."
            )
        self.folder = folder
        self.config = Config(read_json(folder / "config.json"))
        self.tensors = find_tensors(folder)
        self.used: set[str] = set()

    def find(self, name: str) -> Tensor | None:
        """Return a tensor by its name without the usual prefixes, or None."""
        for prefix in _PREFIXES:
            if tensor := self.tensors.get(prefix + name):
                self.used.add(prefix + name)
                return tensor
        return None

    def get(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """Return a tensor that must exist with this shape."""
        tensor = self.find(name)
        if tensor is None:
            raise ConversionError(f"The tensor {name} is missing.")
        if tensor.shape != shape:
            raise ConversionError(f"The tensor {name} has the shape {list(tensor.shape)}, not {list(shape)}.")
        return tensor

    def unused_tensors(self, ignored: tuple[str, ...]) -> list[str]:
        """Return the tensors that the recipe did not use."""
        return sorted(name for name in self.tensors if name not in self.used and not name.endswith(ignored))


def find_tensors(folder: Path) -> dict[str, Tensor]:
    """Return all tensors of a folder by name."""
    files = _files(folder, "model.safetensors.index.json", "*.safetensors")
    read = _safetensors
    if not files:
        files, read = _files(folder, "pytorch_model.bin.index.json", "pytorch_model*.bin"), _torch_file
    if not files:
        raise ConversionError(f"There are no weights in {folder.name}: *.safetensors or pytorch_model*.bin.")
    tensors: dict[str, Tensor] = {}
    for file in files:
        for name, tensor in read(file).items():
            if name in tensors:
                raise ConversionError(f"The tensor {name[:80]!r} is in two files.")
            if not name.isprintable() or len(name) > 200:  # noqa: PLR2004
                raise ConversionError(f"{file.name} contains a tensor with an invalid name.")
            if math.prod(tensor.shape) > MAX_ELEMENTS or not all(tensor.shape):
                raise ConversionError(f"The tensor {name} has an invalid shape: {list(tensor.shape)}.")
            tensors[name] = tensor
            if len(tensors) > MAX_TENSORS:
                raise ConversionError(f"The checkpoint has more than {MAX_TENSORS} tensors: it is damaged.")
    return tensors


def _files(folder: Path, index: str, pattern: str) -> list[Path]:
    """Return the weight files: those listed in the index, otherwise those that match the pattern."""
    if not (folder / index).is_file():
        return sorted(folder.glob(pattern))
    named = read_json(folder / index).get("weight_map")
    if not isinstance(named, dict) or not named or not all(isinstance(name, str) for name in named.values()):
        raise ConversionError(f"{index} has no valid weight_map: the checkpoint is damaged.")
    names = sorted(set(named.values()))
    for name in names:
        if Path(name).name != name:
            raise ConversionError(f"{index} refers to a file outside the folder: {name[:80]!r}.")
        if not (folder / name).is_file():
            raise ConversionError(f"{index} lists {name}, which does not exist.")
    return [folder / name for name in names]


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise need("safetensors") from None
    try:
        # safe_open checks that sizes, offsets and the file's length agree.
        with safe_open(path, framework="np"):
            pass
    except (SafetensorError, OSError) as error:
        reason = str(error)[:200]
        raise ConversionError(f"{path.name} is damaged or incomplete: {reason}.") from None
    tensors: dict[str, Tensor] = {}
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    for name, entry in header.items():
        if name == "__metadata__" or entry["dtype"] in _IGNORED:
            continue
        if entry["dtype"] not in _TYPES:
            raise ConversionError(f"The tensor {name} is stored as {entry['dtype']}, which is not supported.")
        start = 8 + size + entry["data_offsets"][0]
        tensors[name] = Tensor(path, name, tuple(entry["shape"]), entry["dtype"], start)
    return tensors


def _torch_file(path: Path) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for name, value in _torch_load(path).items():
        if not hasattr(value, "dtype") or not value.dtype.is_floating_point:
            continue
        kind = str(value.dtype).removeprefix("torch.")
        known = {other: name for name, other in _TYPES.items()}
        if kind not in known:
            raise ConversionError(f"The tensor {name} is stored as {kind}, which is not supported.")
        tensors[str(name)] = Tensor(path, str(name), tuple(value.shape), known[kind])
    return tensors


@lru_cache(maxsize=2)  # called for each tensor of a file
def _torch_load(path: Path) -> dict[str, Any]:
    try:
        import torch
    except ImportError:
        raise need("torch, to read .bin files", "torch") from None
    try:
        # Load tensors only: unpickling anything else could run code.
        weights = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (*DAMAGED, UnpicklingError) as error:
        kind = type(error).__name__
        raise ConversionError(f"{path.name} is damaged, or contains more than weights ({kind}).") from None
    if not isinstance(weights, dict):
        raise ConversionError(f"{path.name} does not contain weights by name.")
    return weights


def _torch_tensor(path: Path, key: str) -> Array:
    import torch

    value = _torch_load(path)[key].contiguous()
    if value.dtype is torch.bfloat16:
        array: Array = value.view(torch.int16).numpy().view(dtype_of("BF16"))
        return array
    plain: Array = value.numpy()
    return plain
