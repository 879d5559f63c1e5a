"""The file by which a kernel finds the server that started it: address and secret, for its owner only."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import stat
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
from jupyter_core.paths import jupyter_runtime_dir

from jupyter_turbopilot.files import is_unfinished, read_object, replace_content

SECRET_HEADER = "X-Turbopilot-Secret"  # noqa: S105 - the header's name
SECRET_IS_FOR = ("complete", "health", "hierarchy")


@dataclass(frozen=True)
class Runtime:
    """How to reach a server. The secret opens the routes of `SECRET_IS_FOR` alone."""

    url: str
    secret: str
    pid: int
    results_file: str = ""  # the setting


def folder() -> Path:
    """Return where Jupyter keeps such files."""
    return Path(jupyter_runtime_dir())


def _here() -> str:
    """Name this machine, or this container: elsewhere the same process id is another process.

    Homes are shared between machines, and a container has process ids of its own under its host's name.
    """
    try:
        processes = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - a name, no path
    except OSError:
        processes = ""
    return hashlib.sha256(f"{socket.gethostname()}|{processes}".encode()).hexdigest()[:12]


def path_for(pid: int) -> Path:
    """Return the file of the server with that process id on this machine."""
    return folder() / f"turbopilot-{_here()}-{pid}.json"


def write(runtime: Runtime) -> Path:
    """Write the file so that nobody but its owner can ever read it."""
    path = path_for(runtime.pid)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    content = json.dumps(asdict(runtime) | {"started": _started(runtime.pid)})
    replace_content(path, content.encode(), private=True)
    return path


def remove(pid: int) -> None:
    """Take the file away."""
    with suppress(OSError):
        path_for(pid).unlink()


def read(pid: int) -> Runtime | None:
    """Read a server's file, if it is ours and nobody else could have written it."""
    path = path_for(pid)
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            return None
        if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o077):
            return None
        if not _lives(path, pid):
            return None
        content = read_object(path)
        return Runtime(
            url=str(content["url"]),
            secret=str(content["secret"]),
            pid=int(content["pid"]),
            results_file=str(content.get("results_file", "")),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def find() -> Runtime | None:
    """Find the server that started this process, or the process that started it, and so on."""
    try:
        ancestors = psutil.Process().parents()
    except psutil.Error:
        return None
    for process in ancestors:
        if runtime := read(process.pid):
            return runtime
    return None


def _started(pid: int) -> str:
    """Return when a process was started, which the clock does not change; empty if it has ended."""
    with suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    with suppress(psutil.Error, ValueError, OverflowError):
        return repr(psutil.Process(pid).create_time())
    return ""


def survey() -> tuple[list[Path], list[Path]]:
    """Return the files of servers that have ended on this machine, and those that run, here or elsewhere."""
    stale: list[Path] = []
    others: list[Path] = []
    for path in sorted(folder().glob("turbopilot-*.json*")):
        if path.suffix != ".json" and not is_unfinished(path.name):
            continue
        pid = _pid_of(path)
        (others if pid is None or _lives(path, pid) else stale).append(path)
    return stale, others


def running() -> list[Runtime]:
    """Return the servers that run on this machine."""
    pids = {pid for path in survey()[1] if (pid := _pid_of(path)) is not None}
    return [server for pid in sorted(pids) if (server := read(pid))]


def _pid_of(path: Path) -> int | None:
    """Return the process id that a file's name has; none where it is not one of this machine's."""
    machine, _, pid = path.name.removeprefix("turbopilot-").rpartition(".json")[0].rpartition("-")
    return int(pid) if machine == _here() and pid.isdecimal() else None


def _lives(path: Path, pid: int) -> bool:
    """Tell whether the process that wrote a file still runs: its number may be another's now."""
    started = _started(pid)
    return bool(started) and read_object(path).get("started", started) == started


def remove_stale() -> int:
    """Delete the files of servers of this machine that no longer run; return how many."""
    gone = 0
    for path in survey()[0]:
        with suppress(OSError):
            path.unlink()
            gone += 1
    return gone
