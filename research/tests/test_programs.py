from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import programs
import pytest
from programs import run_program


@pytest.mark.parametrize(
    "source",
    [
        "x = 1",
        "import atexit, sys; print('x' * 10**6); sys.stderr.write('y')",
        "import os; os.mkdir('a'); open('a/b', 'w').write('c'); os.remove('a/b'); open(os.devnull, 'w')",
        "import os, sys; assert not sys.stdin.read(); assert 'PATH' not in os.environ",
    ],
)
def test_run_program_passes_at_the_end_of_the_program(source: str) -> None:
    assert run_program(source)


@pytest.mark.parametrize(
    "source",
    ["raise ValueError", "x =", "'\ud800'", "exit(0)", "import os; os._exit(0)", "x = [0] * 10**9",
     "open('x', 'wb').write(bytes(2**26))"],
)  # fmt: skip
def test_run_program_fails_without_the_end_of_the_program(source: str) -> None:
    assert not run_program(source)


@pytest.mark.parametrize("source", ["while True: pass", "sum(range(10**12))", "import time; time.sleep(60)"])
def test_run_program_stops_a_program_at_the_time_limit(source: str) -> None:
    assert not run_program(source, seconds=0.5)


@pytest.mark.parametrize(
    "change",
    [
        "open({!r}, 'w')",
        "open({!r}, 'a')",
        "import os; os.remove({!r})",
        "import os; os.rename({!r}, 'mine')",
        "import os; os.truncate({!r}, 0)",
        "import os; os.chmod({!r}, 0)",
        "import shutil; shutil.rmtree(__import__('os').path.dirname({!r}))",
        "import pathlib; pathlib.Path({!r}).unlink()",
        "import sqlite3; sqlite3.connect({!r})",
    ],
)
def test_run_program_protects_files_outside_its_folder(tmp_path: Path, change: str) -> None:
    file = tmp_path / "file"
    file.write_text("content")
    assert not run_program(change.format(str(file)))
    assert file.read_text() == "content"
    assert os.access(file, os.R_OK)


@pytest.mark.parametrize(
    "source",
    [
        "import os; os.system('true')",
        "import subprocess; subprocess.run(['true'])",
        "import os; os.kill(os.getppid(), 0)",
        "import multiprocessing as m; m.get_context('fork').Process(target=print).start()",
        "import socket; socket.create_connection(('127.0.0.1', 9))",
    ],
)
def test_run_program_refuses_processes_and_connections(source: str) -> None:
    refused = f"try:\n    {source}\nexcept PermissionError:\n    pass\nelse:\n    raise SystemExit(1)"
    assert run_program(refused)


def test_run_program_removes_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert run_program("import os; os.makedirs('a/b'); open('a/b/c', 'w').close()")
    assert [*tmp_path.iterdir()] == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no alarms")
def test_main_ends_a_sleeping_program_without_its_parent(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("import time; time.sleep(60)")
    command = [sys.executable, "-I", programs.__file__, "program.py", "1"]
    assert subprocess.run(command, cwd=tmp_path, check=False).returncode == -signal.SIGALRM
