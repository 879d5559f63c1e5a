"""A TypeScript program that answers lines of JSON, in a Node.js process."""

from __future__ import annotations

import json
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, cast

FRONT = Path(__file__).resolve().parent.parent / "labextension"
BUNDLER = FRONT / "node_modules" / "esbuild" / "bin" / "esbuild"


class TypeScript:
    """A program that runs until it is closed."""

    def __init__(self, entry: Path, folder: Path) -> None:
        """`folder` receives the bundle and the program's standard error."""
        bundle = folder / f"{entry.stem}.mjs"
        options = ("--bundle", "--platform=node", "--format=esm", "--log-level=warning")
        subprocess.run([BUNDLER, entry, *options, f"--outfile={bundle}"], check=True, timeout=60)
        self._said = folder / "stderr"
        with self._said.open("wb") as text:
            self._process = subprocess.Popen(
                [shutil.which("node") or "node", bundle],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=text,
                encoding="utf-8",
            )
        self._stdin = cast("IO[str]", self._process.stdin)
        self._stdout = cast("IO[str]", self._process.stdout)

    def ask(self, message: object) -> Any:
        """Send a message; return the answer."""
        with suppress(BrokenPipeError):  # the missing answer is reported below
            self._stdin.write(json.dumps(message) + "\n")
            self._stdin.flush()
        if not (line := self._stdout.readline()):
            self._process.wait(10)
            raise RuntimeError(f"Node.js has ended:\n{self._said.read_text('utf-8', 'replace')}")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait(10)
        with suppress(BrokenPipeError):
            self._stdin.close()
        self._stdout.close()
