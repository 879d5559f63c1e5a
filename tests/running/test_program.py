"""What a program that goes wrong can do, and that it does no more."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil
import pytest

from jupyter_turbopilot.running import NO_SANDBOX, program, run_program

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
        "import os, tempfile\ntempfile.TemporaryFile().close()\nopen(os.devnull, 'w').close()",
    ],
)  # fmt: skip
def test_a_program_that_comes_to_its_end_passes(source: str) -> None:
    assert run_program(source) == program.Outcome(passed=True)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def", "SyntaxError: invalid syntax"),
        ("\0\ud800", "Error"),
        ("import os\nos._exit(0)", "exited with status 0 before its end"),
        ("raise SystemExit", "exited with status 0 before its end"),
        ("import os\nos.abort()", "SIGABRT" if os.name == "posix" else "status"),
        ("input()", "EOFError"),
        ("for _ in range(1000): print('x' * 10**6)", "printed more than 1024 kB"),
        ("import subprocess, sys\nsubprocess.run([sys.executable])", "refused"),
        ("import socket\nsocket.create_connection(('127.0.0.1', 9))", "refused"),
    ],
)
def test_a_program_that_does_not_come_to_its_end_fails_with_a_reason(source: str, reason: str) -> None:
    assert reason in why(source)


def test_a_loop_is_ended() -> None:
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
def test_limits_hold(source: str, reason: str) -> None:
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
        "os.remove(os.fsencode(path))",
    ],
)
def test_files_elsewhere_are_not_changed(tmp_path: Path, change: str) -> None:
    path = tmp_path / "data.csv"
    path.write_text("mine", "utf-8")
    assert "outside" in why(
        f"import os, pathlib, shutil\nopen('program', 'w').close()\npath = {str(path)!r}\n{change}"
    )
    assert path.read_text("utf-8") == "mine"


def test_nothing_of_the_persons_is_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "mine")
    monkeypatch.setenv("PYTHONPATH", "/mine")
    source = "import os, sys, pathlib\nassert 'mine' not in str([*os.environ.values(), *sys.path])\n"
    source += "assert os.listdir() == []\nassert pathlib.Path.home() == pathlib.Path.cwd()"
    assert run_program(source).passed


@posix
@pytest.mark.skipif(sys.platform == "win32", reason="a fork past the hook needs libc")
def test_what_a_program_leaves_behind_is_ended_even_if_it_detached(tmp_path: Path) -> None:
    # Past the hook: what it starts leaves the group and closes the pipe.
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


def test_its_folder_is_gone_afterwards() -> None:
    folder = why("import os\nopen('left', 'w').close()\nraise ValueError(os.getcwd())").removeprefix(
        "ValueError: "
    )
    assert "turbopilot-" in folder
    assert not Path(folder).parent.exists()


def test_an_interrupted_run_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def interrupt(process: object, *_: object) -> None:
        started.append(process)
        raise KeyboardInterrupt

    monkeypatch.setattr(program, "_outcome", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_program("while True: pass")
    assert started[0].returncode is not None


def test_a_reason_is_short() -> None:
    assert len(why("raise ValueError('x' * 10**5)")) <= 300


def test_people_are_told_that_it_is_no_sandbox() -> None:
    assert "no sandbox" in NO_SANDBOX
    assert "no sandbox" in (run_program.__doc__ or "")
