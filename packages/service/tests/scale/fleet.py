"""Start, observe and stop replicas behind Ray Serve or vllm-router."""

import json
import os
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.serving import Server
from tests.waiting import free_port

ROOT = Path(__file__).resolve().parents[4]
PACKAGE = Path(__file__).resolve().parents[2]
ENVIRONMENTS = Path(os.environ.get("TURBOPILOT_SCALE", ROOT / ".make" / "scale"))
KEY = "the-key-of-the-replicas"
STARTING = 180.0  # seconds for Ray on two busy cores
PROCESSES = "ray::ServeReplica"
PORTS = (
    "--dashboard-agent-listen-port",
    "--dashboard-agent-grpc-port",
    "--metrics-export-port",
    "--runtime-env-agent-port",
)
QUEUE = "turbopilot_queue "


def until(holds: Callable[[], Any], what: str, seconds: float = STARTING) -> Any:
    """Wait until the result is true, and return it."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.1)
    return found


class Fleet:
    """Several replicas behind one router."""

    url: str

    def client(self, **more: Any) -> httpx.Client:
        headers = {"Authorization": f"Bearer {KEY}"}
        # Plain HTTP needs no certificates, and loading them takes time.
        secure = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return httpx.Client(
            base_url=self.url, headers=headers, timeout=30, trust_env=False, verify=secure, **more
        )

    def who_answers(self, session: str) -> str:
        """Return the replica of a session, or an empty string if none responds."""
        with self.client() as client, suppress(httpx.HTTPError):
            answer = client.post("/v1/completions", json=ASK, headers={"x-session-id": session})
            return str(answer.headers["x-replica-id"]) if answer.status_code == 200 else ""
        return ""

    def sessions(self) -> dict[str, str]:
        """Return one session per replica. It sends requests, so no others may be running."""
        return {self.who_answers(name): name for name in (f"user {number}" for number in range(24))}

    def busy(self, sessions: dict[str, str]) -> list[bool]:
        """Return for each replica whether it has running or waiting requests."""
        with self.client() as client:
            return [is_busy(client, session) for session in sessions.values()]

    def replicas(self, count: int) -> set[str]:
        """Wait until `count` replicas respond."""

        def all_of_them() -> set[str]:
            found = {self.who_answers(f"user {number}") for number in range(12 * count)} - {""}
            return found if len(found) == count else set()

        return set(until(all_of_them, f"{count} replicas"))


def is_busy(client: httpx.Client, session: str = "") -> bool:
    """Return whether a replica has running or waiting requests."""
    headers = {"x-session-id": session}
    (slot,) = client.get("/slots", headers=headers).json()
    waiting = [line for line in client.get("/metrics", headers=headers).text.splitlines() if QUEUE in line]
    return bool(slot["is_processing"]) or float(waiting[-1].split()[-1]) > 0


# Its cost is negligible compared to the router's.
ASK = {"prompt": [1, 2, 3, 4], "max_tokens": 1, "temperature": 0}


class RayFleet(Fleet):
    """A separate Ray cluster on this machine: a node with replicas under Ray Serve."""

    def __init__(self, model: Path, *, replicas: int = 2, cpus: int = 4, **settings: Any) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="tp")  # paths of sockets must be short
        self._settings = {"model": str(model), "context_size": 1024} | settings
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._address = f"127.0.0.1:{free_port()}"
        self.mark = f"fleet-{os.getpid()}-{self.port}"  # in the environment of all its processes
        self._environment = os.environ | {
            "TURBOPILOT_API_KEY": KEY,
            "TURBOPILOT_MODELS": str(model.parent),
            "TURBOPILOT_FLEET": self.mark,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": "0123456789abcdef" * 4,
            "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": "turbopilot_service.replica:middlewares",
            "RAY_USAGE_STATS_ENABLED": "0",
            # Ray's own limits, 30 s and 15 s, are not enough on two busy cores.
            "RAY_raylet_start_wait_time_s": str(int(STARTING)),
            "RAY_agent_register_timeout_ms": str(int(STARTING) * 1000),
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(PACKAGE))),
        }
        self.log = Path(self._folder.name) / "log"
        head = ["--head", "--port", self._address.rpartition(":")[2], "--include-dashboard=false"]
        sizes = ["--num-cpus", str(cpus), "--object-store-memory", str(100 << 20)]
        # Without fixed ports, a node waits 15 s for its helpers to report theirs.
        ports = [part for option in PORTS for part in (option, str(free_port()))]
        places = ["--temp-dir", self._folder.name, "--node-ip-address", "127.0.0.1"]
        self._node = self._start(["ray", "start", *head, *sizes, *ports, *places, "--block"])
        try:
            self.deploy(replicas)
        except BaseException:
            self.stop()
            raise

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        program = ENVIRONMENTS / "ray" / "bin" / command[0]
        assert program.exists(), f"{program} is missing. Run: make test-scale"
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [str(program), *command[1:]],
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def deploy(self, replicas: int) -> None:
        """Deploy with a number of replicas."""
        deployment = {
            "name": "turbopilot",
            "ray_actor_options": {"num_cpus": 1},
            "autoscaling_config": {"min_replicas": replicas, "max_replicas": replicas},
        }
        application = {
            "name": "turbopilot",
            "route_prefix": "/",
            "import_path": "turbopilot_service.replica:app",
            "args": self._settings,
            "deployments": [deployment],
        }
        options = {"host": "127.0.0.1", "port": self.port}
        config = Path(self._folder.name) / "serve.yaml"  # JSON is YAML
        config.write_text(json.dumps({"http_options": options, "applications": [application]}))
        command = ["serve", "run", "--non-blocking", "--address", self._address, str(config)]
        until(self._listens, "the node")
        until(lambda: self._succeeds(command), "the deployment", 2 * STARTING)
        self.replicas(replicas)

    def _listens(self) -> bool:
        """Return whether the node responds; before that, `serve run` waits forever."""
        assert self._node.poll() is None, self.log.read_text()[-2000:]
        host, _, port = self._address.partition(":")
        with socket.socket() as probe:
            return probe.connect_ex((host, int(port))) == 0

    def _succeeds(self, command: list[str]) -> bool:
        """Run a command with a timeout; return whether it succeeded."""
        process = self._start(command)
        try:
            return process.wait(STARTING / 2) == 0
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            assert self._node.poll() is None, self.log.read_text()[-2000:]
            return False

    def processes(self, begins: str = "") -> list[psutil.Process]:
        """Return the cluster's processes whose names start with a prefix."""
        return [process for process in psutil.process_iter() if self._is_own(process, begins)]

    def _is_own(self, process: psutil.Process, begins: str) -> bool:
        with suppress(psutil.Error):
            named = " ".join(process.cmdline()).startswith(begins)
            return named and process.environ().get("TURBOPILOT_FLEET") == self.mark
        return False

    def processes_of_replicas(self) -> list[psutil.Process]:
        return self.processes(PROCESSES)

    def stop(self) -> None:
        """Stop the cluster and all remaining processes."""
        self._node.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._node.wait(20)
        for process in self.processes():
            with suppress(psutil.Error):
                process.kill()
        self._folder.cleanup()


class RouterFleet(Fleet):
    """vllm-router in front of `serve` processes."""

    def __init__(self, model: Path, *, replicas: int = 2, policy: str = "consistent_hash") -> None:
        program = ENVIRONMENTS / "router" / "bin" / "vllm-router"
        assert program.exists(), f"{program} is missing. Run: make test-scale"
        own = {"TURBOPILOT_API_KEY": KEY}
        self.servers = [Server(model, environment=own) for _ in range(replicas)]
        for server in self.servers:
            server.client.headers["Authorization"] = f"Bearer {KEY}"
        port, figures = free_port(), free_port()
        self.url = f"http://127.0.0.1:{port}"
        where = ["--host", "127.0.0.1", "--port", str(port)]
        figures_at = ["--prometheus-host", "127.0.0.1", "--prometheus-port", str(figures)]
        workers = ["--worker-urls", *(server.url for server in self.servers)]
        self._router = subprocess.Popen(
            [str(program), *where, *figures_at, "--policy", policy, *workers],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(lambda: self.who_answers("x") or self._router.poll() is not None, "vllm-router")
        assert self._router.poll() is None, "vllm-router has ended"

    def busy(self, sessions: dict[str, str]) -> list[bool]:
        return [is_busy(server.client) for server in self.servers]

    def stop(self) -> None:
        self._router.terminate()
        self._router.wait(20)
        for server in self.servers:
            with suppress(AssertionError):
                server.stop()
