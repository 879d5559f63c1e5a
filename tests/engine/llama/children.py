"""Child processes for tests: a real one with a patched engine, or a shell script."""

from __future__ import annotations

import sys
from textwrap import dedent
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

PYTHON = sys.executable


def play(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Replace the child process by a shell script."""
    program = folder / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))


def change(folder: Path, monkeypatch: pytest.MonkeyPatch, changes: str) -> None:
    """Let the child process of a load test run this code first. Its working directory is `folder`."""
    script = folder / "changed.py"
    run = "from jupyter_turbopilot.engine.llama import load_test\nload_test.main()\n"
    script.write_text(f"{dedent(changes)}\n{run}")
    play(folder, monkeypatch, f'cd {folder} && exec {PYTHON} -P {script} "$4" "$5"')
