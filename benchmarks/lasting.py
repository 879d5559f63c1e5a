"""What it costs to keep answers in a file, and what becomes of it when servers are killed.

python benchmarks/lasting.py known --set notebooks.json.gz
python benchmarks/lasting.py killed
python benchmarks/lasting.py keys --set notebooks.json.gz

`known` asks what is known from memory, and from the file after a restart. `killed` kills real servers with a
tiny model while they write. `keys` asks two ways in turn, A B B A, what neither knows.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import httpx
from desk import Desk
from engines import ALL_THREADS, compare, keys

from jupyter_turbopilot.context.facts import NONE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.raw_request import RawRequest
    from jupyter_turbopilot.reply import Reply
    from jupyter_turbopilot.request import Completion

MEGABYTE = 1024 * 1024
WORDS = ("total", "mean", "count", "value", "rows", "frame", "price", "result", "index", "label")


class Unknowing(Desk):
    """To whom each key is new: whatever was answered before was another engine's."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._keys = count()

    def ask(self, request: Completion | RawRequest) -> tuple[float, Reply]:
        """Submit and wait; return milliseconds and the answer."""
        self.pilot.completer.results.answer_for(f"key {next(self._keys)}")
        return super().ask(request)


def lasting_desk(path: Path) -> Desk:
    """Return a desk that keeps its answers in a file."""
    return Desk(results_file=str(path), results_memory=64, **ALL_THREADS)


def answered(desk: Desk, asked: Sequence[Completion], times: int) -> tuple[list[float], int, list[list[str]]]:
    """Ask again and again; return milliseconds, the tokens that were evaluated or written, and the texts."""
    waits, computed, texts = [], 0, []
    for _ in range(times):
        for request in asked:
            milliseconds, reply = desk.ask(request)
            waits.append(milliseconds)
            computed += reply.timings.prompt_tokens + reply.timings.predicted_tokens
            texts.append([item.text for item in reply.items])
    return waits, computed, texts


def known(options: argparse.Namespace) -> None:
    """Compare what is known from the file after a restart with what is known in memory."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "answers.db"
        first = lasting_desk(path)
        # A whole answer is known wherever it is asked for again.
        asked = [
            request
            for request in keys(options)
            if {item.finish_reason for item in first.ask(request)[1].items} == {"stop"}
        ]
        memory = answered(first, asked, options.times)
        first.pilot.stop()
        second = lasting_desk(path)
        lost = wait_for(second, asked)
        file = answered(second, asked, options.times)
        memory_again = answered(second, asked, options.times)  # the same process, the same moment
        second.pilot.stop()
    for name, (waits, computed, _) in (("in memory", memory), ("from the file", file)):
        print(
            f"known {name}: {statistics.mean(waits):.3f} ms on average, "
            f"{statistics.median(waits):.3f} at the median; {computed} tokens"
        )
    print(
        f"{len(asked)} answers, {options.times} times: from the file / in memory "
        f"{sum(file[0]) / sum(memory[0]):.3f} (once more {sum(memory_again[0]) / sum(memory[0]):.3f}); "
        f"the same texts: {file[2] == memory[2]}; {lost} not in the file"
    )


def wait_for(desk: Desk, asked: Sequence[Completion]) -> int:
    """Wait until the file has been read; return how many answers were not in it."""
    results, completer = desk.pilot.completer.results, desk.pilot.completer
    end = time.monotonic() + 30
    size = -1
    while size != results.size and time.monotonic() < end:
        size = results.size
        time.sleep(0.5)
    return sum(completer._task(request, NONE).look_up(results) is None for request in asked)  # noqa: SLF001


def key_costs(options: argparse.Namespace) -> None:
    """Compare keys with the file and without it, where nothing is known."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "answers.db"
        memory: dict[str, Any] = {"results_memory": 64} | ALL_THREADS
        desks = Unknowing(**memory), Unknowing(results_file=str(path), **memory)
        compare(("in memory", "with the file"), desks, keys(options))
        for desk in desks:
            desk.pilot.stop()
        print(f"the file: {path.stat().st_size / 1e6:.2f} MB")


def killed(options: argparse.Namespace) -> None:
    """Kill servers with a tiny model while they write; each begins with the last one's file."""
    from tests.serving import Server
    from tests.tiny_model import write_tiny_model

    draw = random.Random(options.seed)  # noqa: S311 - any moment will do
    said: dict[str, set[str]] = {}
    wrong = failed = served = computed = 0
    largest = 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model = write_tiny_model(folder / "tiny.gguf")
        path = folder / "answers.db"
        settings: dict[str, Any] = {"results_file": str(path), "results_disk": 1, "trial": False}
        settings |= {"considerate": False, "keep_sequences": False, "threads": 1}
        config = "".join(f"c.Turbopilot.{name} = {value!r}\n" for name, value in settings.items())
        (folder / "jupyter_turbopilot_config.py").write_text(config)

        def size() -> int:
            return sum(file.stat().st_size for file in folder.glob("*answers.db*"))

        for number in range(options.times):
            try:
                server = Server(model, "--no-api-key", environment={"JUPYTER_CONFIG_DIR": scratch})
            except (AssertionError, OSError, httpx.HTTPError):
                failed += 1
                continue
            end = time.monotonic() + 0.4 + draw.random() * 2
            again = draw.sample(sorted(said), min(len(said), 40))
            while time.monotonic() < end:
                fresh = f"# {number}.{computed}\n{draw.choice(WORDS)} = {draw.choice(WORDS)}"
                source = again.pop() if again else fresh
                body = {"cells": [{"source": source}], "offset": len(source), "lines": "multi"}
                more = {"trigger": "invoke", "max_tokens": 12}
                answer = server.client.post("/complete", json=body | more).json()
                text = json.dumps([item["text"] for item in answer["items"]])
                if answer["timings"]["predicted_tokens"]:
                    computed += 1
                else:
                    served += 1
                    wrong += source in said and text not in said[source]
                said.setdefault(source, set()).add(text)
                largest = max(largest, size())
            server.process.kill()
            server.process.wait()
            server.client.close()
            if server.process.stdout:
                server.process.stdout.close()
            largest = max(largest, size())
    print(
        f"killed {options.times} times: {failed} servers did not start; {computed} answers were computed, "
        f"{served} were known, {wrong} of them wrong; the file took {largest / MEGABYTE:.3f} of its bound"
    )


def main() -> None:
    """Measure one thing."""
    parser = argparse.ArgumentParser()
    actions = parser.add_subparsers(required=True)
    for name, run in (("known", known), ("keys", key_costs), ("killed", killed)):
        action = actions.add_parser(name)
        action.set_defaults(run=run)
        if name == "killed":
            action.add_argument("--times", type=int, default=100)
            action.add_argument("--seed", type=int, default=21)
        else:
            action.add_argument("--set", type=Path, required=True)
            action.add_argument("--requests", type=int, default=60)
            action.add_argument("--times", type=int, default=20)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
