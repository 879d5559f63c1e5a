"""Runs a generated program in a child process with limits. This is not a sandbox.

The limits and the audit hook prevent accidents: endless loops, too much memory, changed files, new processes
and connections. A program can bypass them on purpose. This module is also the script of the child process,
which imports only the standard library.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

SECONDS = 10.0  # maximum run time
MEMORY = 1024**3  # bytes of address space
FILE_SIZE = 16 * 1024**2  # bytes of each file that it writes
ENDED = 77  # the child's status after the end of the program, unlike that of a program that exits
_REFUSED = frozenset({
    *("os.exec", "os.fork", "os.forkpty", "os.kill", "os.killpg", "os.posix_spawn", "os.spawn"),
    *("os.startfile", "os.system", "socket.bind", "socket.connect", "socket.getaddrinfo", "socket.sendto"),
    "subprocess.Popen",
})  # fmt: skip
_CHANGES = frozenset({
    *("os.chmod", "os.chown", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink"),
    *("os.truncate", "os.utime", "shutil.move", "shutil.rmtree", "sqlite3.connect"),
})  # fmt: skip
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def run_program(source: str, *, seconds: float = SECONDS) -> bool:
    """Return whether Python source runs to its end, without input and in an empty folder and environment.

    It does not if it raises, exits early, or exceeds a limit.
    """
    with tempfile.TemporaryDirectory(prefix="turbopilot-", ignore_cleanup_errors=True) as folder:
        Path(folder, "program.py").write_bytes(source.encode("utf-8", "surrogatepass"))
        # Numeric libraries start a thread per core, each with its own memory.
        environment = {"HOME": folder, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        environment |= {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}
        command = [sys.executable, "-I", "-B", __file__, "program.py", str(int(seconds) + 1)]
        with suppress(subprocess.TimeoutExpired):
            done = subprocess.run(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=seconds,
                check=False,
            )
            return done.returncode == ENDED
    return False


def limit(seconds: int) -> None:
    """Limit the resources of this process, where the system supports it.

    The alarm ends a program whose parent was killed.
    """
    if sys.platform == "win32":
        return
    import resource
    import signal

    signal.alarm(seconds)
    for kind, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, FILE_SIZE),
    ):
        with suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))


def guard(folder: str) -> None:
    """Refuse new processes, connections, and changes of files outside a folder."""
    home, nowhere = os.path.realpath(folder), os.path.realpath(os.devnull)

    def hook(event: str, given: tuple[Any, ...]) -> None:
        if event in _REFUSED:
            raise PermissionError(f"{event} is refused.")
        if event in _CHANGES or (event == "open" and given[2] & _WRITES):
            for path in given[:1] if event == "open" else given:
                if isinstance(path, str | bytes | os.PathLike):
                    where = os.path.realpath(os.fsdecode(path))
                    if where not in {nowhere, home} and not where.startswith(home + os.sep):
                        raise PermissionError("The program may not change a file outside its own folder.")

    sys.addaudithook(hook)


def main() -> None:
    """Run a program; if it runs to its end, exit with a status that tells this."""
    program, seconds = sys.argv[1:]
    limit(int(seconds))
    guard(os.getcwd())  # noqa: PTH109
    del sys.argv[1:]
    runpy.run_path(program, run_name="__main__")
    os._exit(ENDED)


if __name__ == "__main__":
    main()
