"""Does response time reveal whether another user has sent the same text?

    python benchmarks/tenants.py [--pairs 2000] [--model tiny]

Against a server with several users (a separate process, over HTTP), one user sends a text that is not cached.
Another user then sends the same text and a new one in random order, and measures the times. The area under
the curve (AUC) tells how well the times separate the two: 0.5 is chance, 1 is certainty. With `share =
"none"` it must stay at 0.5. With "all", where caches are shared, the same listener must succeed, which
validates the measurement. Both are tested for raw text (`v1/completions`) and for a notebook (`complete`),
whose context, tokens and completions are cached, too. `tiny` is a generated model with two layers and 500
prompt tokens.
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
SHARES = ("none", "all")  # c.Turbopilot.share_prompts
VICTIM, LISTENER = "victim", "listener"
LENGTH = 500  # characters of a text; each is a token of the tiny model
ROUTES = ("v1/completions", "complete")
Z95 = 1.96
WARM_UP = 20  # pairs that are not counted


@dataclass(frozen=True)
class Curve:
    """The area under a curve with its 95 % interval (DeLong)."""

    area: float
    margin: float

    def __str__(self) -> str:
        return f"{self.area:.3f} ({self.area - self.margin:.3f} to {self.area + self.margin:.3f})"


def curve_of(hits: list[float], misses: list[float]) -> Curve:
    """Return how well times separate hits from misses, assuming that hits are faster."""
    quick, slow = np.asarray(hits)[:, None], np.asarray(misses)[None, :]
    wins = (quick < slow) + 0.5 * (quick == slow)
    by_hit, by_miss = wins.mean(axis=1), wins.mean(axis=0)
    variance = by_hit.var(ddof=1) / len(hits) + by_miss.var(ddof=1) / len(misses)
    return Curve(float(wins.mean()), Z95 * math.sqrt(float(variance)))


class Texts:
    """New texts of equal length."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - no secret

    def next(self) -> str:
        """Return a new text; all texts differ from their first words on."""
        words = [f"v{self._random.randrange(10**9):09d}" for _ in range(60)]
        lines = [f"{a} = {b} + {c}" for a, b, c in zip(words[::3], words[1::3], words[2::3], strict=True)]
        return ("\n".join(lines)[1:] + "\n")[:LENGTH]


def body_of(route: str, text: str) -> dict[str, Any]:
    """Return the body of a request with the text."""
    if route == "complete":
        cells = [{"source": text}, {"source": "total = "}]
        return {"cells": cells, "active": 1, "offset": 8, "max_tokens": 1, "path": "a.ipynb"}
    return {"prompt": text, "max_tokens": 1, "temperature": 0}


def reused(route: str, answer: dict[str, Any]) -> int:
    """Return the number of cached tokens in a response."""
    if route == "complete":
        return int(answer["timings"]["cached_tokens"])
    return int(answer["usage"]["prompt_tokens_details"]["cached_tokens"])


class Asker:
    """One connection for both users."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, route: str, text: str, who: str) -> tuple[float, int]:
        """Return the seconds of a request, and the number of cached tokens."""
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
    """Return the AUC, the most cached tokens of hits and misses, and the median milliseconds of both."""
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
    """Print the results by setting and route."""
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
    from tests.multi_user_service import Service

    service = Service(model, share_prompts=share)
    print(service.port, flush=True)
    sys.stdin.read()
    service.stop()


if __name__ == "__main__":
    main()
