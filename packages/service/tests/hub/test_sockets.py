import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

import httpx
import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="systemd passes sockets on Linux only")

# Like systemd, pass the socket as file descriptor 3, and name the process.
ACTIVATE = """import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.executable, [sys.executable, "-m", "jupyter_turbopilot.cli", "serve", "--hub"])
"""


def activation(passed: IO[bytes] | socket.socket, port: int, folder: Path) -> dict[str, Any]:
    """Return the arguments of a service to which systemd passes a file."""
    environment = os.environ | {
        "JUPYTERHUB_API_URL": "http://127.0.0.1:1/hub/api",
        "JUPYTERHUB_SERVICE_PREFIX": "/services/turbopilot/",
        "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{port}",
        "TURBOPILOT_MODELS": str(folder),
        "JUPYTER_CONFIG_DIR": str(folder),
    }
    number = passed.fileno()
    return {
        "args": [sys.executable, "-c", ACTIVATE, str(number)],
        "env": environment,
        "pass_fds": [number],
        "stdout": subprocess.DEVNULL,
    }


def test_hub_service_listens_on_a_passed_socket(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as passed:
        port = passed.getsockname()[1]
        health = f"http://127.0.0.1:{port}/services/turbopilot/health"
        for _ in range(2):  # between the two processes, the port is not free
            process = subprocess.Popen(**activation(passed, port, tmp_path))
            assert httpx.get(health, timeout=60).json() == {"status": "error"}  # waits for the process
            process.terminate()
            assert process.wait(30) == 0
            with pytest.raises(OSError, match="in use"):
                socket.create_server(("127.0.0.1", port))


def test_passed_socket_must_listen_on_the_configured_address(tmp_path: Path) -> None:
    def report(passed: IO[bytes] | socket.socket, port: int) -> str:
        process = subprocess.Popen(**activation(passed, port, tmp_path), stderr=subprocess.PIPE, text=True)
        error: str = process.communicate(timeout=60)[1]
        assert process.returncode == 2
        assert "Traceback" not in error
        return error

    with socket.create_server(("127.0.0.1", 0)) as passed:
        port = passed.getsockname()[1]
        expected = f"127.0.0.1:{port}, but the address of this service is 127.0.0.1:{port - 1}"
        assert expected in report(passed, port - 1)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        assert "not a listening socket" in report(silent, silent.getsockname()[1])
    with (tmp_path / "file").open("wb") as file:
        assert "not a listening socket" in report(file, port)
