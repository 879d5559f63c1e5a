"""What a model was tuned to: small files beside it, one of which may come with us."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.errors import BadRequestError, ModelRefusedError
from jupyter_turbopilot.models.gguf import read_header

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyter_turbopilot.models.gguf import Header

MOST_SCALE = 8.0
OURS = "default"  # the adapter that comes with us, where the model has one
_FOLDER = Path(__file__).parent / "tuned"

Adapter = tuple[str, float]  # a path, and how strongly it counts


def read_spec(spec: str) -> Adapter:
    """Read a path, or a path and how strongly it counts: `notebooks.gguf=0.5`."""
    path, sign, scale = spec.rpartition("=")
    if not sign:
        return str(Path(spec).expanduser()), 1.0
    try:
        found = float(scale)
    except ValueError:
        return str(Path(spec).expanduser()), 1.0  # the path itself has such a sign in it
    if not 0 < found <= MOST_SCALE:
        raise BadRequestError(
            f"An adapter counts between 0 and {MOST_SCALE:.0f} times, not {scale}.", field="adapters"
        )
    return str(Path(path).expanduser()), found


def ours(model: str) -> Path | None:
    """Return the adapter that comes with us for a model of the catalogue."""
    path = _FOLDER / f"{model}.gguf"
    return path if path.is_file() else None


def chosen(specs: Iterable[str], model: str, *, configured: bool) -> tuple[Adapter, ...]:
    """Return a model's adapters: ours for the one it was made for, the others for the configured one."""
    found = []
    for name, scale in map(read_spec, specs):
        if name != OURS:
            if configured:
                found.append((name, scale))
        elif path := ours(model):
            found.append((str(path), scale))
    return tuple(found)


def check(path: Path, architecture: str = "") -> Header:
    """Return the header of an adapter; refuse in words what llama.cpp would refuse without, or worse."""
    header = read_header(path)
    if header.metadata.get("general.type") != "adapter" or header.metadata.get("adapter.type") != "lora":
        raise ModelRefusedError(f"{path.name} is no LoRA adapter.")
    if architecture and header.architecture != architecture:
        raise ModelRefusedError(
            f"{path.name} was trained for a {header.architecture}, and the model is a {architecture}."
        )
    return header
