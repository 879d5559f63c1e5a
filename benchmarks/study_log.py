"""What a study log costs: a key with it and without it, bytes, and lines where processes are killed.

python benchmarks/study_log.py keys --set notebooks.json.gz
python benchmarks/study_log.py bytes --set notebooks.json.gz
python benchmarks/study_log.py killed

`keys` asks one model the same with a log, without one, and without one again, in turns, and reports what
became of each suggestion; the two without a log say how far one differs from the other by chance. `bytes`
types notebooks at *balanced*, where of right suggestions 72 of 100 are taken and the others typed. `killed`
has three processes log to one file, an event every three milliseconds each (`--pause`), and kills all of
them at a random moment. Each event that a process has told is looked for by its name.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from desk import Desk
from engines import ALL_THREADS, keys

from jupyter_turbopilot.evaluate.notebooks import read
from jupyter_turbopilot.evaluate.scoring import drawn, judge
from jupyter_turbopilot.evaluate.traces import mixed
from jupyter_turbopilot.request import Feedback
from jupyter_turbopilot.shell.outcomes import common
from jupyter_turbopilot.study.events import Shown
from tests.faults.test_study import Typist
from tests.faults.test_study import read as read_log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.evaluate.traces import Trace
    from jupyter_turbopilot.reply import Reply
    from jupyter_turbopilot.request import Completion

TAKEN = 0.72  # of right suggestions, as the people of benchmarks/learning.py
DISMISSED = 0.2  # of wrong ones
PROCESSES = 3  # that log to one file
ROUNDS = 2  # that are killed on one file: the later begin where others ended
PLAIN, LOGGED, AGAIN = range(3)  # how a key is asked: without a log, with one, and without one again
ORDERS = tuple(permutations((PLAIN, LOGGED, AGAIN)))
PAUSE = 0.05  # seconds between keys of one who types fast: the log is written meanwhile


def tell(desk: Desk, reply: Reply, *events: tuple[str, int, float]) -> None:
    """Report events: which, of how many characters, after how many seconds."""
    length = len(reply.items[0].text)
    for event, chars, seconds in events:
        feedback = Feedback(id=reply.id, event=event, chars=chars, length=length, seconds=seconds)  # type: ignore[arg-type]
        desk.pilot.completer.feedback(feedback)


def key(desk: Desk, request: Completion) -> float:
    """Ask and report; return the milliseconds of both."""
    begun = time.perf_counter()
    _, reply = desk.ask(request)
    if reply.items:
        length = len(reply.items[0].text)
        tell(desk, reply, ("shown", length, 0.0), ("accepted", length, 1.2), ("retained", length, 31.0))
    return (time.perf_counter() - begun) * 1000


def in_turns(desk: Desk, asked: Sequence[Completion]) -> list[tuple[float, float, float]]:
    """Ask each request with the log once and without it twice, in turns; return the milliseconds.

    One model answers all, because two differ by more than a log may cost, and it answers each request once
    before, so that none of the three has more of the prompt to read than another.
    """
    completer = desk.pilot.completer
    study = completer.study
    found = []
    for number, request in enumerate(asked):
        completer.study = None
        desk.ask(request)
        time.sleep(PAUSE)
        took = [0.0, 0.0, 0.0]
        for which in ORDERS[number % len(ORDERS)]:
            completer.study = study if which == LOGGED else None
            took[which] = key(desk, request)
            time.sleep(PAUSE)
        found.append((took[0], took[1], took[2]))
    completer.study = study
    return found


def ratio(pairs: Sequence[tuple[float, float]]) -> float:
    """Return how many times as long the second ones took."""
    return sum(second for _, second in pairs) / sum(first for first, _ in pairs)


def key_costs(options: argparse.Namespace) -> None:
    """Compare keys with a log and without one."""
    import msgspec

    asked = [msgspec.structs.replace(request, client="editor") for request in keys(options)]
    with tempfile.TemporaryDirectory() as scratch:
        desk = Desk(study_log=f"{scratch}/study.jsonl", **ALL_THREADS)
        for request in asked[:10]:
            desk.ask(request)
        times = in_turns(desk, asked)
        for name, which in (("with a log", LOGGED), ("without one, again", AGAIN)):
            pairs = [(each[PLAIN], each[which]) for each in times]
            low, high = drawn(pairs, ratio)
            print(
                f"{name}: {statistics.mean(first for first, _ in pairs):.2f} and "
                f"{statistics.mean(second for _, second in pairs):.2f} ms a key, {ratio(pairs):.4f} times as "
                f"long ({low:.4f} to {high:.4f}), {len(pairs)} keys"
            )
        print(f"on the thread of who asks and reports: {_own_microseconds(desk, asked):.1f} µs a key")
        desk.pilot.stop()


def _own_microseconds(desk: Desk, asked: Sequence[Completion]) -> float:
    """Return the time that the log takes of the threads that answer: four lines are put into the queue."""
    study = desk.pilot.completer.study
    assert study
    _, reply = next(found for found in map(desk.ask, asked) if found[1].items)
    length = len(reply.items[0].text)
    spent = 0.0
    for request in asked:
        begun = time.perf_counter()
        study.follow(request, lambda _: None)(reply)
        for event, seconds in (("shown", 0.0), ("accepted", 1.2), ("retained", 31.0)):
            study.receive(Feedback(id=reply.id, event=event, chars=length, length=length, seconds=seconds))  # type: ignore[arg-type]
        spent += time.perf_counter() - begun
        time.sleep(0.005)  # as long as nobody types, its own thread writes
    return spent / len(asked) * 1e6


def typed(desk: Desk, trace: Trace, draw: random.Random) -> None:
    """Type a trace as in JupyterLab, which asks nothing while a suggestion agrees with the keys."""
    covered: dict[int, int] = {}
    shown: tuple[Reply, int, int] | None = None  # the suggestion, in which cell, since which place
    for step in trace.keystrokes:
        cell, place = step.active, step.place
        if place < covered.get(cell, 0):
            continue
        if shown:
            reply, where, since = shown
            text, along = reply.items[0].text, place - since
            written = (
                step.cells[cell][step.offset - along : step.offset] if where == cell and along > 0 else ""
            )
            if where == cell and 0 < along < len(text) and text.startswith(written):
                continue
            same = common(text, written)
            wrong = "dismissed" if draw.random() < DISMISSED else "typed_over"
            tell(desk, reply, ("typed_over" if same == len(text) else wrong, same, 0.3 * along))
            shown = None
        request = step.request(trigger="automatic", client="editor", path=trace.name)
        _, reply = desk.ask(request)
        if not reply.items:
            continue
        length = len(reply.items[0].text)
        tell(desk, reply, ("shown", length, 0.0))
        taken = judge(reply.items[0].text, step.future).taken
        if taken and draw.random() < TAKEN:
            kept = length if draw.random() < TAKEN else length // 2
            tell(desk, reply, ("accepted", taken, 1.2), ("retained", taken, 31.0), ("retained", kept, 312.0))
            covered[cell] = place + taken
        else:
            shown = reply, cell, place


def sizes(options: argparse.Namespace) -> None:
    """Type notebooks and count bytes by suggestion."""
    draw = random.Random(options.seed)  # noqa: S311 - any choice will do
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "study.jsonl"
        desk = Desk(study_log=str(path), eagerness=options.eagerness, **ALL_THREADS)
        for trace in mixed(read(options.set)[1::2], options.requests):
            typed(desk, trace, draw)
        desk.pilot.stop()
        time.sleep(1)
        lines = path.read_bytes().splitlines(keepends=True)
        events, broken = read_log(path)
    assert not broken
    shown = {event.id for event in events if isinstance(event, Shown)}
    own = dict.fromkeys(shown, 0)
    for event, line in zip(events, lines, strict=True):
        if (name := getattr(event, "id", "")) in own:
            own[name] += len(line)
    each = sorted(own.values())
    kinds = dict(Counter(type(event).__name__ for event in events))
    size = sum(map(len, lines))
    print(
        f"{options.eagerness}: {size} bytes, {len(shown)} shown: {size / len(shown):.0f} bytes each, "
        f"whatever else there is included; their own lines {statistics.mean(each):.0f} on average, "
        f"{statistics.median(each):.0f} at the median, {each[-1]} at most"
    )
    print(f"lines: {kinds}")


def killed(options: argparse.Namespace) -> None:
    """Kill processes that log to one file; look for each event that they had told."""
    draw = random.Random(options.seed)  # noqa: S311 - any moment will do
    told = unclear = broken = 0
    lost: list[int] = []  # of each process
    with tempfile.TemporaryDirectory() as scratch:
        for number in range(options.times):
            path = Path(scratch) / f"{number // ROUNDS}.jsonl"
            names = [f"{number % 1000:03}{process}" for process in range(PROCESSES)]
            typists = [Typist(path, name, options.pause, waits=False) for name in names]
            for typist in typists:
                typist.wait()
            time.sleep(0.05 + draw.random() / 2)
            for typist in typists:
                typist.kill()
            for typist in typists:
                typist.end()
            events, torn = read_log(path)
            broken += torn
            for typist in typists:
                written = set(typist.written(events))
                told += typist.told
                unclear += len({*range(typist.told, typist.told + typist.unclear)} - written)
                lost.append(len({*range(typist.told)} - written))
            if (number + 1) % 10 == 0 or number + 1 == options.times:
                print(
                    f"{len(lost)} processes killed: {told} events told, {sum(lost)} of them not in the log, "
                    f"{max(lost)} at most of one process, {sum(map(bool, lost))} processes lost any; "
                    f"{unclear} more were not in it that may not have been told; {broken} broken lines",
                    flush=True,
                )


def main() -> None:
    """Measure one thing."""
    parser = argparse.ArgumentParser()
    actions = parser.add_subparsers(required=True)
    for name, run in (("keys", key_costs), ("bytes", sizes), ("killed", killed)):
        action = actions.add_parser(name)
        action.set_defaults(run=run)
        action.add_argument("--seed", type=int, default=25)
        if name == "killed":
            action.add_argument("--times", type=int, default=100)
            action.add_argument("--pause", type=float, default=0.003)
        else:
            action.add_argument("--set", type=Path, required=True)
            action.add_argument("--requests", type=int, default=400)
            action.add_argument("--eagerness", default="balanced")
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
