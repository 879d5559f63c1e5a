from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from turbopilot_research.evaluate.running import child


def test_child_needs_only_the_standard_library() -> None:
    outcome = subprocess.run(
        [sys.executable, "-I", "-S", child.__file__], capture_output=True, text=True, check=False
    )
    assert "not enough values to unpack" in outcome.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="the limits are POSIX's")
def test_limit_sets_hard_limits_and_never_raises_them() -> None:
    source = (
        f"import resource, runpy\nlimit = runpy.run_path({child.__file__!r})['limit']\n"
        "limit(7, 2**32, 2**20, 1000)\nlimit(9, 2**33, 2**21, 2000)\n"
        "print(*resource.getrlimit(resource.RLIMIT_CPU), *resource.getrlimit(resource.RLIMIT_FSIZE))"
    )
    outcome = subprocess.run([sys.executable, "-I", "-c", source], capture_output=True, text=True, check=True)
    assert outcome.stdout.split() == ["7", "7", str(2**20), str(2**20)]


def run_child(prelude: str, program: str, folder: Path) -> str:
    """Run a program as `child` does, after a prelude that changes the system; return its output."""
    (folder / "program.py").write_text(program)
    (folder / "folder").mkdir()
    source = (
        f"import os, runpy, sys\n{prelude}\n"
        f"sys.argv = ['child', {str(folder / 'program.py')!r}, {str(folder / 'ended')!r}, '9', '0', '0', '0']\n"
        f"runpy.run_path({child.__file__!r}, run_name='__main__')"
    )
    outcome = subprocess.run(
        [sys.executable, "-I", "-c", source],
        input="secret",
        capture_output=True,
        text=True,
        check=False,
        cwd=folder / "folder",
    )
    return outcome.stdout + outcome.stderr


def test_guards_allow_writing_to_the_null_device(tmp_path: Path) -> None:
    (tmp_path / "nul").symlink_to(os.devnull)  # Windows' `nul` is \\.\nul
    prelude = f"os.devnull = {str(tmp_path / 'nul')!r}\nsys.platform = 'win32'"
    program = "import os\nprint('gone', file=open(os.devnull, 'w'))\nprint('done')\nopen('../x', 'w')"
    message = run_child(prelude, program, tmp_path)
    assert message.startswith("done\n")
    assert "outside its own folder" in message


def test_guards_work_without_posix_limits(tmp_path: Path) -> None:
    absent = "sys.platform = 'win32'\nfor name in ('resource', '_posixsubprocess'): sys.modules[name] = None"
    program = "print('begun')\nimport os\nos.system('expr 6 + 36')"
    message = run_child(f"{absent}\nfor name in ('mkfifo', 'mknod'): delattr(os, name)", program, tmp_path)
    assert message.startswith("begun\n")
    assert "os.system is refused" in message
    assert "42" not in message.splitlines()  # a path in the traceback may contain it
