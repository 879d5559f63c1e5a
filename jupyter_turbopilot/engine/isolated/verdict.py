"""How a child process that loads or runs a model ended: its exit status and error output, judged."""

from __future__ import annotations

import errno
import os
import re
import signal
from typing import IO, NamedTuple

from jupyter_turbopilot.errors import ModelRefusedError

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


class Verdict(NamedTuple):
    """How a child process ended, and the code of the error that follows.

    The code is `model_refused` if the same file, engine and settings would give the same result again.
    """

    words: str
    code: str = "model_refused"


def refusal(name: str, verdict: Verdict) -> ModelRefusedError:
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


def not_started(error: OSError) -> Verdict:
    """Judge that no process could be started."""
    words = f"no process could be started ({error.strerror or error})"
    return Verdict(words, code="memory" if error.errno == errno.ENOMEM else "trial")


def read_end(output: IO[bytes]) -> str:
    """Return the end of what a child has written to its error output."""
    output.seek(max(0, output.seek(0, os.SEEK_END) - _OUTPUT))
    return output.read().decode("utf-8", "replace").strip()


def judge(status: int, output: str) -> Verdict:
    """Judge a child process by its exit status, which is not 0, and its error output. Pure."""
    if status == -_KILLED:
        return Verdict("it was killed, as by a system without memory", code="memory")
    if _NO_MEMORY.search(output):
        return Verdict("there was not enough memory", code="memory")
    last = output.splitlines()[-1][:300] if output else f"exit status {status}"
    if -status in _CRASHES or status >= _WINDOWS_CRASH:
        last = f"signal {-status}" if status < 0 else f"exception {status:#x}"
        return Verdict(f"it crashed ({last})")
    if status == REFUSED and not _NOT_READ.search(output):
        return Verdict(f"it failed ({last})")
    return Verdict(f"it failed ({last})", code="trial")
