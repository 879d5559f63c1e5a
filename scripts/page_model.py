"""A model that answers requests as a page does, in a process of Node.js."""

from __future__ import annotations

import json
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, TYPE_CHECKING, Any, cast

from msgspec import structs, to_builtins

from jupyter_turbopilot.reply import Timings

if TYPE_CHECKING:
    from jupyter_turbopilot.context.facts import Facts
    from jupyter_turbopilot.request import Completion

FRONT = Path(__file__).resolve().parent.parent / "labextension"


@dataclass(frozen=True)
class PageAnswer:
    """What a page would show, and what the model wrote for it."""

    text: str
    ended: bool
    tokens: list[tuple[str, float]]
    ms: float

    @property
    def items(self) -> list[PageAnswer]:
        """The answers there are, as a server's reply has them."""
        return [self] if self.text else []

    @property
    def timings(self) -> Timings:
        """How long it took."""
        return Timings(total_ms=self.ms)


class PageModel:
    """A model for the browser, run by the page's own code and engine."""

    def __init__(self, model: Path, name: str, eagerness: str = "balanced") -> None:
        """`name` chooses the coefficients of the gate; `eagerness` is that of requests that name none."""
        self._eagerness: Any = eagerness
        self._folder = TemporaryDirectory()
        bundle = Path(self._folder.name) / "page_model.mjs"
        bundler = FRONT / "node_modules" / "esbuild" / "bin" / "esbuild"
        options = ("--bundle", "--platform=node", "--format=esm", "--log-level=warning")
        entry = Path(__file__).with_suffix(".ts")
        subprocess.run([bundler, entry, *options, f"--outfile={bundle}"], check=True, timeout=60)
        self._said = Path(self._folder.name) / "stderr"
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                [shutil.which("node") or "node", bundle],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                encoding="utf-8",
            )
        wasm = FRONT / "wasm" / "engine.wasm"
        self._ask({"name": name, "model": str(model.resolve()), "wasm": str(wasm)})

    def last(self, request: Completion, facts: Facts | None = None) -> PageAnswer:  # noqa: ARG002
        """Return the whole answer."""
        eager = structs.replace(request, eagerness=request.eagerness or self._eagerness)
        return PageAnswer(**self._ask(to_builtins(eager)))

    def _ask(self, message: object) -> dict[str, Any]:
        stdin, stdout = cast("IO[str]", self._process.stdin), cast("IO[str]", self._process.stdout)
        with suppress(BrokenPipeError):  # then there is no answer either
            stdin.write(json.dumps(message) + "\n")
            stdin.flush()
        if not (line := stdout.readline()):
            self._process.wait(10)
            raise RuntimeError(f"Node.js has ended:\n{self._said.read_text('utf-8', 'replace')}")
        return cast("dict[str, Any]", json.loads(line)) or {}

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait(10)
        self._folder.cleanup()
