"""llama.cpp's server, if it was built with `python research/benchmarks/baseline.py`."""

import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "research" / "benchmarks"))

from baseline import folder

from .waiting import free_port

PROGRAM = folder() / "llama-server"  # looked up before the tests change the cache folder


class LlamaServer:
    """llama-server with several slots."""

    def __init__(self, model: Path, context_size: int, places: int = 2) -> None:
        if not PROGRAM.exists():
            pytest.skip("needs llama-server: python research/benchmarks/baseline.py builds it")
        port = free_port()
        sizes = ["-c", str(context_size * places), "-np", str(places), "-t", "1"]
        self.process = subprocess.Popen(
            [str(PROGRAM), "-m", str(model), "--port", str(port), "--no-webui", *sizes],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.url = f"http://127.0.0.1:{port}"
        end = time.monotonic() + 60
        while not self._is_ready():
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise AssertionError("llama-server did not start")
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def stop(self) -> None:
        """Stop the process."""
        self.process.kill()
        self.process.wait()
