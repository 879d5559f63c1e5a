"""Shared by the benchmarks: the completer in this process, servers in separate processes, statistics."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from jupyter_turbopilot.cli import read_settings
from jupyter_turbopilot.completer.reply_iterators import Replies
from jupyter_turbopilot.engine.llama.kind import LlamaKind
from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.terminal.in_process import InProcess

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.engine.job import Job
    from jupyter_turbopilot.protocol.engine_request import RawRequest
    from jupyter_turbopilot.protocol.reply import Reply
    from jupyter_turbopilot.protocol.request import Completion

DEFAULT = "qwen2.5-coder-0.5b"
THREADS = "2"  # of llama-server: the same as Turbopilot's on the two cores of the results
TURBOPILOT = str(Path(sys.executable).with_name("jupyter-turbopilot"))
STARTED = 120.0  # timeout in seconds for starting a server
OK = 200


def default_weights() -> Path:
    """Return the file of the default model with its adapter merged."""
    kind = Pilot(Turbopilot()).kind
    assert isinstance(kind, LlamaKind)
    return kind.weights(kind.find(DEFAULT))[0]


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that a share of all values does not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


class LocalPilot(InProcess):
    """The completer in this process, without state of earlier runs and cached completions."""

    def __init__(self, **settings: Any) -> None:
        fresh = {"keep_sequences": False, "cache_file": "", "cache_memory": 0}
        super().__init__(Turbopilot(**(fresh | settings)))
        begun = time.perf_counter()
        self.wait()
        self.load_ms = (time.perf_counter() - begun) * 1000

    def submit(self, request: Completion | RawRequest) -> tuple[Job, Replies]:
        """Submit a request; return its job and its replies."""
        replies = Replies()
        return self.pilot.completer.submit(request, replies.listen), replies

    def ask(self, request: Completion | RawRequest) -> tuple[float, Reply]:
        """Submit a request and wait; return the milliseconds and the reply."""
        begun = time.perf_counter()
        reply = self.submit(request)[1].last()
        return (time.perf_counter() - begun) * 1000, reply


def settings_of(model: str | None, adapters: list[str] | None = None) -> Turbopilot:
    """Return the settings for measuring a model."""
    settings = read_settings(model)
    settings.keep_sequences = settings.yield_cpu = False
    settings.cache_file = ""
    if adapters is not None:
        settings.adapters = adapters
    return settings


def free_port() -> int:
    """Return a port that no server uses."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class ServerProcess:
    """A server in a separate process, with one connection."""

    def __init__(self, name: str, command: list[str], config: str = "") -> None:
        self.name, self.port = name, free_port()
        self._command = [*command, "--port", str(self.port)]
        self._config = f"c.Turbopilot.keep_sequences = False\nc.Turbopilot.deadline = 100.0\n{config}"

    def __enter__(self) -> Self:
        """Start the server and wait until it is ready."""
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        (folder / "jupyter_turbopilot_config.py").write_text(self._config)
        with (folder / "log").open("wb") as log:
            environment = os.environ | {"JUPYTER_CONFIG_DIR": str(folder)}
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log, env=environment)
        end = time.monotonic() + STARTED
        while time.monotonic() < end and self.process.poll() is None:
            self._link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=STARTED)
            try:
                self._link.request("GET", "/health")
                reply = self._link.getresponse()
                if json.loads(reply.read()).get("ready", True) and reply.status == OK:
                    return self
            except (OSError, ValueError):
                pass
            time.sleep(0.2)
        log_text = (folder / "log").read_text("utf-8", "replace")
        self.__exit__()
        raise RuntimeError(f"{self.name} did not start:\n{log_text}")

    def __exit__(self, *_: object) -> None:
        """End the server."""
        self.process.kill()
        self.process.wait()
        self._folder.cleanup()

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a request and return the answer."""
        for _ in range(2):
            try:
                self._link.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
                reply = self._link.getresponse()
                break
            except (BrokenPipeError, http.client.RemoteDisconnected):
                self._link.close()  # the server closed the idle connection
        found: dict[str, Any] = json.loads(reply.read())
        if reply.status != OK:
            raise RuntimeError(f"{self.name}: {reply.status} {found}")
        return found


def turbopilot_server(config: str = "") -> ServerProcess:
    """Return `jupyter turbopilot serve` with the default model."""
    return ServerProcess("turbopilot", [TURBOPILOT, "serve", "--no-api-key"], config)


def llama_server(context_size: int = 8192, slots: int = 1, *options: str) -> ServerProcess:
    """Return llama.cpp's own server with the same file."""
    from baseline import programs

    command = [str(programs()["llama-server"]), "-m", str(default_weights()), "-t", THREADS, "--no-webui"]
    return ServerProcess("llama-server", [*command, "-c", str(context_size), "-np", str(slots), *options])
