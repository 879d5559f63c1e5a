"""Run a command, show its steps on one line, and log its output.

python3 scripts/progress.py LOG COMMAND…

The lines `> TITLE…`, `> TITLE: done` and `> TITLE: failed` of the output begin and end a step, see the
Makefile. A failed step stops the others, and the last lines of the log are shown.
Standard library only: nothing is installed yet.
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from types import FrameType

assert sys.platform != "win32"  # noqa: S101 - `make` needs a POSIX system

STEP = re.compile(r"> (.+?)(…|: done|: failed)")
LAST = 20  # lines of the log that are shown after a failure
PATIENCE = 5.0  # seconds after SIGINT, which npm ignores, and after SIGTERM


class Steps:
    """The running steps and the failed one. Pure."""

    def __init__(self, now: float) -> None:
        self._begun = now
        self._running: dict[str, float] = {}
        self.failed = ""

    def read(self, line: str, now: float) -> bool:
        """Read a line of the output. Return whether it begins or ends a step."""
        found = STEP.fullmatch(line)
        if not found:
            return False
        title, event = found.groups()
        if event == "…":
            self._running[title] = now
            return True
        if self._running.pop(title, None) is None:
            return False
        if event == ": failed":
            self.failed = self.failed or title
        return True

    def line(self, now: float, width: int) -> str:
        """Return one line: the time so far, and each running step with its own."""
        steps = (f"{title} {duration(now - begun)}" for title, begun in self._running.items())
        text = f"{duration(now - self._begun)}  {', '.join(steps)}"
        return text if len(text) < width else f"{text[: max(0, width - 2)]}…"


def duration(seconds: float) -> str:
    """Return minutes and seconds. Pure."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def locked(path: Path) -> TextIO:
    """Open the log; wait for another process that writes it."""
    log = path.open("a", encoding="utf-8")
    try:
        fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("Another make prepares this folder. Waiting for it…", flush=True)
        fcntl.flock(log, fcntl.LOCK_EX)
    log.truncate(0)
    return log


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the command and all that it has started; SIGINT lets them remove their temporary files."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # until all have ended
        signal.signal(number, signal.SIG_IGN)
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, number)
            process.wait(PATIENCE)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def follow(process: subprocess.Popen[bytes], log: TextIO) -> str:
    """Show the progress until the command ends or a step fails. Return the failed step."""
    steps = Steps(time.monotonic())
    live = sys.stdout.isatty()
    pipe = process.stdout
    assert pipe is not None  # noqa: S101
    rest = b""
    while not steps.failed:
        ready = select.select([pipe], [], [], 1.0)[0]
        if ready:
            if not (data := os.read(pipe.fileno(), 1 << 16)):
                break
            *lines, rest = (rest + data).split(b"\n")
            for line in (each.decode("utf-8", "replace") for each in lines):
                print(line, file=log, flush=True)
                if steps.read(line, time.monotonic()) and not live:
                    print(line, flush=True)
        elif process.poll() is not None:  # a background process of a step may hold the pipe
            break
        if live:
            print(
                f"\r\x1b[2K{steps.line(time.monotonic(), shutil.get_terminal_size().columns)}",
                end="",
                flush=True,
            )
    if live:
        print("\r\x1b[2K", end="", flush=True)
    return steps.failed


def interrupt(_: int, __: FrameType | None) -> None:
    """Treat SIGTERM and SIGHUP as Ctrl C."""
    raise KeyboardInterrupt


def main() -> int:
    """Run the command. Return its exit status."""
    path = Path(sys.argv[1])
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    # The command's jobs are its own: they are not those of the make that runs this script.
    environment = {
        name: text for name, text in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
    }
    with locked(path) as log:
        process = subprocess.Popen(
            sys.argv[2:],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            process_group=0,
        )
        try:
            failed = follow(process, log)
            if not failed and not process.wait():
                return 0
            last = path.read_text("utf-8").splitlines()[-LAST:]
        except KeyboardInterrupt:
            print("\nStopping…", file=sys.stderr)
            return 130
        finally:
            stop(process)
    print("\n".join(last), file=sys.stderr)
    print(f"The whole log is {path}.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
