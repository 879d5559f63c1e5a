"""Limits for this process, then the program. A script that needs the standard library alone.

The hook refuses what a program does by accident. A program that means to get around it can, and what a C
library writes by itself (`ATTACH` in SQLite, `dbm.gnu`, HDF5) is not seen.
"""

from __future__ import annotations

import os
import runpy
import sys
from contextlib import suppress
from typing import Any, NoReturn

_REFUSED = frozenset({
    *("os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.exec", "os.system", "os.startfile"),
    *("subprocess.Popen", "_winapi.CreateProcess", "_winapi.CreateJunction", "os.kill", "os.killpg"),
    *("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo"),
    "sqlite3.enable_load_extension",
})  # fmt: skip
# The places of the paths, and of the folders that these may be in, among what an event is given.
_CHANGES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "os.chflags": ((0,), ()),
    "os.chmod": ((0,), (2,)),
    "os.chown": ((0,), (3,)),
    "os.link": ((0, 1), (2, 3)),
    "os.mkdir": ((0,), (2,)),
    "os.remove": ((0,), (1,)),
    "os.removexattr": ((0,), ()),
    "os.rename": ((0, 1), (2, 3)),
    "os.rmdir": ((0,), (1,)),
    "os.setxattr": ((0,), ()),
    "os.symlink": ((1,), (2,)),
    "os.truncate": ((0,), ()),
    "os.utime": ((0,), (3,)),
    "shutil.move": ((0, 1), ()),
    "shutil.rmtree": ((0,), ()),
}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_SECRET = 64  # bytes at most


def limit(seconds: int, memory: int, file_size: int, tasks: int) -> None:
    """Limit what this process and its children may use, where the system can."""
    if sys.platform == "win32":
        return
    import resource

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
    home, nowhere = os.path.realpath(folder), os.path.realpath(os.devnull)

    def keep_inside(path: Any) -> None:
        if isinstance(path, int) or path is None:
            return  # an open file
        where = os.path.realpath(os.fsdecode(path))
        if where not in {nowhere, home} and not where.startswith(home + os.sep):
            raise PermissionError("A file outside the program's own folder is not changed.")

    def hook(event: str, given: tuple[Any, ...]) -> None:
        if event in _REFUSED:
            _refuse(event)
        for path in _changed(event, given):
            keep_inside(path)

    _replace_what_no_event_tells()
    sys.addaudithook(hook)


def _refuse(what: str) -> NoReturn:
    raise PermissionError(f"{what} is refused here.")


def _changed(event: str, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the files that an event changes; refuse those given by an open folder and a name in it."""
    if event == "open":
        return given[:1] if given[2] & _WRITES else ()
    if event == "sqlite3.connect":
        return (_file(given[0]),)
    paths, folders = _CHANGES.get(event, ((), ()))
    if any(given[at] != -1 for at in folders if at < len(given)):
        _refuse("dir_fd")
    return tuple(given[at] for at in paths)


def _file(database: Any) -> Any:
    """Return the path of a database, which may be written as a URI."""
    name = os.fsdecode(database or "")
    return name.removeprefix("file:").partition("?")[0] if name.startswith("file:") else name


def _replace_what_no_event_tells() -> None:
    """Replace functions that start processes or make files without an audit event."""
    if sys.platform != "win32":
        import _posixsubprocess

        # `multiprocessing` uses it when it spawns.
        _posixsubprocess.fork_exec = lambda *_: _refuse("fork_exec")
    for name in ("mkfifo", "mknod"):
        if hasattr(os, name):
            setattr(os, name, lambda *_, name=name, **__: _refuse(f"os.{name}"))
    open_file = os.open

    def open_without_folder(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if dir_fd is not None and flags & _WRITES:
            _refuse("dir_fd")
        return open_file(path, flags, mode, dir_fd=dir_fd)

    os.open = open_without_folder
    os.supports_dir_fd.clear()  # so `shutil.rmtree` uses paths
    sys.modules.pop("shutil", None)  # it asks when it is imported


def main() -> None:
    """Run a program; then write down the secret that says so, which the program was not told."""
    program, ended, *limits = sys.argv[1:]
    secret = os.read(0, _SECRET)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    report = os.open(ended, os.O_WRONLY | os.O_CREAT, 0o600)
    limit(*map(int, limits))
    refuse_accidents(os.getcwd())  # noqa: PTH109
    del sys.argv[1:]
    runpy.run_path(program, run_name="__main__")
    os.write(report, secret)


if __name__ == "__main__":
    main()
