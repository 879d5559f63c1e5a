"""The load test: a child process loads and runs a model before its first load in this process."""

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
import traceback
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import psutil

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.llama.bindings import build_command, installation, log_to_stderr
from jupyter_turbopilot.engine.load.machine import processor
from jupyter_turbopilot.engine.load.plan import LoadPlan  # noqa: TC001 - needed by msgspec
from jupyter_turbopilot.models.gguf import stamp
from jupyter_turbopilot.protocol.engine_request import EngineRequest, Sampling
from jupyter_turbopilot.protocol.errors import (
    CancelledError,
    EngineError,
    EngineMissingError,
    ModelRefusedError,
    TurbopilotError,
)
from jupyter_turbopilot.util.failures import on_failure
from jupyter_turbopilot.util.files import read_object, replace_content, size_of
from jupyter_turbopilot.util.threads import exit_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO

MAX_VERDICTS = 64
PROMPT = 48  # tokens: engines evaluate batches with other instructions than a single token
PASSED = "ok"
# Exit statuses: the file is the cause; the message is complete; the test has passed; there is no engine.
REFUSED, EXPLAINED, LOADED, MISSING = 3, 4, 5, 6
SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|API_?KEY|ENGINE_KEY", re.IGNORECASE)  # not passed to the child
LOAD_SECONDS, SLOWEST_DISK = 300.0, 5e6  # the time limit of a load, and more at these bytes per second
# Signals caused by the file or the engine. Others come from outside: the system sends SIGKILL if it is out of
# memory; users and programs send SIGTERM and SIGINT.
_CRASHES = {
    int(number)
    for name in ("SIGSEGV", "SIGABRT", "SIGILL", "SIGFPE", "SIGBUS", "SIGTRAP", "SIGSYS")
    if (number := getattr(signal, name, None)) is not None
}
_KILLED = 9  # SIGKILL, which is not defined on Windows
_WINDOWS_CRASH = 0xC0000000  # this and larger statuses are unhandled exceptions
_ILLEGAL_INSTRUCTION = {-4, 0xC000001D}  # SIGILL, and the exception of Windows
_NO_MEMORY = re.compile(
    r"bad_alloc|(failed|unable|cannot|could not) (to )?(re)?alloc|out of memory|MemoryError", re.IGNORECASE
)
_NOT_READ = re.compile(r"failed to open|read error|too many open files|input/output error", re.IGNORECASE)
_OUTPUT = 64 * 1024  # bytes to read from the end of the child's output
_ADVICE = {
    "model_refused": "It is not loaded here. Choose another model. If every model crashes, the engine was "
    "built by a faulty compiler: install it again; see the Troubleshooting page of the documentation.",
    "memory": "Close programs that use memory, or choose a smaller model.",
    "load_test": "The next request tries again. If the machine is busy, close other programs.",
}


class Load(NamedTuple):
    """A model to load, and how."""

    path: str
    plan: LoadPlan
    name: str

    def key(self) -> str:
        """Return a digest of file, engine, processor and settings: a change of any needs another test."""
        path, plan = Path(self.path), self.plan
        settings = f"{plan.context_size}|{plan.cells}|{plan.threads}|{plan.is_mapped}|{plan.hardware.stamp}"
        about = f"{path.resolve()}|{stamp(path)}|{installation()}|{processor()}|{settings}"
        return hashlib.sha256(about.encode()).hexdigest()[:32]


class ExitReason(NamedTuple):
    """The reason for the end of a child process, and the error code.

    The code is `model_refused` if another try with the same file, engine and settings would also fail.
    """

    reason: str
    code: str = "model_refused"


def ensure_loads(model: Load, memory: Path, cancel: Cancel, *, lowest_priority: bool = False) -> None:
    """Refuse a model unless a child process can load and run it, or could earlier."""
    key = model.key()
    known = str(read_object(memory).get(key) or "")
    if not known:
        try:
            _test(model, cancel, lowest_priority=lowest_priority)
            known = PASSED
        except ModelRefusedError as error:
            if error.code != "model_refused":  # the cause may go away
                raise
            known = error.message
        verdicts = dict(list(read_object(memory).items())[1 - MAX_VERDICTS :])
        with suppress(OSError):  # on a read-only disk the test is repeated each time
            replace_content(memory, json.dumps(verdicts | {key: known}).encode(), private=True)
    if known != PASSED:
        raise ModelRefusedError(known, code="model_refused")


def _test(model: Load, cancel: Cancel, *, lowest_priority: bool) -> None:
    timeout = LOAD_SECONDS + size_of(Path(model.path)) / SLOWEST_DISK
    if reason := run_in_child(__name__, model, cancel, timeout, lowest_priority=lowest_priority):
        raise _refusal(model.name, reason)


def run_in_child(
    module: str,
    task: object,
    cancel: Cancel,
    timeout: float | None = None,
    *,
    lowest_priority: bool = False,
) -> ExitReason | None:
    """Run a module in a child process, which calls `run_task`; return why it failed, or None.

    An error that the child process explains is raised here.
    """
    # A file, because a full pipe would block the child.
    with tempfile.TemporaryFile() as file:
        status, reason = _run(module, task, file, cancel, timeout, lowest_priority=lowest_priority)
        output = _end_of(file)
    if cancel.is_set():
        raise CancelledError("The load was cancelled.")
    if status == EXPLAINED:
        raise ModelRefusedError(output.splitlines()[-1])
    if status == MISSING:
        *_, problem, command = output.splitlines()
        raise EngineMissingError(problem, command)
    return None if status == LOADED else reason or judge(status, output)


def _run(
    module: str,
    task: object,
    output: IO[bytes],
    cancel: Cancel,
    timeout: float | None,
    *,
    lowest_priority: bool,
) -> tuple[int, ExitReason | None]:
    """Run the child process; return its exit status, and the reason if this process knows it."""
    # -P: a json.py in the working directory must not be imported.
    command = [sys.executable, "-P", "-m", module, str(os.getpid())]
    try:
        child = subprocess.Popen(
            [*command, msgspec.json.encode(task).decode()],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            env={n: v for n, v in os.environ.items() if not SECRET.search(n)} | {"PYTHONUTF8": "1"},
            # Ctrl-C in a terminal must reach only the server, which ends the child.
            process_group=0 if os.name == "posix" else None,
        )
    except OSError as error:
        reason = f"the process could not be started ({error.strerror or error})"
        return 1, ExitReason(reason, "memory" if error.errno == errno.ENOMEM else "load_test")
    with child, on_failure(child.kill), cancel.interrupting(child.kill):
        if lowest_priority:
            lower_priority(child.pid)
        try:
            return child.wait(timeout), None
        except subprocess.TimeoutExpired:
            child.kill()
            return 1, ExitReason(f"it did not answer within {timeout:.0f} seconds", "load_test")


def lower_priority(process: int) -> None:
    """Let a process compute only while others do not."""
    lowest = psutil.IDLE_PRIORITY_CLASS if sys.platform == "win32" else 19
    with suppress(psutil.Error, OSError):
        psutil.Process(process).nice(lowest)


def _end_of(file: IO[bytes]) -> str:
    file.seek(max(0, file.seek(0, os.SEEK_END) - _OUTPUT))
    return file.read().decode("utf-8", "replace").strip()


def _refusal(name: str, verdict: ExitReason) -> TurbopilotError:
    problem = f"{name} could not be loaded in a child process: {verdict.reason}."
    if verdict.code == EngineMissingError.code:
        advice = "Build the engine for this processor, then restart the server."
        return EngineMissingError(f"{problem} {advice}", build_command())
    return ModelRefusedError(f"{problem} {_ADVICE[verdict.code]}", code=verdict.code)


def judge(status: int, output: str) -> ExitReason:
    """Return the verdict for a nonzero exit status and the output. Pure."""
    if status == -_KILLED:
        return ExitReason("it was killed, probably because the system was out of memory", code="memory")
    if _NO_MEMORY.search(output):
        return ExitReason("there was not enough memory", code="memory")
    if status in _ILLEGAL_INSTRUCTION:
        words = "it crashed: the engine was built for another processor (illegal instruction)"
        return ExitReason(words, code=EngineMissingError.code)
    last = output.splitlines()[-1][:300] if output else f"exit status {status}"
    if -status in _CRASHES or status >= _WINDOWS_CRASH:
        last = f"signal {-status}" if status < 0 else f"exception {status:#x}"
        return ExitReason(f"it crashed ({last})")
    if status == REFUSED and not _NOT_READ.search(output):
        return ExitReason(f"it failed ({last})")
    return ExitReason(f"it failed ({last})", code="load_test")


def _work(model: Load) -> None:
    """Load a model, evaluate a prompt and generate two tokens, in the child process."""
    from jupyter_turbopilot.engine.llama.engine import LlamaEngine

    log_to_stderr()  # contains the reason for a failure
    engine = LlamaEngine(Path(model.path), model.plan, name=model.name)
    prompt = [0] * min(PROMPT, engine.context_size // 2)
    run = engine.start(EngineRequest(prompt, Sampling(max_tokens=2)))
    while run and not run.done:
        engine.step([run], Cancel())
    engine.close(keep=False)


def run_task(work: Callable[[str], object]) -> None:
    """Do the work of a child process and end it: the interpreter's own end could hang in native code."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    exit_with_parent(int(sys.argv[1]))
    status, message = LOADED, ""
    try:
        work(sys.argv[2])
    except EngineError as error:
        status, message = REFUSED, error.message
    except ModelRefusedError as error:
        status, message = EXPLAINED, error.message
    except EngineMissingError as error:
        status, message = MISSING, f"{error.problem}\n{error.command}"
    except BaseException:  # noqa: BLE001 - the parent reads it
        status, message = 1, traceback.format_exc()
    print(message, file=sys.stderr, flush=True)  # noqa: T201 - the parent reads the last line
    os._exit(status)


def main() -> None:
    """Run the child process."""
    run_task(lambda task: _work(msgspec.json.decode(task, type=Load)))


if __name__ == "__main__":
    main()
