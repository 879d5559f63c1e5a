from __future__ import annotations

import subprocess
import sys

import pytest

from jupyter_turbopilot.running import child


def test_it_needs_the_standard_library_alone() -> None:
    outcome = subprocess.run(
        [sys.executable, "-I", "-S", child.__file__], capture_output=True, text=True, check=False
    )
    assert "not enough values to unpack" in outcome.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="the limits are POSIX's")
def test_limits_are_set_hard_and_never_raised() -> None:
    source = (
        f"import resource, runpy\nlimit = runpy.run_path({child.__file__!r})['limit']\n"
        "limit(7, 2**32, 2**20, 1000)\nlimit(9, 2**33, 2**21, 2000)\n"
        "print(*resource.getrlimit(resource.RLIMIT_CPU), *resource.getrlimit(resource.RLIMIT_FSIZE))"
    )
    outcome = subprocess.run([sys.executable, "-I", "-c", source], capture_output=True, text=True, check=True)
    assert outcome.stdout.split() == ["7", "7", str(2**20), str(2**20)]
