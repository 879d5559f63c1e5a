"""A front server before one that computes: what a greedy person costs others; whether texts stay the same.

python benchmarks/front.py greedy [--model FILE] [--typists 10] [--seconds 40] [--rounds 2] [--limits yes]
python benchmarks/front.py same --set notebooks.json.gz [--requests 200]

`greedy`: each typist asks for a text, reads it for a while, types on; one person keeps fifty requests open at
once, as urgent as theirs. Rounds with and without that person alternate, and the typists do the same in each.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent))

from desk import Desk
from engines import ALL_THREADS, FAR, compare, far_desk, keys, our_server

from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.engine.llama.vocabulary import load_vocabulary
from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.pilot.library import store_of
from jupyter_turbopilot.server.several import LIMITS

if TYPE_CHECKING:
    from collections.abc import Iterator

FRONT = FAR + 5
DEFAULT = "qwen2.5-coder-0.5b"
TOKENS = 16
TOO_MANY = 429
FILE = '''"""Statistics of one column."""

import math


def mean(values):
    return sum(values) / len(values)


def variance(values):
    centre = mean(values)
    return sum((value - centre) ** 2 for value in values) / len(values)


'''


@contextmanager
def front_server(vocabulary: str, more: str = "") -> Iterator[None]:
    """Run a front server, and behind it the one that computes."""
    own = "" if vocabulary == DEFAULT else f"c.Turbopilot.model = {vocabulary!r}\n"
    elsewhere = (
        'c.Turbopilot.engine = "remote"\n'
        f'c.TurbopilotRemote.urls = ["http://127.0.0.1:{FAR}/v1"]\n'
        f"c.TurbopilotRemote.vocabulary = {vocabulary!r}\nc.Turbopilot.queue_limit = 256\n{more}"
    )
    with our_server(FAR, own), our_server(FRONT, elsewhere):
        yield


@dataclass
class Heard:
    """What somebody got."""

    waits: list[float] = field(default_factory=list)
    told_to_wait: int = 0
    failed: int = 0


class Person:
    """Somebody at a machine of their own, as far as the front server can tell."""

    def __init__(self, number: int, vocabulary: Any) -> None:
        self.heard = Heard()
        self._vocabulary = vocabulary
        # The limits are for each caller; what limits the connections here would hide them.
        transport = httpx.AsyncHTTPTransport(
            local_address=f"127.0.1.{number}", limits=httpx.Limits(max_connections=100)
        )
        self._link = httpx.AsyncClient(base_url=f"http://127.0.0.1:{FRONT}", timeout=60, transport=transport)

    async def ask(self, text: str) -> float:
        """Ask for a text at the cursor; return after how many seconds it makes sense to ask again."""
        body = {
            "prompt": self._vocabulary.tokenize(text),
            "max_tokens": TOKENS,
            "temperature": 0,
            "turbopilot": {"priority": "typing"},
        }
        begun = time.perf_counter()
        try:
            answer = await self._link.post("/v1/completions", json=body)
        except httpx.HTTPError:
            self.heard.failed += 1
            return 1.0
        if answer.status_code == TOO_MANY:
            self.heard.told_to_wait += 1
            return float(answer.headers["Retry-After"])
        self.heard.failed += answer.status_code != 200  # noqa: PLR2004
        self.heard.waits.append(time.perf_counter() - begun)
        return 0.0

    async def close(self) -> None:
        """Close the connections."""
        await self._link.aclose()


async def types(person: Person, number: int, end: float) -> None:
    """Type a function, with pauses as somebody makes them who reads what is suggested."""
    drawn = random.Random(number)  # noqa: S311 - the same pauses in each round
    text, line = f"# notebook {number}\n{FILE}def task_{number}(values):\n    total = ", 0
    await asyncio.sleep(drawn.random() * 3)
    while time.perf_counter() < end:
        await person.ask(text)
        await asyncio.sleep(drawn.lognormvariate(0.9, 0.5))  # 2.5 s at the median
        line += 1
        text += f"values[{line}] + "


async def storms(person: Person, many: int, end: float) -> None:
    """Keep so many requests open, each with a prompt of its own."""

    async def one(number: int) -> None:
        asked = 0
        while time.perf_counter() < end:
            asked += 1
            again = await person.ask(f"# {number} {asked}\n{FILE}def storm_{number}_{asked}(values):\n    ")
            await asyncio.sleep(min(again, max(0.0, end - time.perf_counter())))

    await asyncio.gather(*(one(number) for number in range(many)))


async def a_round(options: argparse.Namespace, vocabulary: Any, *, greedy: bool) -> tuple[Heard, Heard]:
    """Return what the typists got together, and what the greedy one did."""
    people = [Person(number + 1, vocabulary) for number in range(options.typists + 1)]
    end = time.perf_counter() + options.seconds
    work = [types(person, number, end) for number, person in enumerate(people[1:])]
    if greedy:
        work.append(storms(people[0], options.many, end))
    await asyncio.gather(*work)
    for person in people:
        await person.close()
    typists = Heard()
    for person in people[1:]:
        typists.waits += person.heard.waits
        typists.told_to_wait += person.heard.told_to_wait
        typists.failed += person.heard.failed
    return typists, people[0].heard


def p95(waits: list[float]) -> float:
    """Return what 95 of 100 waits are shorter than."""
    return sorted(waits)[int(0.95 * (len(waits) - 1))]


def greedy(options: argparse.Namespace) -> None:
    """Compare typists' waits with and without one who keeps fifty requests open."""
    model = options.model or DEFAULT
    path = Path(model) if options.model else store_of(Turbopilot()).path(find(DEFAULT))
    vocabulary = load_vocabulary(path)
    limits = "".join(f"c.Turbopilot.{name} = {value}\n" for name, value in LIMITS.items())
    kinds = {"yes": ("limits for several people", limits), "no": ("no limits, turns alone", "")}
    for name, more in kinds.values() if options.limits == "both" else [kinds[options.limits]]:
        heard: dict[bool, list[float]] = {False: [], True: []}
        told = failed = answers = refused = 0
        with front_server(model, more):
            asyncio.run(
                a_round(argparse.Namespace(**vars(options) | {"seconds": 5.0}), vocabulary, greedy=False)
            )
            for number in range(2 * options.rounds):
                with_him = number % 4 in {1, 2}
                typists, him = asyncio.run(a_round(options, vocabulary, greedy=with_him))
                heard[with_him] += typists.waits
                told, failed = told + typists.told_to_wait, failed + typists.failed
                answers, refused = answers + len(him.waits), refused + him.told_to_wait
        without, beside = p95(heard[False]), p95(heard[True])
        print(
            f"{name}: {options.typists} typists wait {statistics.median(heard[False]):.2f} s at the median, "
            f"{without:.2f} at p95 ({len(heard[False])} texts); beside {options.many} requests at once "
            f"{statistics.median(heard[True]):.2f} and {beside:.2f} ({len(heard[True])} texts): "
            f"{beside / without:.2f}. Of the typists {told} were told to wait, {failed} failed; "
            f"the other got {answers} texts and was refused {refused} times",
            flush=True,
        )


def same(options: argparse.Namespace) -> None:
    """Compare texts through a front server with those of the engine in this process."""
    asked = keys(options)
    here = Desk(**ALL_THREADS)
    with front_server(DEFAULT):
        there = far_desk(FRONT)
        compare(("in process", "through a front server"), (here, there), asked)
        there.pilot.stop()
    here.pilot.stop()


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("greedy", help=greedy.__doc__)
    command.add_argument("--model", help="a GGUF file instead of the default model")
    command.add_argument("--typists", type=int, default=10)
    command.add_argument("--many", type=int, default=50)
    command.add_argument("--seconds", type=float, default=40.0, help="of a round")
    command.add_argument("--rounds", type=int, default=2, help="of each kind")
    command.add_argument("--limits", choices=("yes", "no", "both"), default="both")
    command.set_defaults(run=greedy)
    command = commands.add_parser("same", help=same.__doc__)
    command.add_argument("--set", type=Path, required=True)
    command.add_argument("--requests", type=int, default=200)
    command.set_defaults(run=same)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
