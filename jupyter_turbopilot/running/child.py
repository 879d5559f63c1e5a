"""Limits for this process, then the program. A script that needs the standard library alone.

The hook refuses what a program does by accident. A program that means to get around it can.
"""

from __future__ import annotations

import os
import runpy
import sys
from contextlib import suppress
from typing import Any

_REFUSED = frozenset({
    *("os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.exec", "os.system", "os.startfile"),
    *("subprocess.Popen", "os.kill", "os.killpg"),
    *("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo"),
})  # fmt: skip
_CHANGES = frozenset({
    *("os.remove", "os.rmdir", "os.mkdir", "os.rename", "os.link", "os.symlink", "os.truncate"),
    *("os.chmod", "os.chown", "os.utime", "shutil.rmtree", "shutil.move", "sqlite3.connect"),
})  # fmt: skip
_TWO_PATHS = frozenset({"os.rename", "os.link", "shutil.move"})
_IN_FOLDER = frozenset({"os.remove", "os.rmdir"})
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def limit(seconds: int, memory: int, file_size: int, tasks: int) -> None:
    """Limit what this process and its children may use, where the system can."""
    try:
        import resource
    except ImportError:  # Windows
        return
    limits = {
        "RLIMIT_AS": memory,
        "RLIMIT_CORE": 0,
        "RLIMIT_CPU": seconds,
        "RLIMIT_FSIZE": file_size,
        "RLIMIT_NPROC": tasks,  # the system does not hold root to it
    }
    for name, most in limits.items():
        with suppress(AttributeError, ValueError, OSError):
            kind = getattr(resource, name)
            _, hard = resource.getrlimit(kind)
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)  # noqa: PLW2901
            resource.setrlimit(kind, (most, most))


def refuse_accidents(folder: str) -> None:
    """Refuse to start processes, to use the network, and to change files outside a folder."""
    home = os.path.realpath(folder)

    def outside(path: Any) -> bool:
        if isinstance(path, int) or path is None:
            return False  # an open file
        where = os.path.realpath(os.fsdecode(path))
        return where not in {os.devnull, home} and not where.startswith(home + os.sep)

    def hook(event: str, given: tuple[Any, ...]) -> None:
        if event in _REFUSED:
            raise PermissionError(f"{event} is refused here.")
        if event == "open":
            changed = given[:1] if given[2] & _WRITES else ()
        elif event in _IN_FOLDER and given[1] != -1:
            changed = ()  # a name in an open folder: so removes `shutil.rmtree`, which was asked
        else:
            changed = given[: 2 if event in _TWO_PATHS else 1] if event in _CHANGES else ()
        if any(map(outside, changed)):
            raise PermissionError("A file outside the program's own folder is not changed.")

    sys.addaudithook(hook)


def main() -> None:
    """Run a program; end with the status that says it came to its end, which it does not know."""
    program, status, *limits = sys.argv[1:]
    limit(*map(int, limits))
    refuse_accidents(os.getcwd())  # noqa: PTH109
    del sys.argv[1:]
    runpy.run_path(program, run_name="__main__")
    sys.exit(int(status))


if __name__ == "__main__":
    main()
