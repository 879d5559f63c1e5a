"""Type in new notebooks on a machine that a cgroup slows down: the time to the first suggestion of a session.

    python research/benchmarks/slow.py --set notebooks.json.gz [--share N …] [--sessions N]

Needs permission to create a cgroup. `--share` lists the CPU quotas, in percent of one core. Each run is a new
process, inside the cgroup from its start.

A session opens a notebook that the server has not evaluated, looks at it for a second, and types a key every
200 ms, up to a position where the default model shows a suggestion if it has time. The clock starts at the
last of these keys. The user waits for the answer, at most for the time limit of a request. Without a
suggestion the user types four more characters, and waits again. After the first suggestion the user types on,
and waits at every eighth character.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import LocalPilot, percentile

from jupyter_turbopilot.completer.plan import Admission
from jupyter_turbopilot.completer.reply_iterators import Replies
from turbopilot_research.evaluate import traces
from turbopilot_research.evaluate.notebooks import read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jupyter_turbopilot.protocol.reply import Reply
    from turbopilot_research.evaluate.traces import Keystroke, Trace

CGROUPS = Path("/sys/fs/cgroup")
KEY, READING = 0.2, 1.0  # seconds between two keys, and between opening a notebook and typing
WARMING = 0.3  # seconds between opening a notebook and the request that evaluates it, as in JupyterLab
LEAD, RETRY, ON, EVERY = 8, 4, 16, 8  # characters before the position, to the next try, after it; per pause
LIMIT = 10.0  # seconds: the time limit of a request
EARLIEST, LATEST = 8, 48  # characters of a cell at which a position is searched
Where = tuple[int, int]  # a trace, and the number of typed characters


@contextmanager
def slowed_down(share: int) -> Iterator[Callable[[], None]]:
    """Create a cgroup with a quota in percent of one core; yield a function that enters it."""
    unified = (CGROUPS / "cgroup.controllers").exists()
    name = f"turbopilot-slow-{os.getpid()}-{threading.get_ident()}"
    group = (CGROUPS if unified else CGROUPS / "cpu") / name
    group.mkdir()
    try:
        if unified:
            (group / "cpu.max").write_text(f"{share * 1000} 100000")
        else:
            (group / "cpu.cfs_quota_us").write_text(str(share * 1000))

        def enter() -> None:
            (group / "cgroup.procs").write_text(str(os.getpid()))

        yield enter
    finally:
        group.rmdir()


class Session:
    """One user, who shares no cached prompts with the users of other sessions."""

    def __init__(self, local: LocalPilot, number: int) -> None:
        self._local, self._caller = local, f"session {number}"
        self.asked = self.awaited = self.late = 0

    def submit(self, step: Keystroke, trigger: str) -> Replies:
        """Submit the request of a keystroke."""
        replies = Replies()
        request = step.request(trigger=trigger, stream=trigger == "automatic", client="typist")
        admission = Admission(caller=self._caller, tenant=self._caller)
        self._local.pilot.completer.submit(request, replies.listen, admission)
        self.asked += trigger == "automatic"
        return replies

    def wait(self, replies: Replies) -> float | None:
        """Wait for the answer; return when its first text was shown."""
        shown = None
        reply: Reply | None = None
        for reply in replies:
            if reply.items and shown is None:
                shown = time.perf_counter()
        assert reply
        reasons = {reply.finish_reason, *(item.finish_reason for item in reply.items)}
        self.awaited += 1
        self.late += "deadline" in reasons
        return shown


def run_session(local: LocalPilot, trace: Trace, place: int, number: int) -> dict[str, Any]:
    """Open a notebook and type; return the seconds to the first suggestion, and counts."""
    engine: Any = local.pilot.worker.engine
    if hasattr(engine, "speed"):
        engine.speed = type(engine.speed)()  # as after the start of a server
    session, steps = Session(local, number), trace.keystrokes
    time.sleep(WARMING)
    session.submit(steps[0], "warmup")
    time.sleep(READING - WARMING)
    at = next(index for index, step in enumerate(steps) if step.place >= place)
    for step in steps[max(0, at - LEAD) : at]:
        session.submit(step, "automatic")
        time.sleep(KEY)
    begun, first, tried = time.perf_counter(), None, at
    for index, step in enumerate(steps[at:], at):
        if first is not None and index > tried + ON:
            break
        replies = session.submit(step, "automatic")
        if (index - tried) % (RETRY if first is None else EVERY):
            time.sleep(KEY)
        elif (shown := session.wait(replies)) and first is None:
            first, tried = shown - begun, index
    return {
        "first": first,
        "asked": session.asked,
        "awaited": session.awaited,
        "late": session.late,
    }


def find_positions(local: LocalPilot, found: list[Trace], count: int) -> list[Where]:
    """Return positions at which a suggestion is shown, one for each notebook."""
    positions: list[Where] = []
    names: set[str] = set()
    for number, trace in enumerate(found):
        if len(positions) == count or trace.name in names:
            continue
        for step in trace.keystrokes[EARLIEST:LATEST]:
            if len(step.future) < 2 * ON:
                break
            if local.ask(step.request(trigger="automatic", client="typist"))[1].items:
                positions.append((number, step.place))
                names.add(trace.name)
                break
    return positions


def work(source: Path, positions: list[Where], count: int) -> dict[str, Any]:
    """Run in the child process: find the positions, or run the sessions."""
    found = traces.of_kind(read(source)[1::2], "append", 0, every=1)
    local = LocalPilot(deadline=LIMIT)
    try:
        if not positions:
            return {"positions": find_positions(local, found, count)}
        begun, cpu = time.perf_counter(), time.process_time()
        sessions = [run_session(local, found[n], place, i) for i, (n, place) in enumerate(positions)]
        took = time.perf_counter() - begun
        return {"sessions": sessions, "cpu": time.process_time() - cpu, "took": took, "load": local.load_ms}
    finally:
        local.close()


def run(options: argparse.Namespace, positions: list[Where], share: int = 0) -> dict[str, Any]:
    """Run `work` in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder) / "result.json"
        command = [sys.executable, __file__, "--set", str(options.set), "--sessions", str(options.sessions)]
        command += ["--positions", json.dumps(positions), "--result", str(result)]
        start = partial(subprocess.run, command, check=True)
        if share:
            with slowed_down(share) as enter:
                start(preexec_fn=enter)
        else:
            start()
        found: dict[str, Any] = json.loads(result.read_bytes())
        return found


def report(share: int, measured: dict[str, Any]) -> None:
    """Print one row."""
    sessions = measured["sessions"]
    first = [math.inf if one["first"] is None else one["first"] for one in sessions]
    awaited, late, asked = (sum(one[key] for one in sessions) for key in ("awaited", "late", "asked"))
    never = sum(one["first"] is None for one in sessions)
    median, p95 = percentile(first, 0.5), percentile(first, 0.95)
    print(
        f"| {share} % | {median:.1f} s | {p95:.1f} s | {never} | "
        f"{late} of {awaited} ({late / max(1, awaited):.1%}; of all {asked}: {late / max(1, asked):.1%}) | "
        f"{measured['cpu']:.0f} of {measured['took']:.0f} s |",
        flush=True,
    )


def main() -> None:
    """Run the sessions under each quota, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--set", type=Path, required=True, help="notebooks of `gather.py`")
    parser.add_argument("--share", type=int, nargs="+", default=[40, 60, 100, 200])
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--positions", type=json.loads, default=[], help=argparse.SUPPRESS)
    parser.add_argument("--result", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.result:
        options.result.write_text(json.dumps(work(options.set, options.positions, options.sessions)))
        return
    positions = run(options, [])["positions"]
    print(f"{len(positions)} sessions\n")
    print("| quota | first suggestion, median | p95 | never | at the time limit | CPU |")
    print("| --- | --- | --- | --- | --- | --- |")
    for share in options.share:
        report(share, run(options, positions, share))


if __name__ == "__main__":
    main()
