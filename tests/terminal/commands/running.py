"""Run the command line in this process or in a separate one."""

import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_turbopilot import cli


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run a command; return its exit status and output."""
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def jupyter(*arguments: object, into: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "jupyter"), "turbopilot", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=into, timeout=120)
