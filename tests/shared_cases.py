"""Functions that exist in Python and TypeScript: shared test cases, and a process that runs the latter."""

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

from typescript import BUNDLER, FRONT, TypeScript

from jupyter_turbopilot.context import private

GOLDEN = Path(__file__).parent / "golden"
# The rows of secrets, of which the page has those that are not `server_only`.
SECRETS: dict[str, Any] = tomllib.loads(Path(private.__file__).with_name("secrets.toml").read_text("utf-8"))
KEY_ROWS = [row for name in ("texts", "keys", "tokens") for row in SECRETS["rows"][name]]


def golden(name: str, *keys: str) -> list[Any]:
    """Return cases of `golden/NAME.json`, which `labextension/src/local/golden.test.ts` reads, too.

    A key begins with the function's name. A case contains the arguments and, last, the result. For keys that end
    with ` (server only)`, the front end's test checks that its functions return another result.
    """
    cases: dict[str, list[Any]] = json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
    return [tuple(case) for key in keys for case in cases[key]]


def missing() -> str:
    """Return which requirement is missing, or an empty string."""
    if not BUNDLER.is_file():
        return "the front end's packages are not installed (npm ci in labextension)"
    return "" if shutil.which("node") else "Node.js is not installed"


class Twins:
    """The functions of `labextension/src/local/testing/functions.ts`, by name."""

    def __init__(self, folder: Path) -> None:
        self._program = TypeScript(FRONT / "src" / "local" / "testing" / "serve.ts", folder)

    def __call__(self, name: str, *given: Any) -> Any:
        """Call a function."""
        answer = self._program.ask([name, given])
        assert "error" not in answer, answer["error"]
        return answer.get("result")

    def close(self) -> None:
        """Stop the process."""
        self._program.close()
