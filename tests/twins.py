"""What exists in Python and in TypeScript: the same cases for both, and a process that answers in TypeScript."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent / "golden"
FRONT = Path(__file__).parents[1] / "labextension"
BUNDLER = FRONT / "node_modules" / "esbuild" / "bin" / "esbuild"


def golden(name: str, key: str) -> list[Any]:
    """Return cases of `golden/NAME.json`, which `labextension/src/local/golden.test.ts` reads, too.

    A key begins with the function's name. A case has its arguments and, last, the result.
    """
    cases: dict[str, list[Any]] = json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
    return [tuple(case) for case in cases[key]]


def missing() -> str:
    """Say what a twin needs that is not here."""
    if not BUNDLER.is_file():
        return "the front end's packages are not installed (npm ci in labextension)"
    return "" if shutil.which("node") else "Node.js is not installed"


class Twins:
    """The functions of `labextension/src/local/testing/functions.ts`, by name."""

    def __init__(self, folder: Path) -> None:
        bundle = folder / "twins.mjs"
        entry = FRONT / "src" / "local" / "testing" / "serve.ts"
        options = ("--bundle", "--platform=node", "--format=esm", "--log-level=warning")
        subprocess.run([BUNDLER, entry, *options, f"--outfile={bundle}"], check=True, timeout=60)
        self._process = subprocess.Popen(
            [shutil.which("node") or "node", bundle],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def __call__(self, name: str, *given: Any) -> Any:
        """Answer a call."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin
        assert stdout
        stdin.write(json.dumps([name, given]) + "\n")
        stdin.flush()
        answer = json.loads(stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer.get("result")

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10)
        assert self._process.stdout
        self._process.stdout.close()
