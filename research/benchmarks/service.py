"""A server like that of `jupyter turbopilot serve` for several users, but without a hub and without a key.

    python research/benchmarks/service.py --port 18080 [--limits]

`--limits`: limit the texts and the waiting requests of each address, like those of each user of a hub.
"""

from __future__ import annotations

import argparse
import asyncio

from jupyter_turbopilot.cli import read_settings
from jupyter_turbopilot.jupyter.identity import KeyIdentity
from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
from jupyter_turbopilot.jupyter.standalone import (
    REQUESTS_PER_MINUTE,
    RUNNING_PER_USER,
    WAITING_PER_USER,
    ListenAddress,
    serve,
)

HOST = "127.0.0.1"


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--limits", action="store_true")
    options = parser.parse_args()
    settings = read_settings(None)
    settings.separate_caches = True
    settings.requests_per_minute = REQUESTS_PER_MINUTE if options.limits else 0
    pilot = Pilot(settings)
    limits = pilot.worker.limits
    if options.limits:
        limits.running, limits.waiting = RUNNING_PER_USER, WAITING_PER_USER
    else:
        limits.queue = 64  # all clients have the same address
    asyncio.run(serve(pilot, KeyIdentity("", HOST), ListenAddress(HOST, options.port)))


if __name__ == "__main__":
    main()
