"""Runs a generated program in a child process with limits. This is not a sandbox.

The program has the user's permissions. The limits prevent accidents: endless loops, floods of output, too
much memory or disk space, deleted files, leftover processes. A malicious program can bypass them.
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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, cast

import psutil

from jupyter_turbopilot.util.files import MEGABYTE, describe_size
from jupyter_turbopilot.util.threads import start_thread
from turbopilot_research.evaluate.running import child
from turbopilot_research.evaluate.running.cleanup import (
    FOLDER,
    PATIENCE,
    kill_leftover,
    remove,
    size_of,
    supervisor,
)

SECONDS = 10.0  # maximum run time
MEMORY = 1024**3  # bytes of address space
FILE_SIZE = 16 * MEGABYTE  # bytes of each file that it writes
DISK = 64 * MEGABYTE  # bytes of all files in its folder
OUTPUT = MEGABYTE  # bytes of its output
TASKS = 32  # its processes and threads, where the system counts them
_WHY = 300  # characters of a reason
_EARLY = "It exited with status {} before its end."
_LOOK = 0.1  # seconds between two checks of its folder
_CLEANED = 10.0  # maximum seconds for the cleanup after an interrupt


@dataclass(frozen=True)
class ProgramResult:
    """The result of a program."""

    passed: bool
    why: str = ""  # the reason of a failure


def run_program(source: str, *, seconds: float = SECONDS) -> ProgramResult:
    """Run Python source without input, in an empty folder and environment, within limits.

    It passes if it runs to its end: not if it raises, exits early or is stopped.
    """
    stop, done = threading.Event(), threading.Event()

    def run() -> ProgramResult:
        try:
            return _run(source, seconds, stop)
        finally:
            done.set()

    # Ctrl C interrupts only the main thread, so a program started in another thread is always ended.
    with ThreadPoolExecutor(1, "turbopilot-run") as pool:
        try:
            return pool.submit(run).result()
        finally:
            stop.set()
            done.wait(_CLEANED)  # a pool interrupted while it starts its thread does not wait for it


def _run(source: str, seconds: float, stop: threading.Event) -> ProgramResult:
    place, started = tempfile.mkdtemp(prefix="turbopilot-"), time.time()
    try:
        with supervisor(place, started):
            return _run_in(Path(place), source, seconds, stop, started)
    finally:
        remove(place)


def _run_in(place: Path, source: str, seconds: float, stop: threading.Event, started: float) -> ProgramResult:
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
        _send_secret(process, secret)
        outcome = _outcome(process, seconds, folder, stop)
    finally:
        _end(process, str(folder), started)
    if outcome.passed and not (ended.exists() and ended.read_bytes() == secret):
        return replace(outcome, passed=False, why=_EARLY.format(0))
    return outcome


def _send_secret(process: subprocess.Popen[bytes], secret: bytes) -> None:
    """Send the secret to write at the end; the child reads it before the program starts."""
    with suppress(OSError), cast("IO[bytes]", process.stdin) as pipe:
        pipe.write(secret)


def _environment(folder: Path) -> dict[str, str]:
    """Return an environment without the user's variables; its folder identifies leftover processes."""
    names = ("HOME", "TMPDIR") if os.name == "posix" else ("HOME", "TEMP", "TMP", "USERPROFILE")
    kept = {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}  # Windows needs it
    # Numeric libraries start a thread per core, each with its own memory.
    alone = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return kept | alone | dict.fromkeys(names, str(folder))


def _outcome(
    process: subprocess.Popen[bytes], seconds: float, folder: Path, stop: threading.Event
) -> ProgramResult:
    """Wait for the end of a program, reading its output and checking its folder."""
    printed = _OutputReader(process)
    until = time.monotonic() + seconds
    while (code := _ended(process, min(_LOOK, until - time.monotonic()))) is None:
        if why := _why_stopped(seconds, until, folder, stop):
            return ProgramResult(passed=False, why=why)
    printed.join(PATIENCE / 4)  # not forever: a leftover process may keep the pipe open
    if code == 0 and not printed.too_much:
        return ProgramResult(passed=True)
    return ProgramResult(passed=False, why=_why_ended(code, printed))


def _why_ended(code: int, printed: _OutputReader) -> str:
    """Return why a program failed."""
    if printed.too_much:
        return f"It printed more than {describe_size(OUTPUT)}."
    if code < 0:
        return f"It was killed by {_signal(-code)}."
    lines = printed.end().strip().splitlines()
    # If it raised an error, that is the last line of its output.
    return lines[-1][:_WHY] if code == 1 and lines else _EARLY.format(code)


def _why_stopped(seconds: float, until: float, folder: Path, stop: threading.Event) -> str:
    """Return why a running program has to be stopped, or ""."""
    if stop.is_set():
        return "It was interrupted."
    if size_of(folder, DISK) > DISK:
        return f"It wrote more than {describe_size(DISK)}."
    return f"It did not end within {seconds:g} seconds." if time.monotonic() >= until else ""


def _ended(process: subprocess.Popen[bytes], seconds: float) -> int | None:
    with suppress(subprocess.TimeoutExpired):
        return process.wait(max(0, seconds))
    return None


class _OutputReader:
    """Reads the output of a program; kills it above the limit."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process, self._stream = process, cast("IO[bytes]", process.stdout)
        self._text = bytearray()
        self.too_much = False
        self._thread = start_thread("turbopilot-run", self._read)

    def join(self, seconds: float) -> None:
        """Wait for the end of the output."""
        if self._thread:
            self._thread.join(seconds)

    def _read(self) -> None:
        with self._stream:
            while piece := os.read(self._stream.fileno(), 2**16):
                self._text += piece
                if len(self._text) > OUTPUT:
                    self.too_much = True
                    self._process.kill()
                    return

    def end(self) -> str:
        return bytes(self._text[-4096:]).decode(errors="replace")


def _signal(number: int) -> str:
    with suppress(ValueError):
        return signal.Signals(number).name
    return f"signal {number}"


def _tasks() -> int:
    """Return the number of the user's processes and threads: the system's limit applies to all of them."""
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
    """Kill a program and its processes, including those that left its process group if they can be found."""
    if sys.platform != "win32":
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()
    kill_leftover(folder, started)
