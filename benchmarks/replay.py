"""Type real notebooks against llama.cpp's own server and against ours, in turns, on the same model.

    python benchmarks/replay.py --set notebooks.json.gz [--requests 200] [--rounds 2] [--route complete]

Prints time, tokens evaluated and predicted, drafts, and how much of the text would have been accepted.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

sys.path.insert(0, str(Path(__file__).resolve().parent))

from baseline import programs
from desk import default_weights
from plots import shares

from jupyter_turbopilot.evaluate.notebooks import read
from jupyter_turbopilot.evaluate.scoring import Tally, score_trace
from jupyter_turbopilot.evaluate.traces import Keystroke, Trace, mixed, of_kind
from jupyter_turbopilot.suggestion.fit import EAGERNESS

N_PREDICT, STOP = 32, ["\n"]


@dataclass
class Answer:
    """What a server said and what it cost."""

    text: str
    ms: float
    evaluated: int
    predicted: int
    drafted: int = 0
    accepted: int = 0


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Player:
    """A server of its own process, asked over one connection."""

    name: str
    command: list[str]
    route: str
    more: str = ""
    port: int = field(default_factory=free_port)

    def __enter__(self) -> Self:
        """Start it and wait until it is ready."""
        self.log = open(f"/tmp/replay-{self.port}.log", "w")  # noqa: PTH123, S108
        command = [*self.command, "--port", str(self.port)]
        # Nothing of an earlier run may help.
        self.settings = tempfile.TemporaryDirectory()
        settings = Path(self.settings.name) / "jupyter_turbopilot_config.py"
        settings.write_text("c.Turbopilot.keep_sequences = False\nc.Turbopilot.deadline = 100\n" + self.more)
        environment = {**os.environ, "JUPYTER_CONFIG_DIR": self.settings.name}
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=environment)
        end = time.monotonic() + 120
        while time.monotonic() < end:
            try:
                self.link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
                self.link.request("GET", "/health")
                reply = self.link.getresponse()
                body = json.loads(reply.read())
                if reply.status == 200 and body.get("ready", True):  # noqa: PLR2004
                    return self
            except (OSError, ValueError):
                pass
            time.sleep(0.2)
        raise TimeoutError(self.name)

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self.process.terminate()
        self.process.wait(20)
        self.settings.cleanup()

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a request, return the answer."""
        for _ in range(2):
            try:
                self.link.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
                reply = self.link.getresponse()
                break
            except (BrokenPipeError, http.client.RemoteDisconnected):
                self.link.close()  # it was idle for too long for the other side
        found: dict[str, Any] = json.loads(reply.read())
        if reply.status != 200:  # noqa: PLR2004
            raise RuntimeError(f"{self.name}: {reply.status} {found}")
        return found

    def ask(self, step: Keystroke) -> Answer:
        """Ask what comes next."""
        return self._complete(step) if self.route == "complete" else self._infill(step)

    def _infill(self, step: Keystroke) -> Answer:
        body = {
            "input_prefix": step.prefix,
            "input_suffix": step.suffix,
            "input_extra": [{"filename": "below", "text": step.below}] if step.below else [],
            "prompt": "",
            "n_predict": N_PREDICT,
            "stop": STOP,
            "temperature": 0.0,
            "top_k": 1,
            "samplers": ["top_k"],
            "cache_prompt": True,
        }
        begun = time.perf_counter()
        found = self.post("/infill", body)
        ms = (time.perf_counter() - begun) * 1000
        cost = found["timings"]
        return Answer(
            found["content"],
            ms,
            cost["prompt_n"],
            cost["predicted_n"],
            cost.get("draft_n", 0),
            cost.get("draft_n_accepted", 0),
        )

    def focus(self, step: Keystroke) -> None:
        """Enter a cell, as JupyterLab does: it is read ahead."""
        if self.route == "complete":
            self._aside(step, "warm")

    def _aside(self, step: Keystroke, trigger: str) -> None:
        """Ask for something that nobody waits for."""

        def send() -> None:
            link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
            link.request(
                "POST", "/complete", json.dumps(request(step, trigger)), {"Content-Type": "application/json"}
            )
            link.getresponse().read()

        threading.Thread(target=send, daemon=True).start()

    def _complete(self, step: Keystroke) -> Answer:
        body = request(step, "automatic")
        begun = time.perf_counter()
        found = self.post("/complete", body)
        ms = (time.perf_counter() - begun) * 1000
        cost = found["timings"]
        text = found["items"][0]["text"] if found["items"] else ""
        if text:
            cells = list(step.cells)
            cells[step.active] = cells[step.active][: step.offset] + text + cells[step.active][step.offset :]
            self._aside(replace(step, cells=tuple(cells), offset=step.offset + len(text)), "ahead")
        return Answer(
            text,
            ms,
            cost["prompt_tokens"] - cost["cached_tokens"],
            cost["predicted_tokens"],
            cost["drafted_tokens"],
            cost["accepted_tokens"],
        )


def request(step: Keystroke, trigger: str) -> dict[str, Any]:
    """Word a step in our own protocol."""
    return {
        "path": "replay.ipynb",
        "cells": [
            {"id": str(n), "source": source, "type": kind}
            for n, (source, kind) in enumerate(zip(step.cells, step.types, strict=True))
        ],
        "active": step.active,
        "offset": step.offset,
        "trigger": trigger,
        "lines": "single",
        "max_tokens": N_PREDICT,
        "client": "replay",
    }


def line(name: str, answers: list[Answer]) -> str:
    """Put what some answers cost into a line of a table."""
    ms = sorted(a.ms for a in answers)
    drafted = sum(a.drafted for a in answers)
    return (
        f"| {name} | {len(ms)} | {statistics.mean(ms):.0f} | {statistics.median(ms):.0f} "
        f"| {ms[int(len(ms) * 0.95)]:.0f} | {statistics.mean(a.evaluated for a in answers):.1f} "
        f"| {statistics.mean(a.predicted for a in answers):.1f} "
        f"| {sum(a.accepted for a in answers)}/{drafted} |"
    )


def ratio(ours: list[float], theirs: list[float]) -> str:
    """Compare two means."""
    return f"{statistics.mean(ours) / statistics.mean(theirs):.2f}"


def report(traces: list[Trace], heard: dict[str, list[list[Answer]]], rounds: int) -> None:
    """Print the tables."""
    print("\n| | requests | mean ms | median | p95 | evaluated | predicted | drafts accepted |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    kinds = [trace.kind for trace in traces] * rounds
    for name, runs in heard.items():
        print(line(name, [a for run in runs for a in run]))
        for kind in sorted(set(kinds)):
            print(
                line(
                    f"{name}, {kind}",
                    [a for k, run in zip(kinds, runs, strict=True) if k == kind for a in run],
                )
            )
    (theirs, their_runs), (ours, our_runs) = heard.items()
    flat = {name: [a for run in runs for a in run] for name, runs in heard.items()}
    pairs = list(zip(flat[ours], flat[theirs], strict=True))
    print(f"\nmean time, ours / theirs      {ratio([a.ms for a, _ in pairs], [b.ms for _, b in pairs])}")
    for number in range(rounds):
        half = slice(number * len(traces), (number + 1) * len(traces))
        a, b = ([x.ms for run in runs[half] for x in run] for runs in (our_runs, their_runs))
        print(f"  round {number + 1}                     {ratio(a, b)}")
    evaluated = ratio([float(a.evaluated) for a, _ in pairs], [float(b.evaluated) for _, b in pairs])
    print(f"tokens evaluated              {evaluated}")
    print(f"the same text                 {sum(a.text == b.text for a, b in pairs) / len(pairs):.3f}")
    for name, runs in heard.items():
        scores = [
            score_trace(trace, [a.text for a in run]).total
            for trace, run in zip(traces * rounds, runs, strict=True)
        ]
        total = sum(scores, start=Tally())
        print(f"{name}: precision {total.precision:.3f}, saved {total.share_saved:.3f}, shown {total.shown}")


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", type=Path, required=True, help="a prepared set, or a folder of notebooks")
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--route", choices=["infill", "complete"], default="infill")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--eagerness", choices=EAGERNESS, default="always")
    parser.add_argument(
        "--append", action="store_true", help="cells from their beginning, of the half held out"
    )
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between two requests")
    parser.add_argument(
        "--settle", type=float, default=0.0, help="seconds between entering a cell and typing"
    )
    parser.add_argument("--plot", type=Path, help="an SVG file to draw the times into")
    parser.add_argument(
        "--theirs", nargs=argparse.REMAINDER, default=[], help="more options for llama-server"
    )
    options = parser.parse_args()
    path = str(default_weights())
    notebooks = read(options.set)
    if options.append:
        traces = of_kind(notebooks[1::2], "append", options.requests)
    else:
        traces = mixed(notebooks, options.requests)
    counts = {
        kind: sum(len(t.keystrokes) for t in traces if t.kind == kind) for kind in ("append", "edit", "hop")
    }
    print(f"{len(traces)} traces, requests {counts}", flush=True)
    theirs = [str(programs()["llama-server"]), "-m", path, "-t", str(options.threads), "-c", "8192",
              "--cache-reuse", "256", "--no-webui", *options.theirs]  # fmt: skip
    ours = [str(Path(sys.executable).with_name("jupyter-turbopilot")), "serve", "--no-api-key"]
    heard: dict[str, list[list[Answer]]] = {"llama-server": [], "turbopilot": []}
    for _ in range(options.rounds):
        with (
            Player("llama-server", theirs, "infill") as a,
            Player(
                "turbopilot", ours, options.route, f"c.Turbopilot.eagerness = {options.eagerness!r}\n"
            ) as b,
        ):
            for number, trace in enumerate(traces):
                for player in (a, b):
                    answers = []
                    player.focus(trace.keystrokes[0])
                    time.sleep(options.settle)
                    for step in trace.keystrokes:
                        answers.append(player.ask(step))
                        time.sleep(options.pause)
                    heard[player.name].append(answers)
                print(
                    f"{number + 1}/{len(traces)} {trace.kind} {len(trace.keystrokes)} "
                    + " ".join(f"{statistics.mean(x.ms for x in runs[-1]):.0f}" for runs in heard.values()),
                    file=sys.stderr, flush=True,
                )  # fmt: skip
    report(traces, heard, options.rounds)
    if options.plot:
        kinds = [trace.kind for trace in traces] * options.rounds
        times = {
            name: {
                kind: [a.ms for k, run in zip(kinds, runs, strict=True) if k == kind for a in run]
                for kind in set(kinds)
            }
            for name, runs in heard.items()
        }
        shares(options.plot, times, f"A key, asked over {options.route}, and llama-server's infill")


if __name__ == "__main__":
    main()
