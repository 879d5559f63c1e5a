"""The runtime file: the URL and the secret with which kernels call their own server."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
from jupyter_core.paths import jupyter_runtime_dir

from jupyter_turbopilot.context.private import is_private_path
from jupyter_turbopilot.protocol.errors import DisabledError
from jupyter_turbopilot.settings.access import access_of
from jupyter_turbopilot.util.files import is_unfinished, read_object, replace_content
from jupyter_turbopilot.util.notebook_file import equivalent_paths

if TYPE_CHECKING:
    from jupyter_turbopilot.settings.access import Access
    from jupyter_turbopilot.settings.config import Turbopilot

PRIVATE = "Files with credentials get no suggestions."
SECRET_HEADER = "X-Turbopilot-Secret"  # noqa: S105 - the header's name


@dataclass(frozen=True)
class Runtime:
    """The contents of the file. The secret gives access to routes that serve kernels."""

    url: str
    secret: str
    pid: int
    cache_file: str = ""  # the setting
    root: str = ""  # the server's root folder


def folder() -> Path:
    return Path(jupyter_runtime_dir())


def _machine_id() -> str:
    """Return an identifier of this machine or container, in which process ids are unique.

    Several can share a home folder, and a container can have the host name of its host.
    """
    processes = ""
    with suppress(OSError):
        processes = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - the link's target is not a path
    return hashlib.sha256(f"{socket.gethostname()}|{processes}".encode()).hexdigest()[:12]


def path_for(pid: int) -> Path:
    return folder() / f"turbopilot-{_machine_id()}-{pid}.json"


def write(runtime: Runtime) -> Path:
    """Write the file with permissions for its owner only."""
    path = path_for(runtime.pid)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    content = json.dumps(asdict(runtime) | {"started": _started(runtime.pid)})
    replace_content(path, content.encode(), private=True)
    return path


def remove(pid: int) -> None:
    with suppress(OSError):
        path_for(pid).unlink()


def read(pid: int) -> Runtime | None:
    """Read a server's file; None if another user could have written it or the server has ended."""
    path = path_for(pid)
    try:
        status = path.lstat()
        # A link has the mode 777.
        if hasattr(os, "getuid") and (status.st_uid != os.getuid() or status.st_mode & 0o077):
            return None
        if not _is_running(path, pid):
            return None
        content = read_object(path)
        return Runtime(
            url=str(content["url"]),
            secret=str(content["secret"]),
            pid=int(content["pid"]),
            cache_file=str(content.get("cache_file", "")),
            root=str(content.get("root", "")),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def find() -> Runtime | None:
    """Return the server that is the nearest ancestor of this process."""
    try:
        ancestors = psutil.Process().parents()
    except psutil.Error:
        return None
    for process in ancestors:
        if runtime := read(process.pid):
            return runtime
    return None


def path_in_server(path: Path) -> str:
    """Return a path relative to the root folder of the server that started this process; "" if unknown."""
    server = find()
    if server and server.root:
        with suppress(OSError, ValueError):
            return path.resolve().relative_to(Path(server.root).resolve()).as_posix()
    return ""


def access_of_process(settings: Turbopilot) -> Access:
    """Return where the settings and the environment allow completion in this process."""
    # Absolute patterns need the server's root folder, to which the checked paths are relative.
    server = find() if settings.denied_paths else None
    return access_of(settings, os.environ, server.root if server else "")


def check_public(*paths: str) -> None:
    """Raise a DisabledError if one of these files probably contains credentials."""
    if any(is_private_path(form) for path in paths for form in equivalent_paths(path)):
        raise DisabledError(PRIVATE)


def check_file(access: Access, file: Path | None = None) -> None:
    """Raise a DisabledError unless completion is allowed for a file, by default in the current folder."""
    if file:
        check_public(str(file.absolute()))
    access.check(path_in_server(file or Path()) if access.denied else "")


def _started(pid: int) -> str:
    """Return the start time of a process, independent of the clock; empty if the process has ended."""
    with suppress(OSError, IndexError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    with suppress(psutil.Error, ValueError, OverflowError):
        return repr(psutil.Process(pid).create_time())
    return ""


def survey() -> tuple[list[Path], list[Path]]:
    """Return the files of ended servers of this machine, and all other files."""
    stale: list[Path] = []
    others: list[Path] = []
    for path in sorted(folder().glob("turbopilot-*.json*")):
        if path.suffix != ".json" and not is_unfinished(path.name):
            continue
        pid = _pid_of(path)
        (others if pid is None or _is_running(path, pid) else stale).append(path)
    return stale, others


def running() -> list[Runtime]:
    pids = {pid for path in survey()[1] if (pid := _pid_of(path)) is not None}
    return [server for pid in sorted(pids) if (server := read(pid))]


def _pid_of(path: Path) -> int | None:
    """Return the process id in a file's name; None for a file of another machine."""
    machine, _, pid = path.name.removeprefix("turbopilot-").rpartition(".json")[0].rpartition("-")
    return int(pid) if machine == _machine_id() and pid.isdecimal() else None


def _is_running(path: Path, pid: int) -> bool:
    """Return whether the process that wrote a file is running; another process may have its id."""
    started = _started(pid)
    return bool(started) and read_object(path).get("started", started) == started


def remove_stale() -> None:
    for path in survey()[0]:
        with suppress(OSError):
            path.unlink()
