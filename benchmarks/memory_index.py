"""What the index of a person's own code costs: building it, its size, at rest, and looking things up in it.

python benchmarks/memory_index.py --set NOTEBOOKS [--files 1000] [--looked-up 5000] [--keys 0]

There are as many files as asked for, always the same: notebooks cut out of those given and out of Python's
own library, with other names in each and outputs as long as real ones. `--keys` types with the default model,
in turns beside an index that is being built and without one, five keys at a time with pauses for thought.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent))

from desk import Desk

from jupyter_turbopilot.engine.effort import Pause
from jupyter_turbopilot.evaluate import standard_library
from jupyter_turbopilot.evaluate.notebooks import read
from jupyter_turbopilot.memory import places
from jupyter_turbopilot.memory.cells import ChosenCells
from jupyter_turbopilot.memory.entries import lines_of, page_of
from jupyter_turbopilot.memory.kept import KeptMemory
from jupyter_turbopilot.memory.local_files import LocalFiles
from jupyter_turbopilot.memory.places import size_of_index
from jupyter_turbopilot.memory.store import Store, belonging
from jupyter_turbopilot.request import Cell, Completion

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.context.notebook_file import Notebook
    from jupyter_turbopilot.memory.entries import Line

CELLS = 28  # of a notebook, on average
FEW = 10  # of one of those in which things are looked up: so many of them fit into the index
OUTPUT, PICTURE = 600, 20_000  # characters and bytes below a cell, and below each tenth
RENAMED = 0.2  # of the names in a notebook
REST = 30.0  # seconds
LOOKED_UP = 500  # times
KEY, WORD, THOUGHT = 0.2, 5, 3.0  # seconds between two keys, keys in a row, and seconds after them
_NAME = re.compile(r"\b[a-z_]\w{4,}\b")


def notebook(sources: Sequence[Notebook], number: int, mean: int) -> str:
    """Return the text of a notebook file: a part of one of those given, as another person would have it."""
    draw = random.Random(number)  # noqa: S311 - the same each time
    cells = []
    wanted = draw.randint(mean // 2, mean * 3 // 2)
    while len(cells) < wanted:
        source = draw.choice(sources)
        code = [cell.source for cell in source.cells if cell.type == "code"]
        start = draw.randrange(len(code)) if code else 0
        cells += code[start : start + draw.randint(3, 12)]
    text = "\0".join(cells[:wanted])
    renamed = {name for name in sorted({*_NAME.findall(text)}) if draw.random() < RENAMED}
    text = _NAME.sub(lambda found: f"{found[0]}_{number}" if found[0] in renamed else found[0], text)
    return json.dumps(
        {
            "cells": [
                {
                    "cell_type": "code",
                    "execution_count": at,
                    "id": f"cell-{at}",
                    "metadata": {},
                    "outputs": [_output(draw, at)],
                    "source": source.splitlines(keepends=True),
                }
                for at, source in enumerate(text.split("\0"))
            ],
            "metadata": {"language_info": {"name": "python"}},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    )


def _output(draw: random.Random, at: int) -> dict[str, object]:
    if at % 10 == 0:
        picture = base64.b64encode(draw.randbytes(PICTURE)).decode()
        return {"output_type": "display_data", "metadata": {}, "data": {"image/png": picture}}
    return {"output_type": "stream", "name": "stdout", "text": ["0.123456 " * (OUTPUT // 9) + "\n"]}


def fill(root: Path, sources: Sequence[Notebook], count: int, mean: int = CELLS) -> None:
    """Put notebooks into a folder with folders, those with higher numbers newer."""
    code = size = 0
    for number in range(count):
        path = root / f"project_{number // 50}" / f"{number}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = notebook(sources, number, mean)
        path.write_text(text, "utf-8")
        os.utime(path, (1.7e9 + number, 1.7e9 + number))
        size += len(text)
        code += sum(len(entry.source) for entry in page_of(path.name, text).entries)
    print(f"{count} notebooks, {size / 1e6:.0f} MB, of which {code / 1e6:.1f} MB are code", flush=True)


def wait(memory: KeptMemory, count: int) -> None:
    """Wait until so many files are in an index."""
    while memory.builder.progress.building or memory.builder.progress.files < count:
        assert not memory.builder.progress.trouble, memory.builder.progress.trouble
        time.sleep(0.05)


def built(root: Path, count: int, rest: float) -> None:
    """Build in the background, at idle priority; say what that costs, and what being there costs."""
    os.nice(19)
    memory = KeptMemory(LocalFiles(root))
    begun, spent = time.monotonic(), time.process_time()
    memory.builder.start()
    wait(memory, count)
    print(
        f"built in {time.monotonic() - begun:.1f} s, with {time.process_time() - spent:.1f} s of a core",
        flush=True,
    )
    if rest:
        time.sleep(1)
        print(f"{size_of_index(memory.builder.place) / 1e6:.1f} MB", flush=True)
        spent = time.process_time()
        time.sleep(rest)
        spent = time.process_time() - spent
        print(f"at rest: {spent * 1000:.1f} ms of a core in {rest:.0f} s, {spent / rest:.4%}", flush=True)
    memory.close()
    again = KeptMemory(LocalFiles(root))
    begun, spent = time.monotonic(), time.process_time()
    again.builder.start()
    while again.builder._seen < 0:  # noqa: SLF001 - everything was looked at, then
        time.sleep(0.001)
    wait(again, count)
    print(
        f"the next start: {time.monotonic() - begun:.2f} s, {time.process_time() - spent:.2f} s of a core",
        flush=True,
    )
    again.close()
    waiting(root, rest)
    deleted(root)


def waiting(root: Path, rest: float) -> None:
    """Say what it costs that files wait on battery, or for a kernel that computes."""
    for path in sorted(root.rglob("*.ipynb"))[:100]:
        os.utime(path)
    memory = KeptMemory(LocalFiles(root), pause=lambda: Pause.BATTERY)
    memory.builder.start()
    while memory.builder._seen < 0:  # noqa: SLF001
        time.sleep(0.01)
    time.sleep(1)
    spent = time.process_time()
    time.sleep(rest)
    spent = time.process_time() - spent
    print(f"100 files wait on battery: {spent * 1000:.1f} ms of a core in {rest:.0f} s", flush=True)
    memory.close()


def deleted(root: Path) -> None:
    """Say how long what another program deletes is remembered, and on the disk, while somebody types."""
    memory = KeptMemory(LocalFiles(root))
    memory.builder.start()
    wait(memory, 1)
    while memory.builder._seen < 0 or memory.builder.progress.building:  # noqa: SLF001
        time.sleep(0.01)
    path = next(iter(sorted(root.rglob("*.ipynb"))))
    name = path.relative_to(root).as_posix()
    memory.continuations("python", "import ", "", path="x.ipynb", modules=[])
    time.sleep(5)  # between two looks
    path.unlink()
    begun, forgotten = time.monotonic(), 0.0
    while True:
        memory.continuations("python", "import ", "", path="x.ipynb", modules=[])
        with closing(Store(memory.builder.place, looking=True)) as store:
            known = store.stamp(name) is not None
        if not known and not forgotten:
            forgotten = time.monotonic() - begun
        if not known and not any(
            name.encode() in file.read_bytes() for file in belonging(memory.builder.place)
        ):
            break
        time.sleep(0.2)
    print(
        f"deleted by another program: forgotten after {forgotten:.1f} s, "
        f"overwritten on the disk after {time.monotonic() - begun:.1f} s",
        flush=True,
    )
    memory.close()


def times(what: str, act: Callable[[Line], object], lines: Sequence[Line]) -> None:
    """Say how long it takes to look something up, once for each line."""
    took, spent = [], []
    found = 0
    for line in lines:
        begun, used = time.perf_counter(), time.thread_time()
        found += bool(act(line))
        took.append((time.perf_counter() - begun) * 1000)
        spent.append((time.thread_time() - used) * 1000)
    took.sort()
    print(
        f"{what}: p50 {statistics.median(took):.2f} ms, p95 {took[len(took) * 95 // 100]:.2f} ms, "
        f"worst {took[-1]:.2f} ms; of a core p50 {statistics.median(spent):.2f} ms; "
        f"{found} of {len(took)} found",
        flush=True,
    )


def looked_up(root: Path) -> None:
    """Look up lines, cells and imports, as somebody does who types in a notebook of the folder."""
    memory = KeptMemory(LocalFiles(root))
    draw = random.Random(7)  # noqa: S311
    paths = [one.path for one in memory.source.walk()]
    lines: list[Line] = []
    behind: dict[Line, Completion] = {}  # an empty cell behind that of the line gets the focus
    for path in draw.sample(paths, min(len(paths), 100)):
        cells = [Cell(source=entry.source) for entry in page_of(path, memory.source.read(path)).entries]
        for at, cell in enumerate(cells):
            window = [*cells[: at + 1], Cell(), *cells[at + 1 :]]
            request = Completion(path=path, cells=window, active=at + 1, offset=0)
            for line in lines_of(cell.source):
                lines.append(line)
                behind[line] = request
    lines = draw.sample(lines, min(len(lines), LOOKED_UP))
    begun = {line: line.text[: draw.randint(3, max(4, len(line.text) // 2))] for line in lines}

    def ways(line: Line) -> object:
        return memory.continuations("python", begun[line], line.above, path="x.ipynb", modules=["numpy"])

    times("how a line goes on", ways, lines)
    times(
        "what follows cells like those above",
        lambda line: ChosenCells().choose(memory, behind[line]).documents,
        lines,
    )
    names = ("np", "pd", "plt", "sns", "Path", "os", "json", "nothing_at_all")
    times("imports of a name", lambda line: memory.imports(names[len(line.text) % len(names)]), lines)
    memory.close()


def typed(desk: Desk, root: Path, count: int) -> None:
    """Type in turns beside an index that is being built and without one; compare how long a key takes."""
    counters = desk.pilot.completer.counters
    took: dict[bool, list[float]] = {True: [], False: []}
    text = "".join(f"measured_{number} = [value * {number} for value in readings]\n" for number in range(40))
    for turn in range(count // 25):
        beside = turn % 2 == 0
        memory = KeptMemory(
            LocalFiles(root), pause=desk.pilot.effort.pause, asked=lambda: counters["requests"]
        )
        if beside:
            memory.builder.start()
        start = random.Random(turn // 2).randrange(len(text) // 2)  # noqa: S311
        for end in range(start, start + 25):
            request = Completion(
                cells=[Cell(source=text[:end])], offset=end, trigger="automatic", lines="single", max_tokens=8
            )
            milliseconds, _ = desk.ask(request)
            took[beside].append(milliseconds)
            pause = THOUGHT if (end - start) % WORD == WORD - 1 else KEY  # files are read in the longer ones
            time.sleep(max(0.0, pause - milliseconds / 1000))
        memory.close()
        for file in memory.builder.place.parent.glob("*"):
            file.unlink()
    mean = {beside: statistics.mean(values) for beside, values in took.items()}
    print(
        f"a key beside a running build {mean[True]:.1f} ms, without {mean[False]:.1f} ms: "
        f"{mean[True] / mean[False]:.3f} ({len(took[True])} keys each)",
        flush=True,
    )
    desk.pilot.stop()


def assert_own(root: Path) -> None:
    """End where indexes would be made, and deleted, among the person's own."""
    if not places.folder().is_relative_to(root.parent):
        sys.exit(f"XDG_DATA_HOME has no effect here: indexes would be in {places.folder()}.")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", type=Path, help="a prepared set, or a folder of notebooks")
    parser.add_argument("--files", type=int, default=1000, help="notebooks of which an index is built")
    parser.add_argument("--looked-up", type=int, default=5000, help="notebooks in the index that is asked")
    parser.add_argument("--keys", type=int, default=0, help="keys that are typed with the default model")
    parser.add_argument("--built", nargs=2, metavar=("FOLDER", "COUNT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.built:
        assert_own(Path(options.built[0]))
        built(Path(options.built[0]), int(options.built[1]), REST)
        return
    sources: list[Notebook] = [*(read(options.set) if options.set else ()), *standard_library.notebooks()]
    desk = Desk() if options.keys else None  # the model is among the person's own files
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_DATA_HOME"] = f"{folder}/data"  # not among the person's own
        root, many = Path(folder) / "built", Path(folder) / "looked up"
        assert_own(root)
        fill(root, sources, options.files)
        subprocess.run([sys.executable, __file__, "--built", str(root), str(options.files)], check=True)
        if options.looked_up:
            fill(many, sources, options.looked_up, FEW)
            memory = KeptMemory(LocalFiles(many))
            memory.builder.build_now()
            size = size_of_index(memory.builder.place) / 1e6
            print(f"{memory.builder.progress.files} of them in an index of {size:.1f} MB", flush=True)
            memory.close()
            looked_up(many)
        if desk:
            os.environ["XDG_DATA_HOME"] = f"{folder}/data/typed"
            typed(desk, root, options.keys)


if __name__ == "__main__":
    main()
