"""A folder in Hugging Face's layout: a model's configuration and its tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_turbopilot.errors import ConversionError
from jupyter_turbopilot.models.convert.config import Config, read_json
from jupyter_turbopilot.models.convert.weights import find_tensors

if TYPE_CHECKING:
    from pathlib import Path

    from jupyter_turbopilot.models.convert.weights import Tensor

PREFIXES = ("", "transformer.", "model.", "gpt_neox.")


class Checkpoint:
    """A model's configuration and tensors."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise ConversionError(f"{folder.name} is not a folder. Name the folder that holds config.json.")
        self.folder = folder
        self.config = Config(read_json(folder / "config.json"))
        self.tensors = find_tensors(folder)
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
