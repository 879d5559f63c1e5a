"""One program that a model wrote, in a process of its own, with limits. This is no sandbox.

It runs with the person's rights. The limits and refusals hold what goes wrong by accident: endless loops,
floods of output, too much memory or disk, files deleted elsewhere, processes left behind. A program that
means harm gets around them.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, cast

import psutil

from jupyter_turbopilot.files import MEGABYTE, describe_size
from jupyter_turbopilot.running import child
from jupyter_turbopilot.running.cleanup import FOLDER, PATIENCE, end_left, remove, size_of, supervisor

# Not seen are files that a C library opens by itself, as SQLite's ATTACH does: see `child`.
NO_SANDBOX = (
    "The program runs on this machine with your rights. Limits stop endless loops and other accidents, "
    "but this is no sandbox."
)
SECONDS = 10.0  # a program may run
MEMORY = 1024**3  # bytes of address space
FILE_SIZE = 16 * MEGABYTE  # bytes of a file it writes
DISK = 64 * MEGABYTE  # bytes of all files in its folder
OUTPUT = MEGABYTE  # bytes it may print
TASKS = 32  # processes and threads it may have, where the system counts them
_WHY = 300  # characters
_EARLY = "It exited with status {} before its end."
_LOOK = 0.1  # seconds between looks at its folder
_CLEANED = 10.0  # seconds for what an interrupted run leaves to be removed, at most


@dataclass(frozen=True)
class Outcome:
    """How a program ended."""

    passed: bool
    why: str = ""  # for the person, if it did not pass
    printed: str = field(default="", compare=False, repr=False)  # the end of it


def run_program(source: str, *, seconds: float = SECONDS) -> Outcome:
    """Run Python source without input, in an empty folder and environment, within limits.

    It passes if it comes to its end: not if it raises, exits by itself or is stopped. This is no sandbox: see
    `NO_SANDBOX`.
    """
    stop, done = threading.Event(), threading.Event()

    def run() -> Outcome:
        try:
            return _run(source, seconds, stop)
        finally:
            done.set()

    # Ctrl C interrupts the main thread alone, so what is started in another one is always ended.
    with ThreadPoolExecutor(1, "turbopilot-run") as pool:
        try:
            return pool.submit(run).result()
        finally:
            stop.set()
            done.wait(_CLEANED)  # a pool that is interrupted while it starts its thread does not wait for it


def _run(source: str, seconds: float, stop: threading.Event) -> Outcome:
    place, started = tempfile.mkdtemp(prefix="turbopilot-"), time.time()
    try:
        with supervisor(place, started):
            return _run_in(Path(place), source, seconds, stop, started)
    finally:
        remove(place)


def _run_in(place: Path, source: str, seconds: float, stop: threading.Event, started: float) -> Outcome:
    program, ended, folder = (place / name for name in ("program.py", "ended", FOLDER))
    program.write_bytes(source.encode("utf-8", "surrogatepass"))
    folder.mkdir()
    limits = [int(seconds) + 1, MEMORY, FILE_SIZE, _tasks() + TASKS]
    secret = secrets.token_hex().encode()
    process = subprocess.Popen(
        [sys.executable, "-I", "-B", child.__file__, program, ended, *map(str, limits)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=folder,
        env=_environment(folder),
        start_new_session=True,
    )
    try:
        _tell(process, secret)
        outcome = _outcome(process, seconds, folder, stop)
    finally:
        _end(process, str(folder), started)
    if outcome.passed and not (ended.exists() and ended.read_bytes() == secret):
        return replace(outcome, passed=False, why=_EARLY.format(0))
    return outcome


def _tell(process: subprocess.Popen[bytes], secret: bytes) -> None:
    """Give a program's process what it writes down at the end; it reads that before the program begins."""
    with suppress(OSError), cast("IO[bytes]", process.stdin) as pipe:
        pipe.write(secret)


def _environment(folder: Path) -> dict[str, str]:
    """Return an environment without anything of the person's; by its folder, left processes are found."""
    names = ("HOME", "TMPDIR") if os.name == "posix" else ("HOME", "TEMP", "TMP", "USERPROFILE")
    kept = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}  # Windows needs it
    # Libraries for numbers start a thread a core, each with memory of its own.
    alone = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return kept | alone | dict.fromkeys(names, str(folder))


def _outcome(
    process: subprocess.Popen[bytes], seconds: float, folder: Path, stop: threading.Event
) -> Outcome:
    """Wait for a program's end, reading what it prints and looking at what it writes."""
    printed = _Printed(process)
    until = time.monotonic() + seconds
    while (code := _ended(process, min(_LOOK, until - time.monotonic()))) is None:
        if why := _why_stopped(seconds, until, folder, stop):
            return Outcome(passed=False, why=why, printed=printed.end())
    printed.join(PATIENCE / 4)  # unless something it has left behind keeps the pipe open
    if code == 0 and not printed.too_much:
        return Outcome(passed=True, printed=printed.end())
    return Outcome(passed=False, why=_why_ended(code, printed), printed=printed.end())


def _why_ended(code: int, printed: _Printed) -> str:
    """Return why a program has ended that did not come to its end."""
    if printed.too_much:
        return f"It printed more than {describe_size(OUTPUT)}."
    if code < 0:
        return f"It was ended by {_signal(-code)}."
    lines = printed.end().strip().splitlines()
    # The last line of what it printed is the error, if there was one.
    return lines[-1][:_WHY] if code == 1 and lines else _EARLY.format(code)


def _why_stopped(seconds: float, until: float, folder: Path, stop: threading.Event) -> str:
    """Return why a program that still runs is to be ended, "" if it is not."""
    if stop.is_set():
        return "It was interrupted."
    if size_of(folder, DISK) > DISK:
        return f"It wrote more than {describe_size(DISK)}."
    return f"It did not end within {seconds:g} seconds." if time.monotonic() >= until else ""


def _ended(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    with suppress(subprocess.TimeoutExpired):
        return process.wait(max(0, seconds))
    return None


class _Printed(threading.Thread):
    """Reads what a program prints, up to a bound at which the program is killed."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        super().__init__(name="turbopilot-printed", daemon=True)
        self._process, self._stream = process, cast("IO[bytes]", process.stdout)
        self._text = bytearray()
        self.too_much = False
        self.start()

    def run(self) -> None:
        with self._stream:
            while piece := os.read(self._stream.fileno(), 2**16):
                self._text += piece
                if len(self._text) > OUTPUT:
                    self.too_much = True
                    self._process.kill()
                    return

    def end(self) -> str:
        """Return the end of what was printed."""
        return bytes(self._text[-4096:]).decode(errors="replace")


def _signal(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


def _tasks() -> int:
    """Return how many processes and threads the person has: the system's limit is on all of them."""
    if sys.platform == "win32":
        return 0
    if not (user := os.getuid()):
        return 0
    tasks = 0
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            tasks += process.num_threads() if process.uids().real == user else 0
    return tasks


def _end(process: subprocess.Popen[bytes], folder: str, started: float) -> None:
    """Kill a program and what it has started, also what has left its group, as far as that can be found."""
    if sys.platform != "win32":
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()
    end_left(folder, started)
