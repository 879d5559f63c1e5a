"""Replay notebooks on llama.cpp's server and on this one, alternating, with the same model.

    python research/benchmarks/replay.py --set notebooks.json.gz [--requests 200] [--rounds 2] [--route NAME]
        [--weights FILE]

Prints times, tokens evaluated and predicted, drafts, the time outside of the engine, and the share of the
text that would have been accepted. `--route complete` types like JupyterLab, with pauses between requests.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import WEIGHTS_HELP, ServerProcess, llama_server, percentile, turbopilot_server

from turbopilot_research.evaluate.notebooks import read
from turbopilot_research.evaluate.scoring import Score, Tally
from turbopilot_research.evaluate.traces import SHARES, of_kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from turbopilot_research.evaluate.traces import Keystroke, Trace

N_PREDICT, STOP = 32, ["\n"]
KINDS = {"append": "at the end of a cell", "edit": "in a finished cell", "hop": "two cells in turns"}
PAUSE, SETTLE = 0.4, 1.0  # seconds between two requests, and between entering a cell and typing
Answers = list[list["Answer"]]  # by trace


@dataclass(frozen=True)
class Answer:
    """The text of a completion, and its cost."""

    text: str
    ms: float
    engine_ms: float
    evaluated: int
    predicted: int
    drafted: int
    accepted: int


class Infill:
    """Sends `/infill` requests like an editor for llama.cpp's server."""

    pause = settle = 0.0

    def __init__(self, server: ServerProcess) -> None:
        self.server, self.name = server, server.name

    def focus(self, step: Keystroke) -> None:
        """Enter a cell, without prefetching."""

    def ask(self, step: Keystroke) -> Answer:
        """Send the request of a keystroke."""
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
        found = self.server.post("/infill", body)
        ms = (time.perf_counter() - begun) * 1000
        cost = found["timings"]
        drafts = cost.get("draft_n", 0), cost.get("draft_n_accepted", 0)
        engine_ms = cost["prompt_ms"] + cost["predicted_ms"]
        return Answer(found["content"], ms, engine_ms, cost["prompt_n"], cost["predicted_n"], *drafts)


class Complete(Infill):
    """Sends `/complete` requests like JupyterLab, with prefetching of cells and of text after suggestions."""

    pause, settle = PAUSE, SETTLE

    def focus(self, step: Keystroke) -> None:
        """Enter a cell."""
        self._prefetch(step, "warmup")

    def _prefetch(self, step: Keystroke, trigger: str) -> None:
        def send() -> None:
            link = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=120)
            body = json.dumps(request_body(step, trigger))
            link.request("POST", "/complete", body, {"Content-Type": "application/json"})
            link.getresponse().read()

        threading.Thread(target=send, daemon=True).start()

    def ask(self, step: Keystroke) -> Answer:
        """Send the request of a keystroke."""
        begun = time.perf_counter()
        found = self.server.post("/complete", request_body(step, "automatic"))
        ms = (time.perf_counter() - begun) * 1000
        cost = found["timings"]
        text = found["items"][0]["text"] if found["items"] else ""
        if text:
            self._prefetch(step.accepting(text), "prefetch")
        return Answer(
            text,
            ms,
            cost["prompt_ms"] + cost["predicted_ms"],
            cost["prompt_tokens"] - cost["cached_tokens"],
            cost["predicted_tokens"],
            cost["drafted_tokens"],
            cost["accepted_tokens"],
        )


def request_body(step: Keystroke, trigger: str) -> dict[str, Any]:
    """Return a keystroke in Turbopilot's protocol."""
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


def table_row(name: str, answers: Sequence[Answer]) -> str:
    """Return a row of the table."""
    ms = [answer.ms for answer in answers]
    accepted, drafted = sum(a.accepted for a in answers), sum(a.drafted for a in answers)
    return (
        f"| {name} | {len(ms)} | {statistics.mean(ms):.0f} | {statistics.median(ms):.0f} "
        f"| {percentile(ms, 0.95):.0f} | {statistics.mean(a.evaluated for a in answers):.1f} "
        f"| {statistics.mean(a.predicted for a in answers):.1f} | {accepted}/{drafted} |"
    )


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> str:
    """Return the ratio of the means."""
    return f"{statistics.mean(ours) / statistics.mean(theirs):.2f}"


def score_trace(trace: Trace, texts: Iterable[str]) -> Tally:
    """Replay a trace with the given suggestions; accepted text is not typed."""
    score = Score()
    for keystroke, text in zip(trace.keystrokes, texts, strict=True):
        if keystroke.place >= score.covered(keystroke.active):
            score.show_at(keystroke, text)
    score.typed(trace.length, trace.length)
    return score.total


def report(traces: list[Trace], answers: dict[str, Answers], rounds: int) -> None:
    """Print the tables."""
    print("\n| | requests | mean ms | median | p95 | evaluated | predicted | drafts accepted |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    kinds = [trace.kind for trace in traces] * rounds
    for name, runs in answers.items():
        print(table_row(name, [a for run in runs for a in run]))
        for kind in (kind for kind in KINDS if kind in kinds):
            print(table_row(f"{name}, {kind}", answers_to(runs, kinds, kind)))
    theirs, ours = ([a for run in runs for a in run] for runs in answers.values())
    print(f"\nmean time, Turbopilot / llama-server {ratio([a.ms for a in ours], [a.ms for a in theirs])}")
    size = len(ours) // rounds
    for number in range(rounds):
        part = slice(number * size, (number + 1) * size)
        print(f"  round {number + 1}                     ", end="")
        print(ratio([a.ms for a in ours[part]], [a.ms for a in theirs[part]]))
    print(
        f"tokens evaluated              {ratio([a.evaluated for a in ours], [a.evaluated for a in theirs])}"
    )
    same = sum(a.text == b.text for a, b in zip(ours, theirs, strict=True))
    print(f"equal texts                   {same / len(ours):.3f}")
    for name, runs in answers.items():
        pairs = zip(traces * rounds, runs, strict=True)
        total = sum((score_trace(trace, [a.text for a in run]) for trace, run in pairs), start=Tally())
        print(f"{name}: precision {total.precision:.3f}, saved {total.share_saved:.3f}, shown {total.shown}")


def overhead(answers: dict[str, Answers]) -> None:
    """Print the time of HTTP, queue and Python outside of the engine."""
    for name, runs in answers.items():
        beyond = [a.ms - a.engine_ms for run in runs for a in run if a.predicted]
        middle, late = statistics.median(beyond), percentile(beyond, 0.95)
        print(f"{name}: outside of the engine {middle:.1f} ms, p95 {late:.1f}")


def answers_to(runs: Answers, kinds: Sequence[str], kind: str) -> list[Answer]:
    """Return the completions of one kind of typing."""
    return [answer for own, run in zip(kinds, runs, strict=True) if own == kind for answer in run]


def plot(path: Path, traces: list[Trace], answers: dict[str, Answers], rounds: int, title: str) -> None:
    """Plot the share of keystrokes answered within a time, for each kind of typing."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "turbopilot"  # makes the file reproducible
    kinds = [trace.kind for trace in traces] * rounds
    figure, axes = plt.subplots(1, len(KINDS), figsize=(10, 3.2), sharey=True)
    for axis, (kind, words) in zip(axes, KINDS.items(), strict=True):
        for name, runs in answers.items():
            found = sorted(answer.ms for answer in answers_to(runs, kinds, kind))
            axis.step(found, [(n + 1) / len(found) for n in range(len(found))], where="post", label=name)
        axis.set_xscale("log")
        axis.set_xlabel("ms")
        axis.set_title(words, fontsize=10)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("share of keystrokes answered")
    axes[0].legend(fontsize=8)
    figure.suptitle(title, fontsize=11)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", type=Path, required=True, help="a prepared set, or a folder of notebooks")
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--route", choices=["infill", "complete"], default="infill")
    parser.add_argument("--weights", type=Path, help=WEIGHTS_HELP)
    parser.add_argument("--plot", type=Path, help="an SVG file to draw the times into")
    options = parser.parse_args()
    notebooks = read(options.set)
    traces = [
        trace
        for kind, share in SHARES.items()
        for trace in of_kind(notebooks, kind, int(share * options.requests))
    ]
    counts = {kind: sum(len(t.keystrokes) for t in traces if t.kind == kind) for kind in KINDS}
    print(f"{len(traces)} traces, requests {counts}", flush=True)
    answers: dict[str, Answers] = {"llama-server": [], "turbopilot": []}
    for _ in range(options.rounds):
        with (
            llama_server(options.weights, 8192, 1, "--cache-reuse", "256") as theirs,
            turbopilot_server("c.Turbopilot.eagerness = 'always'\n") as ours,
        ):
            clients = Infill(theirs), (Complete if options.route == "complete" else Infill)(ours)
            for number, trace in enumerate(traces, 1):
                for client in clients:
                    client.focus(trace.keystrokes[0])
                    time.sleep(clients[1].settle)
                    answers[client.name].append([])
                    for step in trace.keystrokes:
                        answers[client.name][-1].append(client.ask(step))
                        time.sleep(clients[1].pause)
                print(f"{number}/{len(traces)} {trace.kind}", file=sys.stderr, flush=True)
    report(traces, answers, options.rounds)
    if options.route == "infill":
        overhead(answers)
    if options.plot:
        title = f"A keystroke over {options.route}, and over llama-server's infill"
        plot(options.plot, traces, answers, options.rounds, title)


if __name__ == "__main__":
    main()
