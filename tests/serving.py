"""`jupyter turbopilot serve` in a separate process, for tests with third-party clients."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO

import httpx

from .waiting import free_port, until

ROOT = Path(__file__).parents[1]


def install(source: Path, folder: Path) -> dict[str, str]:
    """Install a distribution in a folder; return the environment variables for processes that use it."""
    shutil.copytree(source, folder / "source")  # a build writes there
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--target", folder / "packages")
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", *options, folder / "source"], check=True)
    places = [str(ROOT), str(folder / "packages"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(places), "XDG_DATA_HOME": str(folder / "data")}


class Server:
    """A running server, and a client with its key."""

    def __init__(
        self,
        model: Path,
        *arguments: str,
        environment: dict[str, str] | None = None,
        before: tuple[str, ...] = (),
        log: IO[str] | None = None,
    ) -> None:
        self.port = free_port()
        command = [str(Path(sys.executable).parent / "jupyter-turbopilot"), "serve", "--port", str(self.port)]
        own = {"TURBOPILOT_MODELS": str(model.parent), "TURBOPILOT_API_KEY": ""} | (environment or {})
        self.process = subprocess.Popen(
            [*before, *command, "-m", str(model), *arguments],
            env=os.environ | own,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert self.process.stdout is not None
        assert f":{self.port}/" in self.process.stdout.readline()
        self.key = ""
        if "--api-key" in arguments:
            self.key = arguments[-1]
        elif not arguments and not own["TURBOPILOT_API_KEY"]:
            self.key = self.process.stdout.readline().split()[1]
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.url, headers=headers, timeout=30)
        until(lambda: self.client.get("/health").json()["status"] != "loading model")

    def stop(self) -> None:
        """Stop the server with SIGTERM."""
        self.client.close()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0
