"""The command line as a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def jupyter(*arguments: object, into: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "jupyter"), "turbopilot", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=into, timeout=120)
