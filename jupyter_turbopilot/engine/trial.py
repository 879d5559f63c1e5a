"""Load a model in a child process first, and remember how that went."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.errors import CancelledError, ModelRefusedError
from jupyter_turbopilot.models.gguf import stamp

if TYPE_CHECKING:
    from jupyter_turbopilot.engine.machine import Plan

MAX_VERDICTS = 64
PROMPT = 48  # tokens


def ensure_loads(path: Path, plan: Plan, memory: Path, *, timeout: float, cancel: Cancel) -> None:
    """Return if a child process loads the model and runs it, now or earlier; else refuse it."""
    from jupyter_turbopilot.engine.llama import installed

    settings = f"{plan.context_size}|{plan.cells}|{plan.threads}|{plan.hardware.stamp}"
    triple = f"{path.resolve()}|{stamp(path)}|{installed()}|{settings}"
    key = hashlib.sha256(triple.encode()).hexdigest()[:32]
    verdicts = _read(memory)
    verdict = verdicts.get(key)
    if verdict is None:
        verdict = _try(path, plan, timeout, cancel)
        if cancel.is_set():
            raise CancelledError("The load was stopped.")
        verdicts = dict(list(_read(memory).items())[1 - MAX_VERDICTS :])
        verdicts[key] = verdict
        _write(memory, verdicts)
    if verdict != "ok":
        raise ModelRefusedError(
            f"{path.name} was tried in a process of its own and {verdict}. It is not loaded here. "
            "Fetch it again (`jupyter turbopilot models verify`), or choose another model; where every model "
            "crashes, the engine was built for another CPU or by a compiler with a fault: install it again "
            "as the README says."
        )


def _try(path: Path, plan: Plan, timeout: float, cancel: Cancel) -> str:
    command = [sys.executable, "-m", __name__, str(path), msgspec.json.encode(plan).decode()]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as child:
        end = time.monotonic() + timeout
        try:
            while child.poll() is None:
                if cancel.is_set() or time.monotonic() > end:
                    child.kill()
                    child.wait()
                    return f"did not answer within {timeout:.0f} seconds"
                with suppress(subprocess.TimeoutExpired):
                    child.wait(0.05)
        finally:
            if child.poll() is None:
                child.kill()
        if child.returncode == 0:
            return "ok"
        if child.returncode < 0:
            return f"it crashed (signal {-child.returncode})"
        said = (child.stderr.read() if child.stderr else b"").decode("utf-8", "replace").strip()
        last = said.splitlines()[-1][:300] if said else f"exit status {child.returncode}"
        return f"it failed ({last})"


def _read(memory: Path) -> dict[str, str]:
    try:
        found = json.loads(memory.read_text())
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def _write(memory: Path, verdicts: dict[str, str]) -> None:
    with suppress(OSError):  # a read-only folder costs another trial, nothing else
        memory.parent.mkdir(parents=True, exist_ok=True)
        fresh = memory.with_name(f"{memory.name}.{os.getpid()}")
        fresh.write_text(json.dumps(verdicts))
        fresh.replace(memory)


def main(arguments: list[str]) -> None:
    """Load the model, read a prompt and decode two tokens: the child's side."""
    from jupyter_turbopilot.engine.generation import Sampling, Usage
    from jupyter_turbopilot.engine.llama import LlamaEngine
    from jupyter_turbopilot.engine.machine import Plan
    from jupyter_turbopilot.engine.stepping import write

    path, plan = Path(arguments[0]), msgspec.json.decode(arguments[1], type=Plan)
    engine = LlamaEngine(
        path,
        name="trial",
        context_size=plan.context_size,
        threads=plan.threads,
        cells=plan.cells,
        hardware=plan.hardware,
    )
    # Long enough for a batch: engines compute those with other instructions than a single token.
    prompt = ((engine.tokenize("x = 1\n") or [0]) * PROMPT)[: min(PROMPT, engine.context_size // 2)]
    list(write(engine, prompt, Sampling(max_tokens=2), Usage(), Cancel()))


if __name__ == "__main__":
    from jupyter_turbopilot.errors import TurbopilotError

    try:
        main(sys.argv[1:])
    except TurbopilotError as problem:
        sys.exit(problem.message)
