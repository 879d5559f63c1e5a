"""Does an answer's time tell what others have asked? And what does keeping owners apart cost one person?

    python benchmarks/owners.py timing [--pairs 2000] [--model tiny]
    python benchmarks/owners.py key --tree PATH [--rounds 10] [--keys 300] [--model PATH]

`timing` is a listener with a stopwatch. Against a real server that tells people apart (a process of its own,
over HTTP), one person sends a text that nobody knows. Another then sends the same text, and one that nobody
has sent, in an order drawn by lot, and takes the times. How well they tell the two apart is the area under
the curve (AUC): 0.5 is guessing, 1 is certainty. Under `share = "none"` it has to stay at 0.5; under "all",
where texts are shared, the same listener has to succeed, or it would show nothing. Both for text that is
written as it stands (`v1/completions`) and for a notebook (`complete`), whose context, tokens and answers are
remembered, too. `tiny` is a model that is made here: two layers, 500 tokens of prompt.

`key` types two notebooks through the completer, each key waited for, in two processes: one imports the
package of this tree, the other that of another. Which of the two types a key first is drawn at random. The
model is the default one unless a file is named. With this tree as the other one it shows what chance does.
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
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_turbopilot.request import Completion

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.append(str(HERE))  # behind the tree that PYTHONPATH names

VICTIM, LISTENER = "victim", "listener"
LENGTH = 500  # characters of a text, of which each is a token of the tiny model
ROUTES = ("v1/completions", "complete")
Z95 = 1.96
WARM = 10  # keys that are not counted


# The listener --------------------------------------------------------------------------------------------


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
    """Texts that nobody has sent, all of one length."""

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
    """Return how many tokens an answer says were known."""
    if route == "complete":
        return int(answer["timings"]["cached_tokens"])
    return int(answer["usage"]["prompt_tokens_details"]["cached_tokens"])


class Asker:
    """One connection, whoever uses it."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, route: str, text: str, who: str) -> tuple[float, int]:
        """Return the seconds of an answer, and how many tokens it says were known."""
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
    """Return how well a listener tells hits from misses, the most tokens known, and median milliseconds."""
    asker, texts, lot = Asker(port), Texts(seed), random.Random(seed)  # noqa: S311 - no secret
    times: dict[bool, list[float]] = {True: [], False: []}
    most = {True: 0, False: 0}
    for number in range(-20, pairs):  # the first are not counted
        text = texts.next()
        asker.ask(route, text, VICTIM)
        for hit in lot.sample((True, False), 2):
            seconds, known = asker.ask(route, text if hit else texts.next(), LISTENER)
            if number >= 0:
                times[hit].append(seconds)
                most[hit] = max(most[hit], known)
    medians = [statistics.median(times[hit]) * 1000 for hit in times]
    return curve_of(times[True], times[False]), [*most.values()], medians


def timing(options: argparse.Namespace) -> None:
    """Print what the listener finds out, by who shares and by route."""
    print("| share | route | pairs | AUC (95 %) | most tokens known of a hit, of a miss | median |")
    print("| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        model = options.model
        if model == "tiny":
            sys.path.append(str(ROOT))
            from tests.tiny_model import write_tiny_model

            model = str(write_tiny_model(Path(folder) / "tiny.gguf"))
        for share in ("none", "all"):
            command = [sys.executable, __file__, "serve", "--share", share, "--model", model]
            environment = os.environ | {"PYTHONPATH": str(ROOT), "TURBOPILOT_MODELS": folder}
            with subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
            ) as server:
                if server.stdin is None or server.stdout is None:
                    raise SystemExit("The server has no pipes.")
                port = int(server.stdout.readline())
                for number, route in enumerate(ROUTES):
                    curve, most, medians = listen(port, route, options.pairs, number)
                    told = f"{most[0]}, {most[1]} | {medians[0]:.2f} ms, {medians[1]:.2f} ms"
                    print(f"| {share} | {route} | {options.pairs} | {curve} | {told} |", flush=True)
                server.stdin.close()


def serve(options: argparse.Namespace) -> None:
    """Serve people until the pipe is closed."""
    sys.path.append(str(ROOT))
    from tests.people import Service

    service = Service(Path(options.model), share=options.share)
    print(service.port, flush=True)
    sys.stdin.read()
    service.stop()


# The person ----------------------------------------------------------------------------------------------


def requests(keys: int) -> Iterator[Completion]:
    """Yield what an editor asks while two notebooks are typed."""
    from jupyter_turbopilot.request import Cell, Completion

    for path in (ROOT / "tests" / "data" / "harbour.ipynb", ROOT / "tests" / "data" / "pendulum.ipynb"):
        cells: list[Cell] = []
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            source = "".join(cell["source"])
            for offset in range(1, len(source) + 1) if cell["cell_type"] == "code" else ():
                if keys == 0:
                    return
                keys -= 1
                yield Completion(
                    cells=[*cells, Cell(source=source[:offset])],
                    active=len(cells),
                    offset=offset,
                    path=path.name,
                    trigger="automatic",
                    client="typist",
                )
            cells.append(Cell(source=source, type=cell["cell_type"]))


def typed(options: argparse.Namespace) -> None:
    """Type with the package that is imported: a key for each line that is read, whose seconds are printed."""
    from desk import Desk

    given = {"model": options.model} if options.model else {}
    desk = Desk(results_memory=8, considerate=False, **given)
    for request in requests(options.keys + WARM):
        sys.stdin.readline()
        print(desk.ask(request)[0], flush=True)
    desk.pilot.stop()


class Typist:
    """A process that types with one tree's package."""

    def __init__(self, tree: Path, options: argparse.Namespace) -> None:
        command = [sys.executable, __file__, "typed", "--keys", str(options.keys), "--model", options.model]
        self._process = subprocess.Popen(
            command,
            env=os.environ | {"PYTHONPATH": str(tree)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def type(self) -> float:
        """Return the seconds of the next key."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())

    def leave(self) -> None:
        """End."""
        self._process.communicate()


def key(options: argparse.Namespace) -> None:
    """Compare two trees key by key; print the ratio of the mean times, with an interval over the rounds."""
    trees = {"before": Path(options.tree).resolve(), "after": ROOT}
    ratios, means, lot = [], [], random.Random(1)  # noqa: S311 - no secret
    for number in range(options.rounds):
        typists = {name: Typist(trees[name], options) for name in lot.sample(list(trees), len(trees))}
        times: dict[str, list[float]] = {name: [] for name in trees}
        # Key by key, so that both meet the same machine.
        for _ in range(options.keys + WARM):
            for name in lot.sample(list(trees), len(trees)):
                times[name].append(typists[name].type())
        for typist in typists.values():
            typist.leave()
        means.append({name: statistics.fmean(each[WARM:]) for name, each in times.items()})
        ratios.append(means[-1]["after"] / means[-1]["before"])
        print(
            f"  {number + 1}: {means[-1]['before']:.2f} {means[-1]['after']:.2f} {ratios[-1]:.3f}", flush=True
        )
    chosen = np.random.default_rng(1).choice(ratios, (10_000, len(ratios)))
    low, high = np.percentile(chosen.mean(axis=1), (2.5, 97.5))
    for name in trees:
        mean = statistics.fmean(each[name] for each in means)
        print(f"{name}: mean of a key {mean:.2f} ms ({options.keys} keys, {len(means)} runs)")
    print(f"after / before: {statistics.fmean(ratios):.3f} (95 %: {low:.3f} to {high:.3f})")


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(required=True)
    for name, run in (("timing", timing), ("serve", serve), ("key", key), ("typed", typed)):
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        command.add_argument("--model", default="tiny" if name == "timing" else "")
        if name == "timing":
            command.add_argument("--pairs", type=int, default=2000)
        elif name == "serve":
            command.add_argument("--share", default="none")
        else:
            command.add_argument("--keys", type=int, default=300)
        if name == "key":
            command.add_argument("--tree", required=True)
            command.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
