"""A server like that of `jupyter turbopilot serve` for several users, without hub, key and limits of users.

python research/benchmarks/service.py --port 18080
"""

from __future__ import annotations

import argparse
import asyncio

from jupyter_turbopilot.cli import read_settings
from jupyter_turbopilot.jupyter.identity import KeyIdentity
from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
from jupyter_turbopilot.jupyter.standalone import ListenAddress, serve

HOST = "127.0.0.1"


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    settings = read_settings(None)
    settings.separate_caches = True
    settings.requests_per_minute = 0
    pilot = Pilot(settings)
    pilot.worker.limits.queue = 64  # all clients have the same address
    asyncio.run(serve(pilot, KeyIdentity("", HOST), ListenAddress(HOST, parser.parse_args().port)))


if __name__ == "__main__":
    main()
