"""N people type real notebooks on n replicas: really, with a few; in virtual time, with hundreds.

    python benchmarks/recorded.py texts --set NOTEBOOKS --into texts.json.gz
    python benchmarks/recorded.py steps --threads 1 --into one.json
    python benchmarks/recorded.py steps --threads 2 --into two.json
    python benchmarks/scale.py check --set NOTEBOOKS --texts texts.json.gz --steps one.json
    python benchmarks/scale.py simulate --set NOTEBOOKS --texts texts.json.gz --steps two.json\
        --people 100 300

`check` types on `serve` processes of one thread each, and the same in virtual time. What is simulated is the
product's own code over recorded texts and times of batches (`virtual.py`), without HTTP.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent))

from desk import Desk
from people import Habits, Outcome, as_asked_by, replica_of, type_as
from recorded import KEYS, Steps, Texts, typed
from replay import Player
from simulated import simulate

from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.engine.job import DEADLINE, DISCONNECTED, STOPPED, SUPERSEDED, YIELDED
from jupyter_turbopilot.reply import Item, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.evaluate.traces import Trace

_UNANSWERED = frozenset({SUPERSEDED, DISCONNECTED, DEADLINE, STOPPED, YIELDED, "error", "refused"})
HEAD = """\
| | people | replicas | asked | a second of each | ms: p50 | p95 | overtaken | refused | busy |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


class OverHttp:
    """A server's completer, asked over HTTP."""

    def __init__(self, port: int) -> None:
        self._port = port

    def submit(self, request: Any, listener: Callable[[Reply], None], caller: str, **_: str) -> None:
        """Ask, and have a thread read what comes."""
        body = msgspec.json.encode(as_asked_by(request, caller))
        threading.Thread(target=self._read, args=(body, listener), daemon=True).start()

    def _read(self, body: bytes, listener: Callable[[Reply], None]) -> None:
        link = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        link.request("POST", "/complete", body, {"Content-Type": "application/json"})
        for line in link.getresponse():
            frame = json.loads(line)
            items = (Item(frame["text"], 0.0, ""),) if frame.get("text") else ()
            reason = frame.get("finish_reason") or ("refused" if "error" in frame else "stop")
            ended = reason if reason in _UNANSWERED else None
            done = bool(frame.get("done") or "text" not in frame)
            listener(Reply("", items=items, done=done, finish_reason=ended))
        link.close()


def really(
    model: str, traces: Sequence[Trace], people: int, replicas: int, threads: int, habits: Habits
) -> Outcome:
    """Let people type on `serve` processes."""
    command = [str(Path(sys.executable).with_name("jupyter-turbopilot")), "serve", "--no-api-key"]
    more = f"c.Turbopilot.threads = {threads}\nc.Turbopilot.considerate = False\n"
    more += f"c.Turbopilot.model = {model!r}\n"
    outcome, lock = Outcome(typed=people * habits.seconds), threading.Lock()
    with ExitStack() as stack:
        players = [
            stack.enter_context(Player(f"replica {n}", command, "complete", more)) for n in range(replicas)
        ]

        def person(number: int) -> None:
            completer = OverHttp(players[replica_of(f"person {number}", replicas)].port)
            result = type_as(number, completer, traces, habits, time, 1)
            with lock:
                outcome.add(result)

        everybody = [threading.Thread(target=person, args=(number,)) for number in range(people)]
        for one in everybody:
            one.start()
        for one in everybody:
            one.join()
    return outcome


def row(kind: str, people: int, replicas: int, outcome: Outcome) -> str:
    """Put what people saw into a line of a table."""
    busy = f"{statistics.mean(outcome.busy):.2f}" if outcome.busy else ""
    parts = []
    for part in (0.5, 0.95):
        low, high = outcome.interval(part)
        parts.append(f"{outcome.quantile(part):.0f} ({low:.0f}-{high:.0f})")
    return (
        f"| {kind} | {people} | {replicas} | {outcome.asked} | {outcome.asked / outcome.typed:.2f} "
        f"| {parts[0]} | {parts[1]} | {outcome.overtaken / max(1, outcome.asked):.2f} "
        f"| {outcome.refused} | {busy} |"
    )


def check(options: argparse.Namespace) -> None:
    """Type really and in virtual time; print both, and how far off."""
    traces, texts = typed(options.set, options.keys), Texts.load(options.texts)
    habits = Habits(options.seconds)
    desk = Desk(model=options.model, considerate=False, trial=False)
    model = desk.pilot.worker.engine
    print(HEAD, flush=True)
    for replicas in options.replicas:
        steps = Steps.load(options.beside if replicas > 1 and options.beside else options.steps)
        for people in options.people:
            real = really(options.model, traces, people, replicas, options.threads, habits)
            print(row("real", people, replicas, real), flush=True)
            found = simulate(model, steps, texts, traces, people, replicas, habits, served=True)
            print(row("simulated", people, replicas, found), flush=True)
            off = [found.quantile(part) / max(1.0, real.quantile(part)) - 1 for part in (0.5, 0.95)]
            asked = found.asked / max(1, real.asked) - 1
            print(f"| off by | | | {asked:+.0%} | | {off[0]:+.0%} | {off[1]:+.0%} | | | |", flush=True)
    print(f"prompts without a recorded text: {texts.missed} of {texts.asked}")
    desk.pilot.stop()


def simulated(options: argparse.Namespace) -> None:
    """Type in virtual time alone, with as many replicas as are named for each number of people."""
    traces, texts = typed(options.set, options.keys), Texts.load(options.texts)
    habits = Habits(options.seconds, options.think, options.spread)
    desk = Desk(model=options.model, considerate=False, trial=False)
    model = desk.pilot.worker.engine
    print(HEAD, flush=True)
    for people in options.people:
        for replicas in options.replicas:
            begun = time.monotonic()
            found = simulate(
                model, Steps.load(options.steps), texts, traces, people, replicas, habits,
                sequences=options.sequences,
            )  # fmt: skip
            print(row("**simulated**", people, replicas, found), flush=True)
            print(f"in {time.monotonic() - begun:.0f} s", file=sys.stderr)
    print(f"prompts without a recorded text: {texts.missed} of {texts.asked}")
    desk.pilot.stop()


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["check", "simulate"])
    parser.add_argument("--set", type=Path, required=True, help="a prepared set, or a folder of notebooks")
    parser.add_argument("--texts", type=Path, required=True, help="what recorded.py has written")
    parser.add_argument("--steps", type=Path, required=True, help="what recorded.py has written")
    parser.add_argument("--beside", type=Path, help="steps recorded beside another replica, for several")
    parser.add_argument("--people", type=int, nargs="+", default=[4, 8, 16])
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--threads", type=int, default=1, help="of each real replica")
    parser.add_argument("--seconds", type=float, default=40, help="of typing")
    parser.add_argument("--think", type=float, default=0.0, help="mean seconds of thought before a cell")
    parser.add_argument("--spread", type=float, default=0.0, help="seconds in which they begin; 0: at once")
    parser.add_argument("--sequences", type=int, default=96, help="c.Turbopilot.sequences_memory")
    parser.add_argument("--keys", type=int, default=KEYS, help="of each notebook, as they were recorded")
    parser.add_argument("--model", default=Turbopilot().model)
    options = parser.parse_args()
    (check if options.what == "check" else simulated)(options)


if __name__ == "__main__":
    main()
