"""The time to the first suggestion in a long notebook that the server has not evaluated, typed in real time.

    python benchmarks/unread.py [--cells 300] [--key-interval 170]

Each round uses a new server, so that nothing is cached. When typing, keystrokes do not cancel requests, as in
JupyterLab; when waiting, each keystroke follows the previous response.
"""

from __future__ import annotations

import argparse
import http.client
import json
import tempfile
import threading
import time
from pathlib import Path

from besieged import TOKEN, Server

CELL = """def load_{0}(path):
    table = pd.read_csv(path, sep=";").dropna()
    table["month"] = pd.to_datetime(table["date"]).dt.month
    return table.groupby("month")["amount"].sum()
"""


def suggest(port: int, sources: list[str], shown: threading.Event) -> None:
    """Request a completion at the end of the last cell, read the response, and signal its first text."""
    body = {
        "cells": [{"source": source} for source in sources],
        "active": len(sources) - 1,
        "offset": len(sources[-1]),
        "trigger": "automatic",
        "stream": True,
        "client": "unread",
    }
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    headers = {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"}
    link.request("POST", "/turbopilot/complete", json.dumps(body), headers)
    for line in link.getresponse():
        if json.loads(line).get("text"):
            shown.set()
    link.close()


def first_text(cells: int, pace: float | None) -> tuple[float, int]:
    """Return the seconds and the number of keystrokes until the first text."""
    above, text = [CELL.format(number) for number in range(cells)], CELL.format(cells)
    shown, asked = threading.Event(), []
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), "c.Turbopilot.cache_memory = 0\n")
        try:
            begun = time.perf_counter()
            for keys in range(1, len(text) + 1):
                one = threading.Thread(target=suggest, args=(server.port, [*above, text[:keys]], shown))
                one.start()
                asked.append(one)
                if pace is None:
                    one.join()
                elif shown.wait(begun + keys * pace - time.perf_counter()):
                    break
                if shown.is_set():
                    break
            took = time.perf_counter() - begun
            for one in asked:
                one.join()
        finally:
            server.stop()
    if not shown.is_set():
        raise SystemExit("Nothing was shown.")
    return took, keys


def main() -> None:
    """Type into a new notebook, and wait in another, alternating."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=300)
    parser.add_argument("--key-interval", type=int, default=170, help="milliseconds between keystrokes")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    for _ in range(args.rounds):
        waited, few = first_text(args.cells, None)
        typed, keys = first_text(args.cells, args.key_interval / 1000)
        print(
            f"{args.cells} cells: waiting {waited:.2f} s (keystroke {few}), "
            f"typing at {args.key_interval} ms per keystroke {typed:.2f} s (keystroke {keys}); "
            f"{typed / waited:.2f}"
        )


if __name__ == "__main__":
    main()
