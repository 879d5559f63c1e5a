"""LoRA adapters of models; one may be bundled with the package."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.models.ggml import F16, F32
from jupyter_turbopilot.models.gguf import read_header
from jupyter_turbopilot.protocol.errors import BadRequestError, ModelRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jupyter_turbopilot.models.gguf import GGUFTensor, Header
    from jupyter_turbopilot.models.model import Model
    from jupyter_turbopilot.settings.config import Turbopilot

MAX_SCALE = 8.0
OURS = "default"  # the bundled adapter
_FOLDER = Path(__file__).parents[1] / "tuned"

Delta = tuple[Any, Any]  # two low-rank matrices whose product is added


class AdapterSpec(NamedTuple):
    """An adapter's file and its strength."""

    path: str
    scale: float = 1.0


def read_spec(spec: str) -> AdapterSpec:
    """Parse a path with an optional strength: `house.gguf=0.5`."""
    path, sign, scale = spec.rpartition("=")
    try:
        strength = float(scale) if sign else None
    except ValueError:
        strength = None
    if strength is None:
        path, strength = spec, 1.0  # the path itself may contain `=`
    elif not 0 < strength <= MAX_SCALE:
        raise BadRequestError(
            f"The strength of an adapter must be above 0 and at most {MAX_SCALE:.0f}, not {scale}.",
            field="adapters",
        )
    return AdapterSpec(str(Path(path).expanduser()), strength)


def ours(model: str) -> Path | None:
    """Return the bundled adapter of a model in the catalogue, or None."""
    path = _FOLDER / f"{model}.gguf"
    return path if path.is_file() else None


def chosen(specs: Iterable[str], model: str, *, configured: bool) -> tuple[AdapterSpec, ...]:
    """Return a model's adapters: the bundled one, and for the configured model also the others."""
    adapters = []
    for adapter in map(read_spec, specs):
        if adapter.path != OURS:
            if configured:
                adapters.append(adapter)
        elif path := ours(model):
            adapters.append(adapter._replace(path=str(path)))
    return tuple(adapters)


def adapters_of(settings: Turbopilot, model: Model) -> tuple[AdapterSpec, ...]:
    """Return the configured adapters of a model; only llama.cpp supports adapters."""
    if model.engine != "llama":
        return ()
    return chosen(settings.adapters, model.name, configured=model.name == find(settings.model).name)


def check(path: Path, architecture: str = "") -> Header:
    """Return an adapter's header; refuse files that llama.cpp rejects without a message or crashes on."""
    header = read_header(path)
    if header.metadata.get("general.type") != "adapter" or header.metadata.get("adapter.type") != "lora":
        raise ModelRefusedError(f"{path.name} is not a LoRA adapter in GGUF format.")
    alpha = header.metadata.get("adapter.lora.alpha", 0.0)
    if not isinstance(alpha, float) or not math.isfinite(alpha):
        raise ModelRefusedError(f"{path.name} has an invalid adapter.lora.alpha: the file is damaged.")
    if architecture and header.architecture != architecture:
        raise ModelRefusedError(
            f"{path.name} was trained for a {header.architecture} model, but this model is a {architecture}."
        )
    return header


def read_deltas(path: Path, scale: float, model: Header) -> Iterator[tuple[str, Delta]]:
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
