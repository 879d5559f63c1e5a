"""Sets limits for this process, then runs a program. The script uses only the standard library.

It guards against accidents and is not a sandbox: the audit hook and the replaced functions reject changes
made by Python code, but a program can bypass them on purpose, and files opened by a compiled library (HDF5,
Polars, Tcl, OpenSSL's key log) raise no audit event.
"""

from __future__ import annotations

import importlib
import os
import re
import runpy
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Callable

_REFUSED = frozenset({
    *("os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.exec", "os.system", "os.startfile"),
    *("subprocess.Popen", "_winapi.CreateProcess", "_winapi.CreateJunction", "os.kill", "os.killpg"),
    *("_winapi.TerminateProcess", "resource.prlimit", "syslog.syslog", "sqlite3.enable_load_extension"),
    *("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo"),
    *("socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo", "socket.sethostname"),
    *("winreg.CreateKey", "winreg.DeleteKey", "winreg.DeleteValue"),
    *("winreg.LoadKey", "winreg.SaveKey", "winreg.SetValue"),
})  # fmt: skip
# Indexes of the paths, and of their directory descriptors, among an event's arguments.
_CHANGES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "_winapi.CopyFile2": ((1,), ()),
    "fcntl.ioctl": ((0,), ()),
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
# Functions that change something outside the process without an audit event.
_OF_POSIX = (
    *("chroot", "memfd_create", "mkfifo", "mknod", "sched_setaffinity", "sched_setparam"),
    *("sched_setscheduler", "setpriority"),
)
_UNAUDITED = {
    "_multiprocessing": ("sem_unlink",),
    "_posixshmem": ("shm_open", "shm_unlink"),
    "_posixsubprocess": ("fork_exec",),  # `multiprocessing` spawns with it
    "_signal": ("pidfd_send_signal",),
    "os": _OF_POSIX,
    "posix": _OF_POSIX,
    "signal": ("pidfd_send_signal",),
    "time": ("clock_settime", "clock_settime_ns"),
}
# Modules that write files themselves, or run code in an interpreter without the hook. Libraries have
# fallbacks for them.
_UNAVAILABLE = ("_dbm", "_gdbm", "_interpreters", "_xxsubinterpreters", "readline")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_ATTACH = 24  # SQLITE_ATTACH
_SECRET = 64  # maximum length in bytes


def limit(seconds: int, memory: int, file_size: int, tasks: int) -> None:
    """Limit the resources of this process and its children, where the system supports it."""
    if sys.platform == "win32":
        return
    import resource

    limits = {
        "RLIMIT_AS": memory,
        "RLIMIT_CORE": 0,
        "RLIMIT_CPU": seconds,
        "RLIMIT_FSIZE": file_size,
        "RLIMIT_NPROC": tasks,  # has no effect for root
    }
    for name, most in limits.items():
        with suppress(AttributeError, ValueError, OSError):
            kind = getattr(resource, name)
            _, hard = resource.getrlimit(kind)
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)  # noqa: PLW2901
            resource.setrlimit(kind, (most, most))


def install_guards(folder: str) -> None:
    """Forbid starting processes, using the network, and changing files outside a folder."""
    home, nowhere = os.path.realpath(folder), os.path.realpath(os.devnull)

    def require_inside(path: Any) -> None:
        if path is None or (isinstance(path, int) and _is_writable(path)):
            return  # the hook checked the file when it was opened for writing
        if isinstance(path, int):
            raise PermissionError("The program may not change a file that is open for reading only.")
        where = os.path.realpath(os.fsdecode(path))
        if where not in {nowhere, home} and not where.startswith(home + os.sep):
            raise PermissionError("The program may not change a file outside its own folder.")

    def hook(event: str, given: tuple[Any, ...]) -> None:
        if event in _REFUSED:
            _refuse(event)
        for path in _changed(event, given):
            require_inside(path)

    _replace_unaudited()
    _check_attached(require_inside)
    sys.addaudithook(hook)


def _refuse(what: str) -> NoReturn:
    raise PermissionError(f"{what} is refused: the program may not use it.")


def _is_writable(descriptor: int) -> bool:
    if sys.platform == "win32":
        return True  # Windows itself rejects changes through a read-only descriptor
    import fcntl

    return fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY


def _changed(event: str, given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the files that an event changes; reject names relative to an open directory."""
    if event == "open":
        return given[:1] if given[2] & _WRITES else ()
    if event == "sqlite3.connect":
        return given[0], _file(given[0])  # the event does not include whether the name is a URI
    paths, folders = _CHANGES.get(event, ((), ()))
    if any(given[at] != -1 for at in folders if at < len(given)):
        _refuse("dir_fd")
    return tuple(given[at] for at in paths)


def _file(database: Any) -> str:
    """Return the path of a database, decoded if it is a URI."""
    name = os.fsdecode(database)
    if not name.startswith("file:"):
        return name
    path = re.split("[?#]", name.removeprefix("file:"))[0]
    return unquote(re.sub("^//[^/]*", "", path), errors="surrogateescape")


def _replace_unaudited() -> None:
    """Replace functions and modules that raise no audit event."""
    for module_name, names in _UNAUDITED.items():
        with suppress(ImportError):
            module = importlib.import_module(module_name)
            for name in names:
                if hasattr(module, name):
                    setattr(module, name, lambda *_, name=name, **__: _refuse(name))
    sys.modules.update(dict.fromkeys(_UNAVAILABLE))  # type: ignore[arg-type]
    _refuse_lasting_semaphores()
    _refuse_folders()


def _refuse_lasting_semaphores() -> None:
    """Allow only semaphores of `multiprocessing` that are unlinked at once; others outlive the program."""
    with suppress(ImportError, AttributeError):  # some systems have no semaphores
        multiprocessing: Any = importlib.import_module("_multiprocessing")

        class SemLock(multiprocessing.SemLock):  # type: ignore[misc]
            def __new__(cls, kind: int, value: int, most: int, name: str, unlink: bool) -> Any:
                if not unlink:
                    _refuse("a semaphore that outlives the program")
                return super().__new__(cls, kind, value, most, name, unlink)

        multiprocessing.SemLock = SemLock


def _check_attached(require_inside: Callable[[Any], None]) -> None:
    """Check the files that SQL statements open: `ATTACH`, and `VACUUM INTO`, which attaches its file."""
    with suppress(ImportError):
        import _sqlite3

        connect = _sqlite3.connect

        def authorize(action: int, name: str | None, *_: Any) -> int:
            if action == _ATTACH:
                require_inside("/" if name is None else _file(name))  # None: the name is an expression
            return 0

        def connect_with_authorizer(*given: Any, **options: Any) -> Any:
            connection = connect(*given, **options)
            connection.set_authorizer(authorize)
            return connection

        _sqlite3.connect = connect_with_authorizer


def _refuse_folders() -> None:
    """Reject writing through a directory descriptor, which the event of `open` does not include."""
    open_file = os.open

    def open_without_folder(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if dir_fd is not None and flags & _WRITES:
            _refuse("dir_fd")
        return open_file(path, flags, mode, dir_fd=dir_fd)

    os.open = open_without_folder
    if "posix" in sys.modules:
        sys.modules["posix"].open = open_without_folder  # type: ignore[attr-defined]
    os.supports_dir_fd.clear()  # so `shutil.rmtree` uses paths
    sys.modules.pop("shutil", None)  # it reads that set when it is imported


def main() -> None:
    """Run a program; then write the secret that proves its end, which the program does not know."""
    program, ended, *limits = sys.argv[1:]
    secret = os.read(0, _SECRET)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    report = os.open(ended, os.O_WRONLY | os.O_CREAT, 0o600)
    limit(*map(int, limits))
    install_guards(os.getcwd())  # noqa: PTH109
    del sys.argv[1:]
    runpy.run_path(program, run_name="__main__")
    os.write(report, secret)


if __name__ == "__main__":
    main()
