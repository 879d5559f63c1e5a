"""Attack a Jupyter server with unusual notebooks, bodies and clients while a user types.

    python benchmarks/hostile.py [--minutes 5] [--seed 1] [--set notebooks.json.gz] [--second MODEL]
    python benchmarks/hostile.py --only native_cell:1:17

Prints a report in Markdown. Exits with 1 if the server ended, stalled, grew, delayed the user or logged what
it should not. The cases are in `awkward.py`; each can be reproduced by its name.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import signal
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent))

from awkward import CANARY, Sending, name_of, sending
from besieged import OK, TIMEOUT, TOKEN, Server, ask

QUIET, RECOVERY, STORM = 30.0, 20.0, 20  # seconds before and after; connections at once
STATUS_BOUND, STOP_BOUND = 0.5, 5.0  # seconds
GAP_BOUND = 10.5  # seconds: one deadline, and the transfer of its reply
GROWTH_BOUND = 60.0  # MB, after the first third


def _rng(*seed: object) -> random.Random:
    return random.Random(str(seed))  # noqa: S311


@dataclass
class Attack:
    """Sends cases, and records the time and outcome of each."""

    port: int
    sent: list[tuple[float, float, str, str]] = field(default_factory=list)
    flying: dict[str, float] = field(default_factory=dict)

    async def lane(self, seed: int, number: int, lanes: int, end: float) -> None:
        """Send every `lanes`-th case of a seed until the time is up."""
        while time.monotonic() < end:
            await self.case(name_of(seed, number))
            await asyncio.sleep(_rng("pause", number).uniform(0.0, 0.4))
            number += lanes

    async def case(self, name: str) -> None:
        """Send one case."""
        made = sending(name)
        self.flying[name] = time.time()
        copies = STORM if made.manner == "storm" else 1
        ends = await asyncio.gather(*(self.one(made, _rng(name, n)) for n in range(copies)))
        self.sent.append((self.flying.pop(name), time.time(), name, ends[0]))

    def during(self, since: float, until: float) -> list[str]:
        """Return the cases that were running at some time."""
        return [name for begun, ended, name, _ in self.sent if begun <= until and ended >= since]

    async def one(self, made: Sending, rng: random.Random) -> str:
        """Send a request over a new connection."""
        try:
            async with asyncio.timeout(TIMEOUT):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    return await self.talk(made, rng, reader, writer)
                finally:
                    writer.close()
        except TimeoutError:
            return "slow"
        except OSError as error:
            return type(error).__name__

    async def talk(
        self, made: Sending, rng: random.Random, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> str:
        """Behave like the case's client."""
        head = {"Host": f"127.0.0.1:{self.port}", "Authorization": f"token {TOKEN}", "Connection": "close",
                "Content-Type": made.kind, "Content-Length": str(len(made.body)), **made.headers}  # fmt: skip
        reported = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        writer.write(f"{made.method} /turbopilot/{made.path} HTTP/1.1\r\n{reported}\r\n".encode("latin-1"))
        if made.manner == "drip":
            for at in range(0, min(len(made.body), 200), 10):
                writer.write(made.body[at : at + 10])
                await writer.drain()
                await asyncio.sleep(0.2)
            return "dripped"
        writer.write(made.body)
        await writer.drain()
        if made.manner in {"cut", "storm"}:
            with suppress(TimeoutError):
                await asyncio.wait_for(reader.read(rng.choice((1, 300, 3000))), rng.uniform(0.0, 1.5))
            return "cut"
        message = await reader.read(1000)
        while await reader.read(65_536):
            pass
        return message[9:12].decode("latin-1") or "closed"


async def besiege(attack: Attack, options: argparse.Namespace) -> None:
    """Run several lanes, or send a single case; switch models if there are two."""
    if options.only:
        for _ in range(3):
            await attack.case(options.only)
        return
    end = time.monotonic() + options.minutes * 60
    lanes = [attack.lane(options.seed, number, options.lanes, end) for number in range(options.lanes)]
    if options.second:
        lanes.append(switch(attack.port, options.second, end))
    await asyncio.gather(*lanes)


async def switch(port: int, second: str, end: float) -> None:
    """Switch to the other model and back every minute."""
    first = json.loads(ask(port, "GET", "turbopilot/health")[1])["model"]
    while time.monotonic() < end:
        for model in (second, first):
            await asyncio.sleep(60)
            await asyncio.to_thread(ask, port, "POST", "turbopilot/models", {"model": model})


# Results ----------------------------------------------------------------------------------------------------


@dataclass
class Report:
    """The results in a table, and those that exceed a bound."""

    rows: list[tuple[str, str]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)

    def say(self, what: str, value: str, *, bad: bool = False) -> None:
        """Add a row."""
        self.rows.append((what, value + (" **exceeded**" if bad else "")))
        if bad and what not in self.broken:
            self.broken.append(what)

    def __str__(self) -> str:
        """Format the results as a Markdown table."""
        return "| | |\n| --- | --- |\n" + "\n".join(f"| {what} | {value} |" for what, value in self.rows)


def gap(events: list[Any], begun: float, end: float) -> tuple[float, float]:
    """Return the longest time that the user waited for a reply, and its start.

    It starts with the first request without a reply: without requests the user does not wait.
    """
    worst, since, answered = 0.0, begun, begun
    asked = sorted(at for at, *_ in events)
    for at in [*sorted(at + took for at, took, how in events if how == "answered"), end]:
        first = next((one for one in asked if one >= answered), at)
        if at - first > worst:
            worst, since = at - first, first
        answered = max(answered, at)
    return worst, since


def spread(values: list[float]) -> str:
    """Format the median and the maximum of durations."""
    if not values:
        return "none"
    values = sorted(values)
    p99 = values[min(len(values) - 1, int(len(values) * 0.99))]
    return " ".join(
        f"{name} {value * 1000:.0f} ms,"
        for name, value in (("median", statistics.median(values)), ("p99", p99), ("worst", values[-1]))
    ).rstrip(",")


def read(file: Path) -> list[Any]:
    """Read an observer's output, whose last line may be incomplete."""
    return [json.loads(line) for line in file.read_text().split("\n")[:-1]]


def judge(found: Report, attack: Attack, folder: Path, quiet: float, hostile: float, end: float) -> None:
    """Compare the time under attack with the quiet time before."""
    polls, typed = read(folder / "poll"), read(folder / "type")
    for name, since, until in (("quiet", quiet, hostile), ("hostile", hostile, end)):
        counts = name == "hostile"
        took = [seconds for at, seconds, _ in polls if since <= at < until]
        slowest = max(took, default=TIMEOUT)
        found.say(
            f"`/api/status`, {name}", f"{spread(took)} of {len(took)}", bad=counts and slowest > STATUS_BOUND
        )
        events = [event for event in typed if since <= event[0] < until]
        ends = Counter(str(how) for *_, how in events)
        found.say(f"the user's requests, {name}", ", ".join(f"{n} {how}" for how, n in ends.most_common()))
        worst, at = gap(events, since, until)
        found.say(
            f"the user's replies, {name}",
            spread([took for _, took, how in events if how == "answered"])
            + f"; longest wait {worst:.1f} s, starting at {at - since:.0f} s",
            bad=counts and worst > GAP_BOUND,
        )
        if counts:
            found.say("during that", ", ".join(attack.during(at, at + worst)[-12:]) or "nothing")
    slow = [poll for poll in polls if poll[0] >= hostile and (poll[1] > STATUS_BOUND or poll[2] != OK)]
    for at, seconds, status in slow[:12]:
        during = ", ".join(attack.during(at, at + seconds)[-6:])
        words = f"{status} after {seconds:.2f} s, {at - hostile:.1f} s in, during {during}"
        found.say("a slow poll", words)


def judge_memory(found: Report, weighed: list[tuple[float, float]], hostile: float, end: float) -> None:
    """Fit a line through the memory use after the first third."""
    later = [(at, size) for at, size in weighed if at >= hostile + (end - hostile) / 3]
    if len({at for at, _ in later}) < 3:  # noqa: PLR2004
        return
    slope = statistics.linear_regression([at for at, _ in later], [size for _, size in later]).slope
    sizes = " ".join(f"{size:.0f}" for _, size in weighed[:: max(1, len(weighed) // 12)])
    grown = slope * (later[-1][0] - later[0][0])
    found.say("memory, MB", f"{sizes}; {slope * 60:+.2f} per minute at the end", bad=grown > GROWTH_BOUND)


_LEVEL = re.compile(r"\[([DIWEC]) ")
_VARYING = re.compile(r"\b[0-9a-f]{8,}[-0-9a-f]*|\d+(?:\.\d+)*")
# Jupyter logs each 503 as an error, with its headers; Turbopilot's 503s report a deadline or a full queue.
_BUSY = re.compile(r"ServerApp\] (?:503 [A-Z]+ /turbopilot/|\{$)")
_FAULT = re.compile(r"Traceback|Task |Error|exception|assert|abort", re.IGNORECASE)


def judge_log(found: Report, log: str) -> None:
    """Search the log for sent texts, errors, and output that bypassed the logger."""
    found.say("texts in the log", str(log.count(CANARY)), bad=CANARY in log)
    reported: Counter[tuple[str, str]] = Counter()
    for entry in re.split(r"\n(?=\S)", log):  # indented lines continue the line above
        first, *more = entry.rstrip().split("\n")
        level = begins[1] if (begins := _LEVEL.match(first)) else "printed"
        if _BUSY.search(first):
            level = "W"
        if level not in "DI":
            words = f"{first[:150]} … {more[-1].strip()[:100]}" if more else first[:150]
            reported[level, _VARYING.sub("N", words)] += 1
    for (level, words), count in reported.most_common(40):
        shown = words.replace("|", r"\|").replace("`", "'")
        bad = level == "E" or bool(_FAULT.search(words))
        found.say(f"logged {level}", f"{count} times `{shown}`", bad=bad)


def siege(folder: Path, options: argparse.Namespace) -> Report:
    """Start a server, observe it at rest, attack it, let it recover, and stop it."""
    server = Server(folder, f"c.Turbopilot.model = {options.model!r}\n" if options.model else "")
    found, attack, stop = Report(), Attack(server.port), threading.Event()
    weighed: list[tuple[float, float]] = []

    def weigh() -> None:
        with suppress(psutil.Error):
            while not stop.wait(2.0):
                weighed.append((time.time(), server.memory()))

    watchers = []
    try:
        kernel = server.kernel()
        threading.Thread(target=server.execute, args=(kernel, stop), daemon=True).start()
        threading.Thread(target=weigh, daemon=True).start()
        watchers = [server.watch(folder / "poll", "poll"),
                    server.watch(folder / "type", "type", kernel, options.set)]  # fmt: skip
        quiet = time.time()
        time.sleep(QUIET if not options.only else RECOVERY / 4)
        hostile = time.time()
        asyncio.run(besiege(attack, options))
        time.sleep(RECOVERY if not options.only else RECOVERY / 4)
        end = time.time()
        judge(found, attack, folder, quiet, hostile, end)
        judge_memory(found, weighed, hostile, end)
        ends = Counter(how for *_, how in attack.sent)
        found.say("cases", ", ".join(f"{count} {how}" for how, count in ends.most_common()))
        code = server.process.poll()
        if code is None:
            status = server.good()
            found.say("a valid request afterwards", status, bad=status != str(OK))
        else:
            answered = [name for *_, name, how in attack.sent if how != "ConnectionRefusedError"]
            found.say("the server", f"ended with {code}, after {', '.join(answered[-8:])}", bad=True)
    finally:
        stop.set()
        for watcher in watchers:
            watcher.terminate()
            watcher.wait()
        took = server.stop()
    found.say("stopping", f"{took:.1f} s", bad=took > STOP_BOUND)
    log = server.log.read_text(errors="replace")
    if options.log:
        options.log.write_text(log)
    judge_log(found, log)
    return found


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lanes", type=int, default=4, help="number of concurrent attackers")
    parser.add_argument("--set", default="", help="notebooks that the user types; default: a few lines")
    parser.add_argument("--model", help="the model to use instead of the default one")
    parser.add_argument("--second", help="a model to switch to and back")
    parser.add_argument("--only", help="one case, by its name")
    parser.add_argument("--log", type=Path, help="keep the server's log here")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # stop the server, too
    with tempfile.TemporaryDirectory() as name:
        found = siege(Path(name), options)
    print(f"\n{options.only or f'Seed {options.seed}, {options.minutes:g} minutes'}\n\n{found}")
    if found.broken:
        print(f"\nExceeded: {', '.join(found.broken)}.")
    raise SystemExit(1 if found.broken else 0)


if __name__ == "__main__":
    main()
