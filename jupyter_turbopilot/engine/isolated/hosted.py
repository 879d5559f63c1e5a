"""What a child process can host: each kind of engine with the arguments it is loaded with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from jupyter_turbopilot.engine.load.plan import Plan  # noqa: TC001 - read by msgspec
from jupyter_turbopilot.engine.transformers.checkpoint import TransformersOptions  # noqa: TC001 - likewise

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.base import Engine


class HostedLlama(Struct, frozen=True, tag="llama"):
    """A GGUF file in llama.cpp."""

    path: str
    plan: Plan
    name: str
    fim: str = "auto"
    snapshot: str = ""  # the file of its saved sequences; empty: none

    def load(self) -> Engine:
        """Load it: called in the child."""
        from jupyter_turbopilot.engine.llama.bindings import log_to_stderr
        from jupyter_turbopilot.engine.load.plan import load

        snapshot = Path(self.snapshot) if self.snapshot else None
        log_to_stderr()  # says why, should it fail
        engine = load(Path(self.path), self.plan, name=self.name, fim=self.fim, snapshot=snapshot)
        log_to_stderr(on=False)
        return engine


class HostedTransformers(Struct, frozen=True, tag="transformers"):
    """A checkpoint in transformers."""

    folder: str
    options: TransformersOptions
    name: str
    fim: str = "auto"

    def load(self) -> Engine:
        """Load it: called in the child."""
        from jupyter_turbopilot.engine.transformers.loader import load

        return load(Path(self.folder), self.options, name=self.name, fim=self.fim)


# Another kind of engine is another class with a tag, a name and a `load`, added with `|`.
Hosted = HostedLlama | HostedTransformers
