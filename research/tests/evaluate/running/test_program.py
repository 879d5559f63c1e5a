"""Limits of programs that misbehave."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

from turbopilot_research.evaluate.running import cleanup, program
from turbopilot_research.evaluate.running.program import run_program

posix = pytest.mark.skipif(os.name != "posix", reason="the limits are POSIX's")


def why(source: str, seconds: float = 10) -> str:
    outcome = run_program(source, seconds=seconds)
    assert not outcome.passed
    return outcome.why


@pytest.mark.parametrize(
    "source",
    [
        "x = 1",
        "",
        "import sys\nprint('x' * 1000, file=sys.stderr)",
        "assert __name__ == '__main__'",
        "import sys\nassert sys.argv[1:] == []",
        "import threading\nthread = threading.Thread(target=print)\nthread.start()\nthread.join()",
        "from __future__ import annotations\nimport dataclasses\n@dataclasses.dataclass\nclass A:\n    x: int",
        "import os, shutil\nos.mkdir('a')\nopen('a/b', 'w').close()\nos.rename('a/b', 'a/c')\nshutil.rmtree('a')",
        "import sqlite3\nc = sqlite3.connect(':memory:')\nc.execute('create table t(x)')\nc.execute('vacuum')",
        "import sqlite3\nsqlite3.connect('a').execute('attach \"b\" as b').execute('create table b.t(x)')",
        "import sqlite3\nc = sqlite3.connect('file:a?mode=rwc', uri=True)\nc.execute('vacuum into \"b\"')",
        "import shelve\nwith shelve.open('a') as shelf: shelf['x'] = 1",
        pytest.param("import multiprocessing\nmultiprocessing.get_context('fork').Lock()", marks=posix),
        pytest.param("import os\nwith open('a', 'w') as file: os.fchmod(file.fileno(), 0)", marks=posix),
        pytest.param("import os\nwith open('a', 'w') as file: os.utime(file.fileno())", marks=posix),
        "import os\nos.mkdir('a')\nos.symlink('a', 'b')\nos.open('a/c', os.O_CREAT | os.O_WRONLY)",
        "import os, tempfile\ntempfile.TemporaryFile().close()\nopen(os.devnull, 'w').close()",
    ],
)  # fmt: skip
def test_run_program_passes_at_the_end_of_the_program(source: str) -> None:
    assert run_program(source) == program.ProgramResult(passed=True)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def", "SyntaxError: invalid syntax"),
        ("\0\ud800", "Error"),
        ("import os\nos._exit(0)", "exited with status 0 before its end"),
        *((f"import os\nos._exit({n})", f"exited with status {n} before its end") for n in (64, 100, 127)),
        ("import sys\nsys.exit(100)", "exited with status 100 before its end"),
        (
            "import os, sys\nprint(sys.orig_argv, *os.environ.items())\nassert not os.read(0, 9)\n1 / 0",
            "Zero",
        ),
        ("raise SystemExit", "exited with status 0 before its end"),
        ("import os\nos.abort()", "SIGABRT" if os.name == "posix" else "status"),
        ("input()", "EOFError"),
        ("for _ in range(1000): print('x' * 10**6)", "printed more than 1 MB"),
        ("import subprocess, sys\nsubprocess.run([sys.executable])", "refused"),
        ("import socket\nsocket.create_connection(('127.0.0.1', 9))", "refused"),
        ("import socket\nsocket.getaddrinfo('localhost', 80)", "refused"),
        ("import socket\nsocket.gethostbyname('localhost')", "refused"),
        ("import socket\nsocket.gethostbyname_ex('localhost')", "refused"),
        ("import socket\nsocket.gethostbyaddr('127.0.0.1')", "refused"),
        ("import socket\nsocket.getnameinfo(('127.0.0.1', 80), 0)", "refused"),
    ],
)
def test_run_program_fails_with_a_reason(source: str, reason: str) -> None:
    assert reason in why(source)


def test_run_program_stops_an_endless_loop() -> None:
    assert why("while True: pass", 0.3) == "It did not end within 0.3 seconds."


@posix
@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("x = bytearray(1 << 33)", "MemoryError"),
        ("with open('x', 'wb') as file:\n    while True: file.write(bytes(2**20))", "File too large"),
        ("import os\nwhile True: os.fork()", "os.fork is refused"),
        ("import os\nos.kill(os.getppid(), 9)", "os.kill is refused"),
    ],
)
def test_run_program_enforces_limits(source: str, reason: str) -> None:
    assert reason in why(source)


@pytest.mark.parametrize(
    "change",
    [
        "os.remove(path)",
        "open(path, 'w')",
        "os.open(path, os.O_RDWR)",
        "os.rename(path, 'here')",
        "os.rename('program', path)",
        "os.truncate(path, 0)",
        "shutil.rmtree(os.path.dirname(path))",
        "shutil.move(path, 'here')",
        "pathlib.Path(path).unlink()",
        "shutil.rmtree(pathlib.Path(path).parent)",
        "os.link(path, 'here')",
        "sqlite3.connect(path)",
        "sqlite3.connect(f'file:{path}?mode=rw', uri=True)",
        "sqlite3.connect('file:' + path.replace('/', '%2F'), uri=True)",
        "sqlite3.connect(f'file:{path}#/../..{os.getcwd()}/x', uri=True)",
        "sqlite3.connect('file:%2e%2e/x', uri=True)",
        "os.mkdir('file:?')\nsqlite3.connect('file:?/../../x')",
        "os.remove(os.fsencode(path))",
    ],
)
def test_run_program_protects_files_outside(tmp_path: Path, change: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text("mine", "utf-8")
    assert "outside" in why(
        f"import os, pathlib, shutil, sqlite3\nopen('program', 'w').close()\npath = {str(path)!r}\n{change}"
    )
    assert path.read_text("utf-8") == "mine"


@posix
@pytest.mark.parametrize(
    "change",
    [
        "os.symlink('x', path)",
        "os.mkfifo(path)",
        "os.open('new', os.O_CREAT | os.O_WRONLY, dir_fd=folder)",
        "os.mkdir('new', dir_fd=folder)",
        "os.symlink('x', 'new', dir_fd=folder)",
        "os.rename('program', 'new', dst_dir_fd=folder)",
        "os.remove('old', dir_fd=folder)",
    ],
)
def test_run_program_neither_creates_nor_deletes_files_outside(tmp_path: Path, change: str) -> None:
    (tmp_path / "old").touch()
    source = f"import os, sqlite3\nopen('program', 'w').close()\npath = {str(tmp_path / 'new')!r}\n"
    reason = why(f"{source}folder = os.open({str(tmp_path)!r}, os.O_RDONLY)\n{change}")
    assert any(word in reason for word in ("outside", "refused"))
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


@posix
@pytest.mark.parametrize(
    "change",
    [
        "os.fchmod(os.open(path, os.O_RDONLY), 0o777)",
        "os.fchmod(os.open(folder, os.O_RDONLY), 0o777)",
        "os.chmod(os.open(path, os.O_RDONLY), 0o777)",
        "os.utime(os.open(path, os.O_RDONLY), (1, 1))",
        "os.chmod(f'/dev/fd/{os.open(path, os.O_RDONLY)}', 0o777)",
        "posix.mkfifo(folder + '/new')",
        "posix.open('new', os.O_CREAT | os.O_WRONLY, dir_fd=os.open(folder, os.O_RDONLY))",
        "sqlite3.connect('a').execute(f'attach \"{folder}/new\" as b').execute('create table b.t(x)')",
        "sqlite3.connect('a').execute('attach ? as b', [folder + '/new']).execute('create table b.t(x)')",
        "sqlite3.connect('a').execute(f'vacuum into \"{folder}/new\"')",
        "import readline\nreadline.write_history_file(folder + '/new')",
        "import dbm.gnu\ndbm.gnu.open(folder + '/new', 'c')",
        "import dbm.ndbm\ndbm.ndbm.open(folder + '/new', 'c')",
        *(
            f"import {module} as module\nmodule.run_string(module.create(), f'open({{path!r}}, \"w\")')"
            for module in ("_xxsubinterpreters", "_interpreters")
        ),
    ],
)
def test_run_program_blocks_other_ways_to_change_files(tmp_path: Path, change: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text("mine", "utf-8")
    before = [(one.stat().st_mode, one.stat().st_mtime_ns) for one in (path, tmp_path)]
    why(f"import os, posix, sqlite3\npath = {str(path)!r}\nfolder = os.path.dirname(path)\n{change}")
    assert path.read_text("utf-8") == "mine"
    assert [(one.stat().st_mode, one.stat().st_mtime_ns) for one in (path, tmp_path)] == before


@posix
@pytest.mark.parametrize(
    "change",
    [
        "signal.pidfd_send_signal(os.pidfd_open(os.getppid()), 0)",
        "os.setpriority(os.PRIO_PROCESS, os.getppid(), 0)",
        "os.sched_setaffinity(os.getppid(), os.sched_getaffinity(0))",
        "resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE)",
        "os.memfd_create('x')",
        "import syslog\nsyslog.syslog('x')",
        "import socket\nsocket.sethostname(socket.gethostname())",
        "import time\ntime.clock_settime(time.CLOCK_REALTIME, time.time())",
    ],
)
def test_run_program_blocks_changes_of_the_system(change: str) -> None:
    reason = why(f"import os, resource, signal\n{change}")
    assert "refused" in reason or "has no attribute" in reason  # not every system has each function


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="the names of shared memory are not visible")
@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("turbopilot-test", "shared_memory.SharedMemory('turbopilot-test', create=True, size=10**6)"),
        ("sem.turbopilot-test-*", "get_context('spawn').Lock()"),
    ],
)
def test_run_program_leaves_no_shared_memory(name: str, source: str) -> None:
    prefix = "current_process()._config['semprefix'] = '/turbopilot-test'"
    reason = why(
        f"from multiprocessing import current_process, get_context, shared_memory\n{prefix}\n{source}"
    )
    assert "refused" in reason
    assert not [*Path("/dev/shm").glob(name)]


SPAWN = """
import multiprocessing, os
if __name__ == "__main__":
    context = multiprocessing.get_context("{method}")
    {what}
"""


@pytest.mark.parametrize("method", ["spawn", pytest.param("forkserver", marks=posix)])
@pytest.mark.parametrize(
    "what",
    [
        "with context.Pool(1) as pool: pool.map(os.remove, [path])",
        "process = context.Process(target=os.remove, args=[path]); process.start(); process.join()",
    ],
)
def test_run_program_blocks_new_processes(tmp_path: Path, method: str, what: str) -> None:
    path = tmp_path / "data.csv"
    path.touch()
    assert "refused" in why(SPAWN.format(method=method, what=what.replace("path", repr(str(path)))))
    assert path.exists()


def test_run_program_stops_a_program_that_fills_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "DISK", 2**20)
    source = "import itertools\nfor n in itertools.count(): open(str(n), 'wb').write(bytes(2**{}))\n"
    source += "    if n > 40:\n        while True: pass"
    source = source.replace("count(): open", "count():\n    open")
    assert why(source.format(16)) == "It wrote more than 1 MB."


def test_run_program_removes_deep_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert "end within" in why("import os\nwhile True:\n    os.mkdir('d')\n    os.chdir('d')", 1)
    assert not [*tmp_path.iterdir()]


def test_run_program_passes_no_user_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "mine")
    monkeypatch.setenv("PYTHONPATH", "/mine")
    source = "import os, sys, pathlib\nassert 'mine' not in str([*os.environ.values(), *sys.path])\n"
    source += "assert os.listdir() == []\nassert pathlib.Path.home() == pathlib.Path.cwd()"
    assert run_program(source).passed


@posix
@pytest.mark.skipif(sys.platform == "win32", reason="a fork past the hook needs libc")
def test_run_program_kills_detached_processes(tmp_path: Path) -> None:
    # Bypasses the hook: the new process leaves the group and closes the pipe.
    source = """
import ctypes, os, time
libc = ctypes.CDLL(None)
ready, write = os.pipe()
if libc.fork() == 0:
    os.setsid()
    for number in range(3):
        os.close(number)
    os.write(write, str(os.getpid()).encode())
    while True:
        time.sleep(60)
found = os.read(ready, 20)
raise ValueError(found.decode())
"""
    pid = int(why(source).removeprefix("ValueError: "))
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_run_program_removes_its_folder() -> None:
    folder = why("import os\nopen('left', 'w').close()\nraise ValueError(os.getcwd())").removeprefix(
        "ValueError: "
    )
    assert "turbopilot-" in folder
    assert not Path(folder).parent.exists()


@posix
@pytest.mark.parametrize(
    ("module", "moment"),
    [
        *((program, name) for name in ("_tasks", "_send_secret", "_outcome", "_end", "remove")),
        (cleanup, "_leftover"),
    ],
)
def test_run_program_cleans_up_after_an_interrupt(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: ModuleType, moment: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    started: list[subprocess.Popen[bytes]] = []
    do, start = getattr(module, moment), subprocess.Popen

    def interrupt(*given: Any) -> Any:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        return do(*given)

    def begin(*given: Any, **more: Any) -> subprocess.Popen[bytes]:
        started.append(start(*given, **more))
        return started[-1]

    monkeypatch.setattr(module, moment, interrupt)
    monkeypatch.setattr(subprocess, "Popen", begin)
    source = "pass" if moment in {"_end", "_leftover", "remove"} else "while True: pass"
    with pytest.raises(KeyboardInterrupt):
        run_program(source)
    assert all(process.returncode is not None for process in started)
    assert not [*tmp_path.iterdir()]
