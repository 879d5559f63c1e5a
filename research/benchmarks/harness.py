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
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from jupyter_turbopilot.cli import read_settings
from jupyter_turbopilot.completer.cache.completion_cache import CompletionCache
from jupyter_turbopilot.completer.reply_iterators import Replies
from jupyter_turbopilot.engine.llama.kind import LlamaKind
from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.terminal.in_process import InProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jupyter_turbopilot.engine.job import Job
    from jupyter_turbopilot.protocol.engine_request import RawRequest
    from jupyter_turbopilot.protocol.reply import Reply
    from jupyter_turbopilot.protocol.request import Completion

DEFAULT = "qwen2.5-coder-0.5b"
THREADS = "2"  # of llama-server: the same as Turbopilot's on the two cores of the results
WEIGHTS_HELP = "the file that llama-server loads; default: the one that Turbopilot serves"
TURBOPILOT = str(Path(sys.executable).with_name("jupyter-turbopilot"))
STARTED = 180.0  # timeout in seconds for starting a server
LONGEST_ANSWER = 320.0  # seconds
TOKEN = "benchmark"  # noqa: S105 - of a Jupyter server on the loopback interface
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
    """The completer in this process, without state of earlier runs; `caches`: with cached completions."""

    def __init__(self, *, caches: bool = False, **settings: Any) -> None:
        super().__init__(Turbopilot(**({"keep_sequences": False, "cache_file": ""} | settings)))
        if not caches:
            self.pilot.completer.shared.results = CompletionCache(0)
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


class Response(NamedTuple):
    """A response of a server."""

    status: int
    kind: str  # of its content
    content: bytes


class JupyterServer:
    """A Jupyter server in a separate process, whose settings, data and notebooks are in a folder."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        ready: Callable[[dict[str, Any]], object],  # of the response of `health`
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self.port, self.log = free_port(), folder / "log"
        self.runtime, work = folder / "runtime", folder / "work"
        for name in ("config", "runtime", "data", "ipython", "work"):
            (folder / name).mkdir(exist_ok=True)
        own = {f"JUPYTER_{name.upper()}_DIR": str(folder / name) for name in ("config", "runtime", "data")}
        own |= {"IPYTHONDIR": str(folder / "ipython"), "PYTHONFAULTHANDLER": "1"}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "jupyter_server", "--allow-root", "--no-browser",
                 f"--ServerApp.port={self.port}", "--ServerApp.port_retries=0", "--ServerApp.ip=127.0.0.1",
                 f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={work}", *options],
                env={**environment, **own}, stdout=log, stderr=log,
            )  # fmt: skip
        self._link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONGEST_ANSWER)
        self._ready = ready

    def __enter__(self) -> Self:
        """Wait until the server is ready."""
        end = time.monotonic() + STARTED
        while time.monotonic() < end and self.process.poll() is None:
            with suppress(OSError, http.client.HTTPException):
                if self._ready(self.parsed("GET", "turbopilot/health")):
                    return self
            time.sleep(0.2)
        self.stop()
        raise SystemExit("The server did not become ready:\n" + self.log.read_text()[-3000:])

    def __exit__(self, *_: object) -> None:
        """Stop the server with its kernels."""
        self.stop()

    def stop(self) -> float:
        """Stop the server like a service manager; return the seconds this took."""
        begun = time.monotonic()
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        return time.monotonic() - begun

    def send(self, method: str, path: str, body: Any = None, token: str = TOKEN) -> Response:
        """Send a request over the one connection and wait for the response."""
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"token {token}"} if token else {}
        )
        try:
            self._link.request(method, f"/{path}", None if body is None else json.dumps(body), headers)
            reply = self._link.getresponse()
            kind = reply.headers.get("Content-Type", "").partition(";")[0]
            return Response(reply.status, kind, reply.read())
        except (OSError, http.client.HTTPException):
            self._link.close()
            raise

    def parsed(self, method: str, path: str, body: Any = None) -> Any:
        """Return the parsed response, or {} after an error."""
        reply = self.send(method, path, body)
        if reply.status >= HTTPStatus.MULTIPLE_CHOICES:
            print(method, path, reply.status, reply.content[:300], file=sys.stderr)
            return {}
        return json.loads(reply.content or b"{}")


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


def turbopilot_service() -> ServerProcess:
    """Return a server for several users, with the default model."""
    return ServerProcess("turbopilot", [sys.executable, str(Path(__file__).with_name("service.py"))])


def llama_server(weights: Path | None, context_size: int, slots: int, *options: str) -> ServerProcess:
    """Return llama.cpp's own server with a file; None: with the one that Turbopilot serves."""
    from baseline import program

    command = [str(program()), "-m", str(weights or default_weights()), "-t", THREADS, "--no-webui"]
    return ServerProcess("llama-server", [*command, "-c", str(context_size), "-np", str(slots), *options])
