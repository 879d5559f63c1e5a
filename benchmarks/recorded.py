"""What the real engine does, recorded: the text it writes at each key, and how long a batch takes it.

    python benchmarks/recorded.py texts --set notebooks.json.gz --into texts.json.gz --seconds 600
    python benchmarks/recorded.py steps --threads 2 --into steps.json

Texts do not depend on time, so they can be recorded on a busy machine; steps want a quiet one.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import random
import sys
import time
from array import array
from bisect import bisect_left
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from desk import Desk

from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.evaluate.notebooks import read
from jupyter_turbopilot.evaluate.traces import Trace, of_kind
from jupyter_turbopilot.generation import Ask, Sampling

if TYPE_CHECKING:
    from collections.abc import Sequence

PEOPLE, KEYS = 16, 150  # notebooks that are recorded, and the keys of each
ROWS = (1, 2, 3, 4, 6, 8, 12, 16, 32, 64, 128, 256)
AGAIN = 12  # times that a batch of each size is computed


def typed(source: Path, keys: int = KEYS) -> list[Trace]:
    """Return a cell of each notebook of the half held out, from its beginning."""
    notebooks = [notebook for notebook in read(source)[1::2] if notebook.typed]
    traces = [of_kind([notebook], "append", 0, every=1)[0] for notebook in notebooks]
    long = sorted(traces, key=lambda trace: -len(trace.keystrokes))[:PEOPLE]
    return [Trace(trace.kind, trace.name, trace.keystrokes[:keys]) for trace in long]


class Texts:
    """What was written behind each prompt: tokens, and how probable each was."""

    def __init__(self, scripts: dict[str, list[tuple[int, float]]] | None = None, seed: int = 7) -> None:
        self.scripts = scripts or {}
        self.asked = self.missed = 0
        self._lengths = [len(script) for script in self.scripts.values()]
        self._rng = random.Random(seed)  # noqa: S311 - a reproducible choice

    @staticmethod
    def name(prompt: Sequence[int]) -> str:
        """Return what a prompt is found by."""
        return hashlib.blake2b(array("i", prompt).tobytes(), digest_size=12).hexdigest()

    def take(self, prompt: Sequence[int], before: int, tokens: Sequence[tuple[int, float]]) -> None:
        """Note tokens behind a prompt, and so many others; those that were recorded already stay."""
        script = self.scripts.setdefault(self.name(prompt), [])
        if before == len(script):
            script.extend(tokens)

    def behind(self, prompt: Sequence[int]) -> list[tuple[int, float]]:
        """Return what was written; where nothing was recorded, something as long as another text."""
        self.asked += 1
        if (script := self.scripts.get(self.name(prompt))) is not None:
            return script
        self.missed += 1
        length = self._rng.choice(self._lengths or [8])
        return [(prompt[n % len(prompt)], 0.5) for n in range(length)]

    @classmethod
    def load(cls, path: Path) -> Texts:
        """Read them."""
        raw = json.loads(gzip.decompress(path.read_bytes()))
        return cls({name: [(token, chance) for token, chance in script] for name, script in raw.items()})

    def save(self, path: Path) -> None:
        """Write them."""
        path.write_bytes(gzip.compress(json.dumps(self.scripts).encode()))


class Steps:
    """How long batches of so many tokens take: one that was measured, drawn anew each time."""

    def __init__(self, seconds: dict[int, list[float]], seed: int = 7) -> None:
        self._sizes = sorted(seconds)
        self._seconds = seconds
        self._rng = random.Random(seed)  # noqa: S311 - a reproducible choice

    def draw(self, rows: int) -> float:
        """Return the seconds of a batch: between two sizes that were measured, in proportion."""
        sizes = self._sizes
        at = min(bisect_left(sizes, rows), len(sizes) - 1)
        luck = self._rng.random()
        above = self._of(sizes[at], luck)
        if at == 0 or rows >= sizes[at]:
            return above * max(1.0, rows / sizes[at])
        below = self._of(sizes[at - 1], luck)
        return below + (above - below) * (rows - sizes[at - 1]) / (sizes[at] - sizes[at - 1])

    def _of(self, size: int, luck: float) -> float:
        seconds = self._seconds[size]
        return seconds[int(luck * len(seconds))]

    @classmethod
    def load(cls, path: Path) -> Steps:
        """Read them."""
        return cls({int(rows): sorted(seconds) for rows, seconds in json.loads(path.read_text()).items()})


def record_texts(options: argparse.Namespace) -> None:
    """Ask at each key, wait for the answer and for what would follow it."""
    recorder = Texts()
    desk = Desk(model=options.model, considerate=False, trial=False)
    engine: Any = desk.pilot.worker.engine
    step = engine.step

    def stepped(runs: list[Any], attention: Cancel) -> None:
        before = [run.wrote for run in runs]
        step(runs, attention)
        for run, wrote in zip(runs, before, strict=True):
            recorder.take(run.ask.prompt, wrote, [(token.id, token.probability) for token in run.fresh])

    engine.step = stepped
    end = time.monotonic() + options.seconds
    for trace in typed(options.set, options.keys):
        for keystroke in trace.keystrokes:
            request = keystroke.request(client="typist", trigger="automatic", stream=True)
            if time.monotonic() > end:
                break
            _, reply = desk.ask(request)
            if reply.items:
                desk.ask(keystroke.accepting(reply.items[0].text).request(client="typist", trigger="ahead"))
        recorder.save(options.into)
        print(f"{trace.name[:40]}: {len(recorder.scripts)} texts", flush=True)
    desk.pilot.stop()


def _compute(engine: Any, rows: int) -> None:
    """Have batches of so many tokens computed: of several texts while there are places, or of a prompt."""
    tokens = engine.vocabulary.tokenize("for name in names:\n    show(name, 1)\n" * 60)
    sampling, places = Sampling(AGAIN, ignore_end=True), engine.abilities.places
    read = min(300, engine.context_size // places - 2 * AGAIN)  # all of them find room
    if rows <= places:  # so many texts at a time, each behind a prompt of its own
        runs = [engine.start(Ask([tokens[n + 1], *tokens[:read]], sampling)) for n in range(rows)]
        while any(not run.done for run in runs):
            engine.step([run for run in runs if not run.done], Cancel())
            for run in runs:
                run.fresh.clear()
    else:
        engine.chunk = rows
        prompt = [tokens[places + rows], *tokens[: rows * AGAIN]][: engine.context_size - 8]
        runs = [engine.start(Ask(prompt, Sampling(1, cached=False)))]
        while not runs[0].done:
            engine.step(runs, Cancel())
        engine.chunk = 64
    for run in runs:
        engine.release(run)


def record_steps(options: argparse.Namespace) -> None:
    """Time batches of each size: several texts at a time, then pieces of prompts."""
    desk = Desk(model=options.model, considerate=False, trial=False, threads=options.threads)
    engine: Any = desk.pilot.worker.engine
    engine.drafts = False
    evaluate = engine.evaluate
    found: dict[int, list[float]] = {rows: [] for rows in ROWS}

    def timed(rows: Sequence[Any], attention: Cancel | None) -> bool:
        begun = time.perf_counter()
        whole = bool(evaluate(rows, attention))
        if len(rows) in found:
            found[len(rows)].append(time.perf_counter() - begun)
        return whole

    engine.evaluate = timed
    for rows in ROWS:
        _compute(engine, rows)
    desk.pilot.stop()
    options.into.write_text(json.dumps({rows: seconds for rows, seconds in found.items() if seconds}))
    for rows, seconds in found.items():
        ordered = sorted(seconds)
        if ordered:
            print(
                f"{rows:3} tokens: {ordered[len(ordered) // 2] * 1000:6.1f} ms of {len(ordered)}", flush=True
            )


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["texts", "steps"])
    parser.add_argument("--set", type=Path, help="a prepared set, or a folder of notebooks")
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--keys", type=int, default=KEYS, help="of each notebook, at most")
    parser.add_argument("--model", default=Turbopilot().model)
    options = parser.parse_args()
    (record_texts if options.what == "texts" else record_steps)(options)


if __name__ == "__main__":
    main()
