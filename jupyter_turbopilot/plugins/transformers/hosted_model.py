"""A checkpoint that a child process loads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from jupyter_turbopilot.plugins.transformers.checkpoint import TransformersOptions, load
from jupyter_turbopilot.plugins.transformers.packages import install

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.base import Engine


class HostedTransformers(Struct, frozen=True):
    """A checkpoint in transformers."""

    folder: str
    options: TransformersOptions
    name: str
    fim: str = "auto"

    def load(self) -> Engine:
        return load(Path(self.folder), self.options, name=self.name, fim=self.fim)

    def build_command(self) -> str:
        return f"{install('torch')} --force-reinstall"
