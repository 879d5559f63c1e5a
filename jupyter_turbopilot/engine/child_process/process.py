"""The parent's side of the child process: requests with time limits, and the reason why it ended."""

from __future__ import annotations

import errno
import io
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, NamedTuple, cast

from jupyter_turbopilot.engine.child_process.messages import (
    REFUSED,
    ChildReply,
    FramePipe,
    Interrupt,
    Load,
    Request,
    decode_reply,
    encode,
)
from jupyter_turbopilot.protocol.errors import EngineMissingError, ModelRefusedError, TurbopilotError
from jupyter_turbopilot.util.failures import on_failure
from jupyter_turbopilot.util.threads import Alarm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jupyter_turbopilot.engine.cancel import Cancel
    from jupyter_turbopilot.engine.child_process.messages import Hosted

# -P: a json.py in the working directory must not be imported.
ARGUMENTS = ("-P", "-m", "jupyter_turbopilot.engine.child_process.child")
SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|API_?KEY|ENGINE_KEY", re.IGNORECASE)  # not passed to the child
LOAD_SECONDS, SLOWEST_DISK = 300.0, 5e6  # the time limit of a load, and more at these bytes per second
ENDS_WITHIN = 2.0  # seconds until an idle process whose pipe is closed is killed
_INTERRUPT = encode(Interrupt())
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
_OUTPUT = 64 * 1024  # bytes to read from the end of the child's error output


def load_limit(size: int) -> float:
    """Return the seconds that a model of a size in bytes may take to load."""
    return LOAD_SECONDS + size / SLOWEST_DISK


class ExitReason(NamedTuple):
    """The reason for the end of a child process, and the error code.

    The code is `model_refused` if another try with the same file, engine and settings would also fail.
    """

    reason: str
    code: str = "model_refused"


def refusal(hosted: Hosted, verdict: ExitReason) -> TurbopilotError:
    problem = f"{hosted.name} could not be loaded in a child process: {verdict.reason}."
    if verdict.code == EngineMissingError.code:
        advice = "Build the engine for this processor, then restart the server."
        return EngineMissingError(f"{problem} {advice}", hosted.build_command())
    return ModelRefusedError(f"{problem} {_ADVICE[verdict.code]}", code=verdict.code)


_ADVICE = {
    "model_refused": "It is not loaded here. Choose another model. If every model crashes, the engine was "
    "built by a faulty compiler: install it again; see the Troubleshooting page of the documentation.",
    "memory": "Close programs that use memory, or choose a smaller model.",
    "load_test": "The next request tries again. If the machine is busy, close other programs.",
}


def judge(status: int, output: str) -> ExitReason:
    """Return the verdict for a nonzero exit status and the error output. Pure."""
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


class TimeLimit:
    """Calls `expired` with the limit in seconds when a block exceeds it."""

    def __init__(self, expired: Callable[[float], None]) -> None:
        self._expired = expired
        self._lock = threading.Lock()
        self._end = math.inf
        self._seconds = 0.0
        # It rings at the end of an earlier limit, and is set again then: a limit for each step is cheap.
        self._alarm = Alarm(self._check)

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        self.shorten(seconds)
        try:
            yield
        finally:
            with self._lock:
                self._end = math.inf

    def shorten(self, seconds: float) -> None:
        """Let the current block end within `seconds` from now, unless its limit is earlier."""
        end = time.monotonic() + seconds
        with self._lock:
            if end < self._end:
                self._end, self._seconds = end, seconds
                self._alarm.set(end)

    def _check(self) -> None:
        with self._lock:
            if self._end > time.monotonic():
                self._alarm.set(self._end)
            else:
                self._end = math.inf
                self._expired(self._seconds)


class ProcessEndedError(Exception):
    """The process has ended or was killed; see `verdict`."""

    def __init__(self, verdict: ExitReason) -> None:
        super().__init__(verdict.reason)
        self.verdict = verdict


class ChildProcess:
    """A child process that replies to one request at a time and ends with this process."""

    def __init__(self, *, urgent: float) -> None:
        """`urgent`: how many seconds a request may take after an interrupt."""
        self._urgent = urgent
        self._killed = ""  # the reason why this process killed it
        self._verdict: ExitReason | None = None  # set when it has ended
        self._quotable = True  # whether its output may be quoted: False once it may contain prompts
        # A file, because a full pipe would block the child.
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the process has ended
        try:
            self._process = subprocess.Popen(
                [sys.executable, *ARGUMENTS, str(os.getpid())],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._output,
                env={name: value for name, value in os.environ.items() if not SECRET.search(name)},
                # Ctrl-C in a terminal must reach only the server, which closes the child.
                process_group=0 if os.name == "posix" else None,
            )
        except OSError as error:
            self._output.close()
            reason = f"the process could not be started ({error.strerror or error})"
            code = "memory" if error.errno == errno.ENOMEM else "load_test"
            raise ProcessEndedError(ExitReason(reason, code)) from None
        receiving = io.BufferedReader(cast("io.FileIO", self._process.stdout))
        self._pipe = FramePipe(receiving, cast("io.FileIO", self._process.stdin))
        self._limit = TimeLimit(lambda seconds: self.kill(f"it did not answer within {seconds:g} seconds"))

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, request: Request, seconds: float, interrupt: Cancel | None = None) -> ChildReply:
        """Send a request and return its reply; forward `interrupt` to the process while waiting."""
        if self._verdict:
            raise ProcessEndedError(self._verdict)
        message = encode(request)
        self._quotable = isinstance(request, Load)
        with on_failure(self._end_interrupted):
            try:
                with self._limit.within(seconds):
                    self._pipe.send(message)
                    # After sending: the process would apply an earlier interrupt to the previous request.
                    with interrupt.interrupting(self._forward_interrupt) if interrupt else nullcontext():
                        data = self._pipe.receive()
                return decode_reply(data)
            except (OSError, EOFError):
                raise ProcessEndedError(self.end()) from None
            except ValueError:
                self.kill("it violated the protocol")
                raise ProcessEndedError(self.end()) from None

    def _end_interrupted(self) -> None:
        """End the process after an interrupted request: the next one would get its reply."""
        if not self._verdict:
            self.kill("a request was interrupted")
            self.end()

    def _forward_interrupt(self) -> None:
        """Interrupt the current step. The pipe contains at most one short request, so this never blocks."""
        with suppress(OSError):
            self._pipe.send(_INTERRUPT)
        self._limit.shorten(self._urgent)

    def kill(self, why: str) -> None:
        """Kill the process, from any thread. `ask` raises the reason."""
        self._killed = self._killed or why
        self._process.kill()

    def end(self) -> ExitReason:
        """End the process, free its resources, and return why it ended."""
        if self._verdict is None:
            self._pipe.close()
            try:
                status = self._process.wait(ENDS_WITHIN)
            except subprocess.TimeoutExpired:
                self._process.kill()
                status = self._process.wait()
            with self._output as output:
                output.seek(max(0, output.seek(0, os.SEEK_END) - _OUTPUT))
                self._verdict = self._judge(status, output.read().decode("utf-8", "replace").strip())
        return self._verdict

    def _judge(self, status: int, output: str) -> ExitReason:
        if self._killed or status == 0:
            return ExitReason(self._killed or "it ended", code="load_test")
        verdict = judge(status, output)
        return verdict if self._quotable or verdict.code == "memory" else judge(status, "")
