"""How soon a line that memory knows is shown, while somebody types: from the request to the first frame.

python benchmarks/recalled.py --set NOTEBOOKS [--files 5000] [--lines 200]

The notebooks are remembered over and over, each time with other names, until there are so many files. A line
is typed from its beginning, a key each 200 ms, while the model works on what was typed before.
"""

from __future__ import annotations

import argparse
import random
import re
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

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

KEY = 0.2  # seconds
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
        text = of_notebook(notebook, now).text
        if again:
            text = _NAME.sub(rf"\1_{again}", text)
        page = page_of(f"{again}/{notebook.name}", text)
        store.put(f"{again}/{notebook.name}", "", now - number, page)
        if number % 7 == 0:
            lines += [one for entry in page.entries for one in lines_of(entry.source) if len(one.text) > LONG]
    print(f"{store.count()} files, {path.stat().st_size / 2**20:.1f} MB", flush=True)
    store.close()
    return lines


def typed(desk: Desk, memory: Reader, line: Line) -> float | None:
    """Type a line until it is shown out of memory; return the milliseconds that its frame took."""
    counters = desk.pilot.completer.counters
    above = f"{line.above}\n" if line.above else ""
    for place in range(2, len(line.text) - 4):
        source = above + line.text[:place]
        request = Completion(
            cells=[Cell(source=source)],
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
            return ms
        time.sleep(max(0.0, KEY - ms / 1000))
    return None


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", type=Path, required=True)
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--lines", type=int, default=200)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "index.db")
        lines = fill(path, read(options.set), options.files)
        random.Random(5).shuffle(lines)  # noqa: S311 - a reproducible choice
        desk, memory = Desk(), Reader(path, set)
        found = [typed(desk, memory, line) for line in lines[: options.lines]]
        desk.pilot.stop()
        memory.close()
    ms = sorted(one for one in found if one is not None)
    print(
        f"{len(ms)} of {len(found)} lines shown out of memory: p50 {statistics.median(ms):.1f} ms, "
        f"p95 {ms[int(len(ms) * 0.95)]:.1f} ms"
    )


if __name__ == "__main__":
    main()
