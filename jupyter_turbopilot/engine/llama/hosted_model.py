"""A GGUF file that a child process loads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from jupyter_turbopilot.engine.load.plan import LoadPlan  # noqa: TC001 - needed by msgspec

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.base import Engine


class HostedLlama(Struct, frozen=True):
    """A GGUF file in llama.cpp."""

    path: str
    plan: LoadPlan
    name: str
    fim: str = "auto"
    snapshot: str = ""  # the file of its saved sequences; empty: none

    def load(self) -> Engine:
        from jupyter_turbopilot.engine.llama.bindings import log_to_stderr
        from jupyter_turbopilot.engine.llama.engine import LlamaEngine

        snapshot = Path(self.snapshot) if self.snapshot else None
        log_to_stderr()  # contains the reason for a failure
        engine = LlamaEngine(Path(self.path), self.plan, name=self.name, fim=self.fim, state=snapshot)
        log_to_stderr(on=False)
        return engine

    def build_command(self) -> str:
        from jupyter_turbopilot.engine.llama.install import build_command

        return build_command()
