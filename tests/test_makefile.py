"""What `make` builds again, and what not."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NPM = """#!/bin/sh
echo "$@" >> "$CALLS"
case "$*" in *" build")
    rm -rf ../jupyter_turbopilot/labextension
    mkdir -p ../jupyter_turbopilot/labextension/static
    [ -z "$ABORTED" ] || exit 1
    touch ../jupyter_turbopilot/labextension/static/models.json
esac
"""


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_a_front_end_that_is_not_there_or_not_whole_is_built_again(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    front = tmp_path / "labextension"
    for path in (front / "package.json", front / "tsconfig.json", front / "src" / "index.ts"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / ".make").mkdir()
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(NPM)
    npm.chmod(0o755)
    calls = tmp_path / "calls"

    def built(aborted: str = "") -> bool:
        calls.write_text("")
        subprocess.run(
            # What is installed is there, and not looked for.
            ["make", "test-front", "PYTHON=true", "-o", ".make/npm"],
            cwd=tmp_path,
            env=os.environ
            | {"PATH": f"{npm.parent}{os.pathsep}{os.environ['PATH']}"}
            | {"CALLS": str(calls), "ABORTED": aborted},
            check=not aborted,
        )
        return "build" in calls.read_text()

    assert built()
    assert not built()
    shutil.rmtree(tmp_path / "jupyter_turbopilot" / "labextension")  # by hand, or by a release that failed
    assert built(aborted="yes")
    assert built()
    assert not built()


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
