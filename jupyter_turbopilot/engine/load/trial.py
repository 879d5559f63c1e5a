"""Load a model in a child process first, and remember how that went."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO, NamedTuple

import msgspec

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.load.machine import processor
from jupyter_turbopilot.engine.load.plan import Plan, load
from jupyter_turbopilot.errors import CancelledError, ModelRefusedError
from jupyter_turbopilot.files import read_object, replace_content
from jupyter_turbopilot.models.gguf import stamp

MAX_VERDICTS = 64
PROMPT = 48  # tokens
REFUSED = 3  # the child's exit status if the file is at fault
# Signals that the file or the engine causes. Others come from outside: SIGKILL is how a system short of
# memory ends a process, SIGTERM and SIGINT are sent by people and programs.
_CRASHES = {
    int(number)
    for name in ("SIGSEGV", "SIGABRT", "SIGILL", "SIGFPE", "SIGBUS", "SIGTRAP", "SIGSYS")
    if (number := getattr(signal, name, None)) is not None
}
_KILLED = 9  # SIGKILL, which Windows does not name
_WINDOWS_CRASH = 0xC0000000  # statuses from here on are exceptions that nobody handled
_NO_MEMORY = re.compile(
    r"bad_alloc|(failed|unable|cannot|could not) (to )?(re)?alloc|out of memory|MemoryError", re.IGNORECASE
)
_NOT_READ = re.compile(r"failed to open|read error|too many open files|input/output error", re.IGNORECASE)
_OUTPUT = 64 * 1024  # bytes of the child's error output that are read


class TrialVerdict(NamedTuple):
    """How a trial went; `lasting` if the same file, engine and settings would give the same result again."""

    words: str
    lasting: bool
    code: str = "model_refused"


OK = TrialVerdict("ok", lasting=True)


def ensure_loads(path: Path, plan: Plan, memory: Path, *, timeout: float, cancel: Cancel) -> None:
    """Refuse a model unless a child process can load and run it, or could earlier."""
    key = _key(path, plan)
    known = _read(memory).get(key)
    verdict = TrialVerdict(known, lasting=True) if known else _try(path, plan, timeout, cancel)
    if cancel.is_set():
        raise CancelledError("The load was cancelled.")
    if verdict.lasting and not known:
        verdicts = dict(list(_read(memory).items())[1 - MAX_VERDICTS :])
        _write(memory, verdicts | {key: verdict.words})
    if verdict.words != OK.words:
        raise refusal(path.name, verdict)


def refusal(name: str, verdict: TrialVerdict) -> ModelRefusedError:
    """Return the error for a model that did not load."""
    return ModelRefusedError(
        f"{name} was tried in a process of its own and {verdict.words}. {_ADVICE[verdict.code]}",
        code=verdict.code,
    )


_ADVICE = {
    "model_refused": "It is not loaded here. Choose another model. If every model crashes, the engine was "
    "built for another CPU or by a faulty compiler: install it again (docs/troubleshooting.md).",
    "memory": "Close programs that use memory, or choose a smaller model.",
    "trial": "It is tried again with the next request. On a slow or busy machine, raise "
    "c.Turbopilot.load_timeout.",
}


def _key(path: Path, plan: Plan) -> str:
    """Return a digest of file, engine, processor and settings: a change of any needs another trial."""
    from jupyter_turbopilot.engine.llama.bindings import installation

    settings = f"{plan.context_size}|{plan.cells}|{plan.threads}|{plan.hardware.stamp}"
    about = f"{path.resolve()}|{stamp(path)}|{installation()}|{processor()}|{settings}"
    return hashlib.sha256(about.encode()).hexdigest()[:32]


def _try(path: Path, plan: Plan, timeout: float, cancel: Cancel) -> TrialVerdict:
    # -P: a notebook's folder may hold a json.py, which must not be imported.
    command = [sys.executable, "-P", "-m", __name__, str(path), msgspec.json.encode(plan).decode()]
    command.append(str(os.getpid()))
    # Into a file: a child that writes more than a pipe holds would wait for a reader.
    with tempfile.TemporaryFile() as output:
        try:
            child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=output)
        except OSError as error:
            return not_started(error)
        with child:
            end = time.monotonic() + timeout
            try:
                while child.poll() is None:
                    if cancel.is_set() or time.monotonic() > end:
                        words = f"did not answer within {timeout:.0f} seconds"
                        return TrialVerdict(words, lasting=False, code="trial")
                    with suppress(subprocess.TimeoutExpired):
                        child.wait(0.05)
            finally:
                if child.poll() is None:
                    child.kill()
        return judge(child.returncode, read_end(output))


def not_started(error: OSError) -> TrialVerdict:
    """Judge that no process could be started."""
    words = f"no process could be started ({error.strerror or error})"
    return TrialVerdict(words, lasting=False, code="memory" if error.errno == errno.ENOMEM else "trial")


def read_end(output: IO[bytes]) -> str:
    """Return the end of what a child has written to its error output."""
    output.seek(max(0, output.seek(0, os.SEEK_END) - _OUTPUT))
    return output.read().decode("utf-8", "replace").strip()


def judge(status: int, output: str) -> TrialVerdict:
    """Judge a trial by its exit status and its error output; what the file itself causes is lasting. Pure."""
    if status == 0:
        return OK
    if status == -_KILLED:
        return TrialVerdict("it was killed, as by a system without memory", lasting=False, code="memory")
    if _NO_MEMORY.search(output):
        return TrialVerdict("there was not enough memory", lasting=False, code="memory")
    last = output.splitlines()[-1][:300] if output else f"exit status {status}"
    if -status in _CRASHES or status >= _WINDOWS_CRASH:
        last = f"signal {-status}" if status < 0 else f"exception {status:#x}"
        return TrialVerdict(f"it crashed ({last})", lasting=True)
    if status == REFUSED and not _NOT_READ.search(output):
        return TrialVerdict(f"it failed ({last})", lasting=True)
    return TrialVerdict(f"it failed ({last})", lasting=False, code="trial")


def _read(memory: Path) -> dict[str, str]:
    return {key: str(words) for key, words in read_object(memory).items()}


def _write(memory: Path, verdicts: dict[str, str]) -> None:
    with suppress(OSError):  # where nothing can be written the trial is repeated each time
        replace_content(memory, json.dumps(verdicts).encode(), private=True)


def main(arguments: list[str]) -> None:
    """Load the model, read a prompt and decode two tokens: what the child process does."""
    from jupyter_turbopilot.engine.stepping import write
    from jupyter_turbopilot.generation import Sampling, Usage

    path, plan = Path(arguments[0]), msgspec.json.decode(arguments[1], type=Plan)
    engine = load(path, plan, name="trial")
    # Long enough for a batch: engines compute those with other instructions than a single token.
    tokens = engine.vocabulary.tokenize("x = 1\n") or [0]
    prompt = (tokens * PROMPT)[: min(PROMPT, engine.context_size // 2)]
    list(write(engine, prompt, Sampling(max_tokens=2), Usage(), Cancel()))


if __name__ == "__main__":
    from jupyter_turbopilot.engine.llama.bindings import log_to_stderr
    from jupyter_turbopilot.errors import EngineError
    from jupyter_turbopilot.running.parent import end_with_parent

    end_with_parent(int(sys.argv[3]))
    try:
        log_to_stderr()
        main(sys.argv[1:])
    except (EngineError, ModelRefusedError) as problem:
        print(problem.message, file=sys.stderr)  # noqa: T201 - read by the parent
        sys.exit(REFUSED)
