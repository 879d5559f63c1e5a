"""A model that answers requests like a web page, in a Node.js process."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

from msgspec import structs, to_builtins

from jupyter_turbopilot.protocol.reply import Timings

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from typescript import FRONT, TypeScript

if TYPE_CHECKING:
    from jupyter_turbopilot.analysis.kernel_context import KernelContext
    from jupyter_turbopilot.protocol.request import Completion


@dataclass(frozen=True)
class PageAnswer:
    """A page's suggestion."""

    shown: str
    ms: float

    @property
    def items(self) -> list[PageAnswer]:
        """The suggestions, as in a server's reply."""
        return [self] if self.shown else []

    @property
    def timings(self) -> Timings:
        """The duration."""
        return Timings(total_ms=self.ms)


class PageModel:
    """A browser model, run by the page's own code and engine."""

    def __init__(self, model: Path, eagerness: str = "balanced") -> None:
        """`eagerness` is the default of requests."""
        self._eagerness: Any = eagerness
        self._folder = TemporaryDirectory()
        self._program = TypeScript(Path(__file__).with_suffix(".ts"), Path(self._folder.name))
        wasm = FRONT / "wasm" / "engine.wasm"
        self._ask({"model": str(model.resolve()), "wasm": str(wasm)})

    def last(self, request: Completion, kernel_context: KernelContext | None = None) -> PageAnswer:  # noqa: ARG002
        """Return the final answer."""
        eager = structs.replace(request, eagerness=request.eagerness or self._eagerness)
        return PageAnswer(**self._ask(to_builtins(eager)))

    def _ask(self, message: object) -> dict[str, Any]:
        return cast("dict[str, Any]", self._program.ask(message)) or {}

    def close(self) -> None:
        """End the process."""
        self._program.close()
        self._folder.cleanup()
