"""A real JupyterHub on loopback, with its proxy, the service of the snippet, and the users' servers.

`python packages/service/tests/hub/real_hub.py MODEL FOLDER` starts one with servers for ada (an administrator) and bob,
prints where everything is as JSON, and ends it when its standard input does; a line `stop` or `start` stops
or starts the service meanwhile.
"""

import contextlib
import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[4]
PROXY = ROOT / "labextension" / "node_modules" / ".bin" / "configurable-http-proxy"
PREFIX = "/services/turbopilot"
# The service waits while a file exists, then runs the snippet's command, with another file without `-m MODEL`.
HELD = """echo $$ > "$0.pid"; while [ -e "$0.held" ]; do sleep 0.05; done
if [ -e "$0.default" ]; then set -- "$1" "$2" "$3" "$4" "$5"; fi
exec "$@" >> "$0.log" 2>&1"""

CONFIG = """
import os
from pathlib import Path
from jupyterhub.services.service import _ServiceSpawner
from turbopilot_service.hub.command import on_host

given = {given!r}
folder = Path(given["folder"])
c.JupyterHub.services = [
    {{"name": "tests", "api_token": given["admin"]}},
    {{"name": "other", "api_token": given["other"]}},
]
c.JupyterHub.load_roles = [
    {{"name": "tests", "services": ["tests"], "scopes": ["admin:users", "admin:servers", "admin:server_state", "admin:groups", "tokens", "read:services"]}}
]
exec(on_host(given["python"], given["models"], "").replace("10101", str(given["service"])))
service = c.JupyterHub.services[-1]
# The documented configuration: only ada and bob may use the service, and Prometheus may read its metrics.
c.JupyterHub.load_roles = [role for role in c.JupyterHub.load_roles if role["name"] != "user"]
c.JupyterHub.load_groups = {{}}
c.JupyterHub.custom_scopes = {{}}
for text in given["documented"]:
    exec(text)
c.JupyterHub.services[-1]["api_token"] = given["figures"]
service["command"] = ["sh", "-c", given["held"], str(folder / "service"), *service["command"], "-m", given["model"]]
service["environment"].update(JUPYTER_CONFIG_DIR=str(folder / "config"), HOME=str(folder))

c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {{"ada"}}
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = str(folder / "home" / "{{username}}")
c.JupyterHub.bind_url = f"http://127.0.0.1:{{given['public']}}"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{{given['hub']}}"
c.JupyterHub.db_url = f"sqlite:///{{folder / 'hub.sqlite'}}"
c.JupyterHub.cookie_secret_file = str(folder / "cookie_secret")
c.JupyterHub.cleanup_servers = False
c.JupyterHub.tornado_settings = {{"slow_spawn_timeout": 0}}  # servers start in parallel
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{{given['api']}}"
c.ConfigurableHTTPProxy.auth_token = given["proxy"]
c.Spawner.environment.update(given["environment"])
c.Spawner.cmd = [str(Path(given["python"]).parent / "jupyterhub-singleuser")]
c.Spawner.args = ["--allow-root", f"--TurbopilotRemote.vocabulary={{given['vocabulary']}}", *given["flags"]]
c.Spawner.start_timeout = 120

# The hub checks the service every second instead of every 30 seconds.
start_polling = _ServiceSpawner.start_polling


def poll_often(spawner):
    spawner.poll_interval = 1
    start_polling(spawner)


_ServiceSpawner.start_polling = poll_often
"""


def documented(*markers: str) -> list[str]:
    """Return the blocks of the pages for administrators that contain a marker."""
    page = "".join((ROOT / name).read_text() for name in ("docs/jupyterhub.md", "packages/service/scale.md"))
    found = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    return [next(text for text in found if marker in text) for marker in markers]


def free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def wait(done: Callable[[], Any], seconds: float = 90.0, what: str = "") -> Any:
    """Wait until a condition holds; connection errors count as false."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(httpx.HTTPError, ValueError, KeyError):
            if found := done():
                return found
        assert time.monotonic() < end, f"{what or 'it'} took too long"
        time.sleep(0.05)


class RealHub:
    """The hub, its proxy and the processes that it started."""

    def __init__(
        self,
        folder: Path,
        model: Path,
        *,
        vocabulary: Path | str = "",
        flags: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
        settings: str = "",
    ) -> None:
        """`flags` and `environment` are for users' servers; `settings` for the service."""
        self.folder, self.people = folder, ("ada", "bob")
        tokens = (secrets.token_hex(16) for _ in range(4))
        self.admin_token, self.other_token, self.metrics_token, proxy = tokens
        self.public, self.hub, self.api, self.service = free_ports(4)
        (folder / "config").mkdir(parents=True)
        (folder / "config" / "jupyter_turbopilot_config.py").write_text(
            f"c.Turbopilot.threads = 1\n{settings}"
        )
        for name in self.people:
            (folder / "home" / name).mkdir(parents=True)
        given = {
            "folder": str(folder), "models": str(model.parent), "model": str(model), "python": sys.executable,
            "admin": self.admin_token, "other": self.other_token, "figures": self.metrics_token,
            "proxy": proxy, "held": HELD,
            "documented": documented("load_groups", "spawner.user.groups", "custom_scopes"),
            "public": self.public, "hub": self.hub, "api": self.api, "service": self.service,
            "vocabulary": str(vocabulary or model), "flags": flags, "environment": environment or {},
        }  # fmt: skip
        (folder / "jupyterhub_config.py").write_text(CONFIG.format(given=given))
        self._environment = os.environ | {
            "CONFIGPROXY_AUTH_TOKEN": proxy,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
        }
        self._log = (folder / "hub.log").open("wb")
        command = [PROXY, "--ip=127.0.0.1", "--api-ip=127.0.0.1", "--log-level=error"]
        self._proxy = self._run(*command, f"--port={self.public}", f"--api-port={self.api}")
        self.url = f"http://127.0.0.1:{self.public}"
        self.through = f"{self.url}{PREFIX}"  # the service, through the proxy
        self.direct = f"http://127.0.0.1:{self.service}{PREFIX}"
        self.api_url = f"http://127.0.0.1:{self.hub}/hub/api"
        headers = {"Authorization": f"token {self.admin_token}"}
        self.admin = httpx.Client(base_url=self.api_url, headers=headers, timeout=60)
        self._children: set[int] = set()
        try:
            self.start_hub()
        except BaseException:
            self.stop()
            raise

    def _run(self, *command: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [str(part) for part in command],
            env=self._environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )

    def log(self) -> str:
        return (self.folder / "hub.log").read_text(errors="replace")

    def start_hub(self) -> None:
        """Start the hub, and wait until it has found its service."""
        begins = len(self.log())
        self._hub = self._run(sys.executable, "-m", "jupyterhub", "-f", self.folder / "jupyterhub_config.py")
        try:
            wait(
                lambda: self._hub.poll() is not None or "JupyterHub is now running" in self.log()[begins:],
                what="the hub",
            )
        except AssertionError:
            raise AssertionError(self.log()) from None
        assert self._hub.poll() is None, self.log()

    def stop_hub(self) -> None:
        self._hub.terminate()
        self._hub.wait(20)

    def ready(self) -> bool:
        return bool(httpx.get(f"{self.direct}/health").status_code == 200)

    def service_pid(self) -> int:
        return int(self.admin.get("/services/turbopilot").json()["pid"])

    def stop_service(self) -> None:
        """Stop the service, and keep the hub's next one from starting."""
        (self.folder / "service.held").touch()
        os.kill(self.service_pid(), signal.SIGTERM)

    def start_service(self, *, ready: bool = True) -> None:
        (self.folder / "service.held").unlink()
        if ready:
            wait(self.ready, what="the service")

    def service_log(self) -> str:
        return (self.folder / "service.log").read_text(errors="replace")

    def start_servers(self, *names: str) -> None:
        for name in names or self.people:
            self.admin.post(f"/users/{name}")  # administrators already exist
            assert self.admin.post(f"/users/{name}/server").is_success, self.log()
        for name in names or self.people:
            wait(lambda name=name: self._server(name)["ready"], what=f"{name}'s server")
            self._children.add(int(self._server(name)["state"]["pid"]))

    def wait_for_engines(self) -> None:
        """Wait until the service has loaded its model, and the users' servers are ready."""
        wait(self.ready, what="the service")
        for name in self.people:
            headers = {"Authorization": f"token {self.token(name)}"}
            health = f"{self.url}/user/{name}/turbopilot/health"
            wait(
                lambda health=health, headers=headers: httpx.get(health, headers=headers).json()["ready"],
                what=f"{name}'s engine",
            )

    def _server(self, name: str) -> Any:
        user = self.admin.get(f"/users/{name}", params={"include_stopped_servers": True}).json()
        return user["servers"][""]

    def token(self, name: str, *scopes: str) -> str:
        """Return a user's token with these scopes (default: all of the user's)."""
        body = {"scopes": list(scopes)} if scopes else {}
        made = self.admin.post(f"/users/{name}/tokens", json=body).raise_for_status()
        return str(made.json()["token"])

    def _end_service(self) -> None:
        """Stop a service that the hub restarted during its own shutdown."""
        with contextlib.suppress(OSError, ValueError, psutil.NoSuchProcess):
            process = psutil.Process(int((self.folder / "service.pid").read_text()))
            if process.environ().get("HOME") == str(self.folder):
                process.terminate()

    def stop(self) -> None:
        """Stop all started processes."""
        self._hub.terminate()
        for pid in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._hub.wait(20)
        self._end_service()
        self._proxy.terminate()
        self._proxy.wait(30)
        self.admin.close()
        self._log.close()


def main() -> None:
    """Start a hub for a program that is not written in Python."""
    model, folder, *flags = sys.argv[1:]
    share = {"JUPYTER_PATH": os.environ.get("JUPYTER_PATH", "")}
    hub = RealHub(Path(folder), Path(model), environment=share, flags=tuple(flags))
    try:
        hub.start_servers()
        hub.wait_for_engines()
        tokens = {name: hub.token(name) for name in hub.people}
        print(
            json.dumps({"url": hub.url, "service": f"127.0.0.1:{hub.service}", "tokens": tokens}), flush=True
        )
        for line in sys.stdin:
            hub.stop_service() if line.strip() == "stop" else hub.start_service()
            print("done", flush=True)
    finally:
        hub.stop()


if __name__ == "__main__":
    main()
