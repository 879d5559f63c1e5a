"""What a child process can host: each kind of engine with the arguments it is loaded with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from jupyter_turbopilot.engine.load.plan import Plan  # noqa: TC001 - read by msgspec

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
        from jupyter_turbopilot.engine.load.loader import load

        snapshot = Path(self.snapshot) if self.snapshot else None
        log_to_stderr()  # says why, should it fail
        engine = load(Path(self.path), self.plan, name=self.name, fim=self.fim, snapshot=snapshot)
        log_to_stderr(on=False)
        return engine


# Another kind of engine is another class with a tag, a name and a `load`, added with `|`.
Hosted = HostedLlama
