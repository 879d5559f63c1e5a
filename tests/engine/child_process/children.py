"""Child processes for tests: a real one with a patched engine, or a shell script."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.child_process.engine import IsolatedEngine, load_in_child
from jupyter_turbopilot.engine.llama.engine import HostedLlama
from jupyter_turbopilot.engine.llama.vocabulary import load_vocabulary
from jupyter_turbopilot.engine.load.plan import LoadPlan

if TYPE_CHECKING:
    import pytest

PLAN = LoadPlan(context_size=512, threads=1, needs=0, parked=2048)
PYTHON = sys.executable
# Every batch waits for the interrupt, so that a test can act while a batch is running.
WAITS = """
    import time
    from pathlib import Path
    from jupyter_turbopilot.engine.llama.engine import LlamaEngine

    evaluate = LlamaEngine.evaluate

    def wait(self, rows, interrupt):
        while not Path("go").exists():
            if interrupt is None or not interrupt.is_set():
                Path("computing").touch()
                time.sleep(0.001)
            else:
                break
        return evaluate(self, rows, interrupt)

    LlamaEngine.evaluate = wait
"""


def load(model: Path, *, snapshot: str = "", cancel: Cancel | None = None, **limits: Any) -> IsolatedEngine:
    hosted = HostedLlama(str(model), PLAN, "tiny", snapshot=snapshot)
    limits = {"timeout": 60} | limits
    return load_in_child(hosted, partial(load_vocabulary, model), cancel or Cancel(), **limits)


def play(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Replace the child process by a shell script."""
    program = folder / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))


def change(folder: Path, monkeypatch: pytest.MonkeyPatch, changes: str) -> None:
    """Let the child process run this code first. Its working directory is `folder`."""
    script = folder / "changed.py"
    run = "from jupyter_turbopilot.engine.child_process import child\nchild.main()\n"
    script.write_text(f"{dedent(changes)}\n{run}")
    play(folder, monkeypatch, f'cd {folder} && exec {PYTHON} -P {script} "$4"')
