"""Does the time of an answer tell whether another user has sent the same text?

    python benchmarks/owners.py [--pairs 2000] [--model tiny]

Against a real server that knows its users (a process of its own, over HTTP), one user sends a text that is
not cached. Another then sends the same text, and one that was never sent, in random order, and measures the
times. The area under the curve (AUC) says how well the times tell the two apart: 0.5 is guessing, 1 is
certainty. With `share = "none"` it has to stay at 0.5. With "all", where texts are shared, the same listener
has to succeed, or the measurement would show nothing. Both for raw text (`v1/completions`) and for a notebook
(`complete`), whose context, tokens and answers are cached, too. `tiny` is a model that is made here: two
layers, 500 tokens of prompt.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
SHARES = ("none", "all")  # c.Turbopilot.share
VICTIM, LISTENER = "victim", "listener"
LENGTH = 500  # characters of a text, of which each is a token of the tiny model
ROUTES = ("v1/completions", "complete")
Z95 = 1.96
WARM_UP = 20  # pairs that are not counted


@dataclass(frozen=True)
class Curve:
    """The area under a curve, and how far the truth may be from it (95 %, after DeLong)."""

    area: float
    margin: float

    def __str__(self) -> str:
        return f"{self.area:.3f} ({self.area - self.margin:.3f} to {self.area + self.margin:.3f})"


def curve_of(hits: list[float], misses: list[float]) -> Curve:
    """Return how well times tell hits from misses, if a hit is taken to be quicker."""
    quick, slow = np.asarray(hits)[:, None], np.asarray(misses)[None, :]
    wins = (quick < slow) + 0.5 * (quick == slow)
    by_hit, by_miss = wins.mean(axis=1), wins.mean(axis=0)
    variance = by_hit.var(ddof=1) / len(hits) + by_miss.var(ddof=1) / len(misses)
    return Curve(float(wins.mean()), Z95 * math.sqrt(float(variance)))


class Texts:
    """Texts that were never sent, all of one length."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - no secret

    def next(self) -> str:
        """Return another one: they differ from the first words on."""
        words = [f"v{self._random.randrange(10**9):09d}" for _ in range(60)]
        lines = [f"{a} = {b} + {c}" for a, b, c in zip(words[::3], words[1::3], words[2::3], strict=True)]
        return ("\n".join(lines)[1:] + "\n")[:LENGTH]


def body_of(route: str, text: str) -> dict[str, Any]:
    """Return what is sent of a text."""
    if route == "complete":
        cells = [{"source": text}, {"source": "total = "}]
        return {"cells": cells, "active": 1, "offset": 8, "max_tokens": 1, "path": "a.ipynb"}
    return {"prompt": text, "max_tokens": 1, "temperature": 0}


def reused(route: str, answer: dict[str, Any]) -> int:
    """Return how many tokens an answer says were cached."""
    if route == "complete":
        return int(answer["timings"]["cached_tokens"])
    return int(answer["usage"]["prompt_tokens_details"]["cached_tokens"])


class Asker:
    """One connection, which both users send their texts over."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, route: str, text: str, who: str) -> tuple[float, int]:
        """Return the seconds of an answer, and how many tokens it says were cached."""
        headers = {"Content-Type": "application/json", "Authorization": "Bearer key", "X-Who": who}
        body = json.dumps(body_of(route, text))
        begun = time.perf_counter()
        self._connection.request("POST", f"/{route}", body, headers)
        response = self._connection.getresponse()
        data = response.read()
        seconds = time.perf_counter() - begun
        if response.status != http.client.OK:
            raise SystemExit(f"{route} answered {response.status}: {data[:200]!r}")
        return seconds, reused(route, json.loads(data))


def listen(port: int, route: str, pairs: int, seed: int) -> tuple[Curve, list[int], list[float]]:
    """Return how well a listener tells hits from misses, the most tokens cached, and median milliseconds."""
    asker, texts, lot = Asker(port), Texts(seed), random.Random(seed)  # noqa: S311 - no secret
    times: dict[bool, list[float]] = {True: [], False: []}
    most = {True: 0, False: 0}
    for number in range(-WARM_UP, pairs):
        text = texts.next()
        asker.ask(route, text, VICTIM)
        for hit in lot.sample((True, False), 2):
            seconds, known = asker.ask(route, text if hit else texts.next(), LISTENER)
            if number >= 0:
                times[hit].append(seconds)
                most[hit] = max(most[hit], known)
    medians = [statistics.median(times[hit]) * 1000 for hit in times]
    return curve_of(times[True], times[False]), [*most.values()], medians


def main() -> None:
    """Print what the listener finds out, by who shares and by route."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--serve", choices=SHARES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    sys.path.append(str(ROOT))
    if options.serve:
        serve(Path(options.model), options.serve)
        return
    print("| share | route | pairs | AUC (95 %) | most tokens cached of a hit, of a miss | median |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        model = options.model
        if model == "tiny":
            from tests.tiny_model import write_tiny_model

            model = str(write_tiny_model(Path(folder) / "tiny.gguf"))
        for share in SHARES:
            command = [sys.executable, __file__, "--serve", share, "--model", model]
            environment = os.environ | {"PYTHONPATH": str(ROOT), "TURBOPILOT_MODELS": folder}
            pipe = subprocess.PIPE
            with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as server:
                assert server.stdin
                assert server.stdout
                port = int(server.stdout.readline())
                for number, route in enumerate(ROUTES):
                    curve, most, medians = listen(port, route, options.pairs, number)
                    measured = f"{most[0]}, {most[1]} | {medians[0]:.2f} ms, {medians[1]:.2f} ms"
                    print(f"| {share} | {route} | {options.pairs} | {curve} | {measured} |", flush=True)
                server.stdin.close()


def serve(model: Path, share: str) -> None:
    """Serve until the pipe is closed."""
    from tests.people import Service

    service = Service(model, share=share)
    print(service.port, flush=True)
    sys.stdin.read()
    service.stop()


if __name__ == "__main__":
    main()
