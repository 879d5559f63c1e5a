"""The cost of the notebook index: building, size, CPU time at rest, and lookups.

python research/benchmarks/notebook_index.py --set NOTEBOOKS [--files 1000]

The files are reproducible: excerpts of the given notebooks and of Python's standard library, with some names
changed and with outputs of realistic length.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import re
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from harness import percentile

from jupyter_turbopilot.analysis.lines import lines_of
from jupyter_turbopilot.index import paths
from jupyter_turbopilot.index.entries import page_of
from jupyter_turbopilot.index.local_files import LocalFiles
from jupyter_turbopilot.index.reader import MaintainedIndex
from turbopilot_research.evaluate.notebooks import read, standard_library

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.analysis.lines import Line
    from jupyter_turbopilot.util.notebook_file import Notebook

CELLS = 28  # mean number of a notebook
OUTPUT, IMAGE = 600, 20_000  # characters of output per cell, and bytes of an image for every tenth
RENAMED = 0.2  # share of the names in a notebook
REST = 30.0  # seconds
LOOKED_UP = 500  # lines
_NAME = re.compile(r"\b[a-z_]\w{4,}\b")


def notebook(sources: Sequence[Notebook], number: int) -> str:
    """Return a notebook file: an excerpt of a given notebook with other names."""
    draw = random.Random(number)  # noqa: S311 - the same each time
    cells: list[str] = []
    wanted = draw.randint(CELLS // 2, CELLS * 3 // 2)
    while len(cells) < wanted:
        code = [cell.source for cell in draw.choice(sources).cells if cell.type == "code"]
        start = draw.randrange(len(code)) if code else 0
        cells += code[start : start + draw.randint(3, 12)]
    text = "\0".join(cells[:wanted])
    renamed = {name for name in sorted({*_NAME.findall(text)}) if draw.random() < RENAMED}
    text = _NAME.sub(lambda found: f"{found[0]}_{number}" if found[0] in renamed else found[0], text)
    written = [
        {"cell_type": "code", "outputs": [_output(draw, at)], "source": source}
        for at, source in enumerate(text.split("\0"))
    ]
    metadata = {"language_info": {"name": "python"}}
    return json.dumps({"cells": written, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def _output(draw: random.Random, at: int) -> dict[str, object]:
    if at % 10 == 0:
        image = base64.b64encode(draw.randbytes(IMAGE)).decode()
        return {"output_type": "display_data", "metadata": {}, "data": {"image/png": image}}
    return {"output_type": "stream", "name": "stdout", "text": ["0.123456 " * (OUTPUT // 9) + "\n"]}


def fill(root: Path, sources: Sequence[Notebook], count: int) -> None:
    """Write notebooks into folders; higher numbers are newer."""
    size = 0
    for number in range(count):
        path = root / f"project_{number // 50}" / f"{number}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text := notebook(sources, number), "utf-8")
        os.utime(path, (1.7e9 + number, 1.7e9 + number))
        size += len(text)
    print(f"{count} notebooks, {size / 1e6:.0f} MB", flush=True)


def start(root: Path, count: int) -> MaintainedIndex:
    """Start an index and wait until it has been built; print the cost."""
    notebook_index = MaintainedIndex(LocalFiles(root))
    begun, spent = time.monotonic(), time.process_time()
    notebook_index.builder.start()
    progress = notebook_index.builder.progress
    while progress.files < count or progress.building:
        assert not progress.error, progress.error
        time.sleep(0.001)
        progress = notebook_index.builder.progress
    spent = time.process_time() - spent
    print(f"ready in {time.monotonic() - begun:.2f} s, {spent:.2f} s of a core", flush=True)
    return notebook_index


def measure(what: str, act: Callable[[Line], object], lines: Sequence[Line]) -> None:
    """Print the time of a lookup for each line."""
    took, found = [], 0
    for line in lines:
        begun = time.perf_counter()
        found += bool(act(line))
        took.append((time.perf_counter() - begun) * 1000)
    print(
        f"{what}: p50 {statistics.median(took):.2f} ms, p95 {percentile(took, 0.95):.2f} ms, "
        f"worst {max(took):.2f} ms; {found} of {len(took)} found",
        flush=True,
    )


def look_up(notebook_index: MaintainedIndex) -> None:
    """Look up lines and imports like a notebook in the folder."""
    draw = random.Random(7)  # noqa: S311 - the same each time
    names = [one.path for one in notebook_index.source.walk([])]
    found: dict[Line, None] = {}
    for path in draw.sample(names, min(len(names), 100)):
        for entry in page_of(path, notebook_index.source.read(path)):
            found |= dict.fromkeys(lines_of(entry.source))
    lines = draw.sample([*found], min(len(found), LOOKED_UP))
    begun = {line: line.text[: draw.randint(3, max(4, len(line.text) // 2))] for line in lines}

    def continuations(line: Line) -> object:
        return notebook_index.continuations(
            "python", begun[line], line.above, path="x.ipynb", modules=["numpy"]
        )

    measure("the continuations of a line", continuations, lines)
    imported = ("np", "pd", "plt", "sns", "Path", "os", "json", "nothing_at_all")
    measure(
        "imports of a name",
        lambda line: notebook_index.imports(imported[len(line.text) % len(imported)]),
        lines,
    )


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", type=Path, required=True, help="a prepared set, or a folder of notebooks")
    parser.add_argument("--files", type=int, default=1000, help="number of notebooks to index")
    parser.add_argument("--small", action="store_true", help="too few files for meaningful results")
    options = parser.parse_args()
    count, rest = (20, 1.0) if options.small else (options.files, REST)
    sources: list[Notebook] = [*read(options.set), *standard_library()]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_DATA_HOME"] = f"{folder}/data"  # separate from the user's own indexes
        if not paths.folder().is_relative_to(folder):
            sys.exit(f"XDG_DATA_HOME has no effect here: indexes would be in {paths.folder()}.")
        root = Path(folder) / "files"
        fill(root, sources, count)
        with closing(start(root, count)) as notebook_index:
            time.sleep(1)
            print(f"{paths.size_of_index(notebook_index.builder.path) / 1e6:.1f} MB", flush=True)
            spent = time.process_time()
            time.sleep(rest)
            spent = time.process_time() - spent
            print(f"at rest: {spent * 1000:.1f} ms of a core in {rest:.0f} s", flush=True)
            look_up(notebook_index)


if __name__ == "__main__":
    main()
