"""What `make` builds again, and what not."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
@pytest.mark.parametrize("target", ["lite", "demo"])
def test_make_refuses_a_taken_port_before_it_builds(tmp_path: Path, target: str) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "serve_site.py", tmp_path / "scripts")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        command = ["make", target, f"PYTHON={sys.executable}", f"ARGS=--port {port}"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode
    assert f'ARGS="--port {port + 1}"' in done.stderr
    assert not (tmp_path / ".make").exists()  # nothing was installed or built
