"""A folder in Hugging Face's layout: its configuration and its tensors, read one at a time."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from jupyter_turbopilot.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Iterable

Array = np.ndarray[Any, Any]

PREFIXES = ("", "transformer.", "model.", "gpt_neox.")
MAX_TENSORS = 65_536
MAX_ELEMENTS = 1 << 40
LARGEST_JSON = 64 * 1024 * 1024
_TYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_IGNORED = {"BOOL", "U8", "I8", "I16", "I32", "I64"}  # masks and counters that old files hold


def need(package: str) -> ConversionError:
    """Say which package is missing."""
    return ConversionError(f'This needs {package}. Run: pip install "jupyter-turbopilot[convert]"')


def read_json(path: Path) -> dict[str, Any]:
    """Read a file of settings; a list or nonsense is refused."""
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise ConversionError(f"{path.name} is too large: the file is damaged.")
        settings = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConversionError(f"There is no {path.name} in {path.parent.name}.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ConversionError(f"{path.name} cannot be read ({type(error).__name__}).") from None
    if not isinstance(settings, dict):
        raise ConversionError(f"{path.name} does not hold settings.")
    return settings


class Config:
    """What a model says of itself in config.json; each value is checked when it is asked for."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    @property
    def family(self) -> str:
        """The architecture's name in transformers' terms."""
        return self.word("model_type")

    def _value(self, names: Iterable[str], default: Any) -> Any:
        for name in names:
            if self.values.get(name) is not None:
                return self.values[name]
        if default is None:
            raise ConversionError(f"config.json does not say {' or '.join(names)}.")
        return default

    def whole(self, *names: str, default: int | None = None) -> int:
        """Return a whole number above nothing."""
        value = self._value(names, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1 << 31:
            raise ConversionError(f"config.json has an impossible {names[0]}: {str(value)[:40]}.")
        return value

    def number(self, *names: str, default: float | None = None) -> float:
        """Return a finite number above nothing."""
        value = self._value(names, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConversionError(f"config.json has an impossible {names[0]}: {str(value)[:40]}.")
        if not (math.isfinite(value) and value > 0):
            raise ConversionError(f"config.json has an impossible {names[0]}: {value}.")
        return float(value)

    def word(self, *names: str, default: str | None = None) -> str:
        """Return a word."""
        value = self._value(names, default)
        if not isinstance(value, str):
            raise ConversionError(f"config.json has an impossible {names[0]}.")
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a yes or no."""
        value = self.values.get(name)
        return default if value is None else bool(value)

    def rope(self) -> dict[str, Any]:
        """Return how positions are turned; newer files keep all of it in one place."""
        rope = self.values.get("rope_parameters") or self.values.get("rope_scaling") or {}
        return rope if isinstance(rope, dict) else {}

    def theta(self) -> float:
        """Return the base of the rotation."""
        return Config({**self.values, **self.rope()}).number("rope_theta", "rotary_emb_base", default=1e4)

    def share(self, *names: str, default: float) -> float:
        """Return which part of each head is turned."""
        config = Config({**self.values, **self.rope()})
        return config.number("partial_rotary_factor", *names, default=default)

    def only(self, **allowed: str | bool | tuple[str, ...]) -> None:
        """Refuse settings that the recipe does not cover."""
        for name, covered in allowed.items():
            value, good = self.values.get(name), covered if isinstance(covered, tuple) else (covered,)
            if value is not None and value not in good:
                words = " or ".join(map(str, good))
                raise ConversionError(
                    f"{self.family} with {name} = {str(value)[:60]} is not supported; {words} is."
                )


@dataclass(frozen=True)
class Tensor:
    """A tensor in a file."""

    path: Path
    key: str
    shape: tuple[int, ...]
    kind: str
    offset: int | None = None  # in the file; none where torch has to read it

    def read(self) -> Array:
        """Map the tensor; nothing is copied where the file lays it out plainly."""
        if self.offset is None:
            return _torch_tensor(self.path, self.key)
        return np.memmap(self.path, dtype_of(self.kind), "r", self.offset, self.shape)


def dtype_of(kind: str) -> np.dtype[Any]:
    """Return numpy's type for a stored one."""
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
            raise ConversionError(f"{folder.name} is not a folder. Name the folder that holds config.json.")
        self.folder = folder
        self.config = Config(read_json(folder / "config.json"))
        self.tensors = _tensors(folder)
        self.used: set[str] = set()

    def find(self, name: str) -> Tensor | None:
        """Return a tensor by the name it has inside the model, whatever stands before it."""
        for prefix in PREFIXES:
            if tensor := self.tensors.get(prefix + name):
                self.used.add(prefix + name)
                return tensor
        return None

    def get(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """Return a tensor that has to be there, in this shape."""
        tensor = self.find(name)
        if tensor is None:
            raise ConversionError(f"The tensor {name} is missing.")
        if tensor.shape != shape:
            raise ConversionError(f"The tensor {name} is {list(tensor.shape)}, not {list(shape)}.")
        return tensor

    def left_over(self, ignored: tuple[str, ...]) -> list[str]:
        """Return tensors that no part of the recipe asked for."""
        return sorted(name for name in self.tensors if name not in self.used and not name.endswith(ignored))


def _tensors(folder: Path) -> dict[str, Tensor]:
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
                raise ConversionError(f"{file.name} holds a tensor with an impossible name.")
            if math.prod(tensor.shape) > MAX_ELEMENTS or not all(tensor.shape):
                raise ConversionError(f"The tensor {name} has an impossible shape: {list(tensor.shape)}.")
            tensors[name] = tensor
            if len(tensors) > MAX_TENSORS:
                raise ConversionError("There are too many tensors: the checkpoint is damaged.")
    return tensors


def _files(folder: Path, index: str, pattern: str) -> list[Path]:
    """Return the files that hold the weights: those that the index names, else all of the pattern."""
    if not (folder / index).is_file():
        return sorted(folder.glob(pattern))
    named = read_json(folder / index).get("weight_map")
    if not isinstance(named, dict) or not named or not all(isinstance(name, str) for name in named.values()):
        raise ConversionError(f"{index} does not say where the weights are.")
    names = sorted(set(named.values()))
    for name in names:
        if Path(name).name != name:
            raise ConversionError(f"{index} points out of the folder: {name[:80]!r}.")
        if not (folder / name).is_file():
            raise ConversionError(f"{index} names {name}, which is not there.")
    return [folder / name for name in names]


def _safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        raise need("safetensors") from None
    try:
        # It checks that sizes, offsets and the file's length agree.
        with safe_open(path, framework="np"):
            pass
    except (SafetensorError, OSError) as error:
        reason = str(error)[:200]
        raise ConversionError(f"{path.name} is damaged or incomplete: {reason}. Fetch it again.") from None
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


@lru_cache(maxsize=2)  # every tensor of a file asks for it
def _torch_load(path: Path) -> dict[str, Any]:
    try:
        import torch
    except ImportError:
        raise need("torch, to read .bin files") from None
    try:
        # Never anything but numbers: a pickle could run whatever it likes.
        weights = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # noqa: BLE001 - a damaged pickle raises whatever it likes
        kind = type(error).__name__
        raise ConversionError(f"{path.name} holds more than weights, or is damaged ({kind}).") from None
    if not isinstance(weights, dict):
        raise ConversionError(f"{path.name} does not hold weights by name.")
    return weights


def _torch_tensor(path: Path, key: str) -> Array:
    import torch

    value = _torch_load(path)[key].contiguous()
    if value.dtype is torch.bfloat16:
        array: Array = value.view(torch.int16).numpy().view(dtype_of("BF16"))
        return array
    plain: Array = value.numpy()
    return plain
