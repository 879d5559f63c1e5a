"""How soon a line that memory knows is shown, while somebody types: from the request to the first frame.

python benchmarks/recalled.py --set NOTEBOOKS [--files 5000] [--lines 200]

A dozen cells of each notebook are indexed, then again with other names, until there are so many files. A line
of one of them is typed below the cells of another notebook, a key each 200 ms, while the model works on what
was typed before. How long memory takes is measured at every key, also where it says nothing.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from desk import Desk

from jupyter_turbopilot.completer.waiting import Replies
from jupyter_turbopilot.evaluate.notebooks import read
from jupyter_turbopilot.evaluate.remembered import of_notebook
from jupyter_turbopilot.memory.entries import Line, lines_of, page_of
from jupyter_turbopilot.memory.reader import Reader
from jupyter_turbopilot.memory.store import Store, prepare
from jupyter_turbopilot.request import Cell, Completion

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.evaluate.notebooks import TypedNotebook
    from jupyter_turbopilot.memory.base import Sighting

KEY = 0.2  # seconds
CELLS = 12  # of a notebook: five thousand whole ones have no room in an index
LONG = 24  # characters of a line that is typed
_NAME = re.compile(r"\b([a-z]\w{3,})\b(?= = )")


def fill(path: Path, notebooks: Sequence[TypedNotebook], files: int) -> list[Line]:
    """Index so many files; return some of their lines."""
    prepare(path)
    store = Store(path)
    now, lines = time.time(), list[Line]()
    for number in range(files):
        notebook = notebooks[number % len(notebooks)]
        again = number // len(notebooks)
        start = number % max(1, len(notebook.cells) - CELLS)
        text = of_notebook(replace(notebook, cells=notebook.cells[start : start + CELLS]), now).text
        if again:
            text = _NAME.sub(rf"\1_{again}", text)
        page = page_of(f"{again}/{notebook.name}", text)
        store.put(f"{again}/{notebook.name}", "", now - number, page)
        if number % 7 == 0:
            lines += [one for entry in page.entries for one in lines_of(entry.source) if len(one.text) > LONG]
    print(f"{store.count()} files, {path.stat().st_size / 2**20:.1f} MB", flush=True)
    store.close()
    return lines


class Timed:
    """Asks a memory how lines go on, and notes how long that takes."""

    def __init__(self, memory: Reader) -> None:
        self.following, self.there, self.imports = memory.following, memory.there, memory.imports
        self._ask = memory.continuations
        self.ms: list[float] = []

    def continuations(self, *given: Any, **more: Any) -> Sequence[Sighting]:
        """Ask."""
        begun = time.perf_counter()
        try:
            return self._ask(*given, **more)
        finally:
            self.ms.append((time.perf_counter() - begun) * 1000)


def typed(desk: Desk, memory: Timed, line: Line, above: Sequence[str]) -> tuple[float, int] | None:
    """Type a line until it is shown out of memory; return how soon it was (ms), and the letters typed."""
    counters = desk.pilot.completer.counters
    cells = [Cell(id=str(number), source=source) for number, source in enumerate(above)]
    head = f"{line.above}\n" if line.above else ""
    for place in range(2, len(line.text) - 4):
        source = head + line.text[:place]
        request = Completion(
            cells=[*cells, Cell(id="active", source=source)],
            active=len(cells),
            offset=len(source),
            path="typed.ipynb",
            trigger="automatic",
            stream=True,
            client="typist",
        )
        before, replies, begun = counters["recalled"], Replies(), time.perf_counter()
        desk.pilot.completer.submit(request, replies.listen, memory=memory)
        reply = replies.within(KEY)
        ms = (time.perf_counter() - begun) * 1000
        if counters["recalled"] > before and reply and reply.items:
            return ms, place
        time.sleep(max(0.0, KEY - ms / 1000))
    return None


def said(name: str, ms: Sequence[float]) -> str:
    """Say how long something took."""
    ms = sorted(ms)
    at = {share: ms[min(len(ms) - 1, int(len(ms) * share))] for share in (0.95, 0.99)}
    return (
        f"{name}: {len(ms)}, p50 {statistics.median(ms):.1f} ms, p95 {at[0.95]:.1f} ms, "
        f"p99 {at[0.99]:.1f} ms, at most {ms[-1]:.1f} ms"
    )


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", type=Path, required=True)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--lines", type=int, default=200)
    options = parser.parse_args()
    notebooks = read(options.set)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "index.db")
        lines = fill(path, notebooks, options.files)
        rng = random.Random(5)  # noqa: S311 - a reproducible choice
        rng.shuffle(lines)
        desk, memory = Desk(), Timed(Reader(path, set))
        found = [
            typed(desk, memory, line, [cell.source for cell in rng.choice(notebooks).cells][:40])
            for line in lines[: options.lines]
        ]
        desk.pilot.stop()
    shown = [one for one in found if one]
    letters = statistics.median(place for _, place in shown)
    print(f"{len(shown)} of {len(found)} lines shown out of memory, after {letters:.0f} letters (median)")
    print(said("from the request to the frame", [ms for ms, _ in shown]))
    print(said("memory asked how a line goes on, at every key", memory.ms))


if __name__ == "__main__":
    main()
