"""The cost of the notebook index: building, size, CPU time at rest, and lookups.

python research/benchmarks/notebook_index.py --set NOTEBOOKS [--files 1000] [--looked-up 5000] [--lines 100]

The files are reproducible: excerpts of the given notebooks and of Python's standard library, with some names
changed and with outputs of realistic length. `--lines` types lines of the index below the cells of another
notebook, one keystroke every 200 ms, while the default model generates, and measures the time from the
request to a frame that shows the line from the index.
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

from harness import LocalPilot, percentile

from jupyter_turbopilot.completer.reply_iterators import Replies
from jupyter_turbopilot.index import paths
from jupyter_turbopilot.index.cells import ChosenCells
from jupyter_turbopilot.index.entries import lines_of, page_of
from jupyter_turbopilot.index.local_files import LocalFiles
from jupyter_turbopilot.index.reader import MaintainedIndex
from jupyter_turbopilot.protocol.request import Cell, Completion
from turbopilot_research.evaluate.notebooks import read, standard_library

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.index.build import Builder
    from jupyter_turbopilot.index.entries import Line
    from jupyter_turbopilot.util.notebook_file import Notebook

CELLS, FEW = 28, 10  # mean cells of a notebook: of the built index, and of the one for lookups
OUTPUT, IMAGE = 600, 20_000  # characters of output per cell, and bytes of an image for every tenth
RENAMED = 0.2  # share of the names in a notebook
REST = 30.0  # seconds
LOOKED_UP = 500  # lookups
KEY = 0.2  # seconds between two keystrokes
ABOVE, LONG = 40, 24  # cells above a typed line, and its minimum length
_NAME = re.compile(r"\b[a-z_]\w{4,}\b")


def notebook(sources: Sequence[Notebook], number: int, mean: int) -> str:
    """Return a notebook file: an excerpt of a given notebook with other names."""
    draw = random.Random(number)  # noqa: S311 - the same each time
    cells: list[str] = []
    wanted = draw.randint(mean // 2, mean * 3 // 2)
    while len(cells) < wanted:
        code = [cell.source for cell in draw.choice(sources).cells if cell.type == "code"]
        start = draw.randrange(len(code)) if code else 0
        cells += code[start : start + draw.randint(3, 12)]
    text = "\0".join(cells[:wanted])
    renamed = {name for name in sorted({*_NAME.findall(text)}) if draw.random() < RENAMED}
    text = _NAME.sub(lambda found: f"{found[0]}_{number}" if found[0] in renamed else found[0], text)
    written = [
        {
            "cell_type": "code",
            "execution_count": at,
            "id": f"cell-{at}",
            "metadata": {},
            "outputs": [_output(draw, at)],
            "source": source.splitlines(keepends=True),
        }
        for at, source in enumerate(text.split("\0"))
    ]
    metadata = {"language_info": {"name": "python"}}
    return json.dumps({"cells": written, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


def _output(draw: random.Random, at: int) -> dict[str, object]:
    if at % 10 == 0:
        image = base64.b64encode(draw.randbytes(IMAGE)).decode()
        return {"output_type": "display_data", "metadata": {}, "data": {"image/png": image}}
    return {"output_type": "stream", "name": "stdout", "text": ["0.123456 " * (OUTPUT // 9) + "\n"]}


def fill(root: Path, sources: Sequence[Notebook], count: int, mean: int) -> None:
    """Write notebooks into folders; higher numbers are newer."""
    code = size = 0
    for number in range(count):
        path = root / f"project_{number // 50}" / f"{number}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = notebook(sources, number, mean)
        path.write_text(text, "utf-8")
        os.utime(path, (1.7e9 + number, 1.7e9 + number))
        size += len(text)
        code += sum(len(entry.source) for entry in page_of(path.name, text).entries)
    print(f"{count} notebooks, {size / 1e6:.0f} MB, {code / 1e6:.1f} MB of it code", flush=True)


def start(root: Path, is_ready: Callable[[Builder], bool]) -> MaintainedIndex:
    """Start an index and wait until it is ready; print the cost."""
    notebook_index = MaintainedIndex(LocalFiles(root))
    begun, spent = time.monotonic(), time.process_time()
    notebook_index.builder.start()
    while not is_ready(notebook_index.builder):
        assert not notebook_index.builder.progress.error, notebook_index.builder.progress.error
        time.sleep(0.001)
    spent = time.process_time() - spent
    print(f"ready in {time.monotonic() - begun:.2f} s, {spent:.2f} s of a core", flush=True)
    return notebook_index


def build(root: Path, count: int, rest: float) -> None:
    """Build an index in the background at the lowest priority; print the cost, also at rest."""
    os.nice(19)
    notebook_index = start(root, lambda one: one.progress.files >= count and not one.progress.building)
    time.sleep(1)
    print(f"{paths.size_of_index(notebook_index.builder.path) / 1e6:.1f} MB", flush=True)
    spent = time.process_time()
    time.sleep(rest)
    spent = time.process_time() - spent
    print(f"at rest: {spent * 1000:.1f} ms of a core in {rest:.0f} s, {spent / rest:.4%}", flush=True)
    notebook_index.close()
    print("the next start: ", end="")
    start(root, lambda one: one.used()).close()  # once it has checked all files


def measure(what: str, act: Callable[[Line], object], lines: Sequence[Line]) -> None:
    """Print the time of a lookup for each line."""
    took, spent, found = [], [], 0
    for line in lines:
        begun, used = time.perf_counter(), time.thread_time()
        found += bool(act(line))
        took.append((time.perf_counter() - begun) * 1000)
        spent.append((time.thread_time() - used) * 1000)
    print(
        f"{what}: p50 {statistics.median(took):.2f} ms, p95 {percentile(took, 0.95):.2f} ms, "
        f"worst {max(took):.2f} ms; of a core p50 {statistics.median(spent):.2f} ms; "
        f"{found} of {len(took)} found",
        flush=True,
    )


def look_up(notebook_index: MaintainedIndex) -> list[Line]:
    """Look up lines, cells and imports like a notebook in the folder; return the lines."""
    draw = random.Random(7)  # noqa: S311 - the same each time
    paths = [one.path for one in notebook_index.source.walk()]
    below: dict[Line, Completion] = {}  # for each line, the focus moves to an empty cell below
    for path in draw.sample(paths, min(len(paths), 100)):
        cells = [
            Cell(source=entry.source) for entry in page_of(path, notebook_index.source.read(path)).entries
        ]
        for at, cell in enumerate(cells):
            window = [*cells[: at + 1], Cell(), *cells[at + 1 :]]
            request = Completion(path=path, cells=window, active=at + 1, offset=0)
            below |= dict.fromkeys(lines_of(cell.source), request)
    lines = draw.sample([*below], min(len(below), LOOKED_UP))
    begun = {line: line.text[: draw.randint(3, max(4, len(line.text) // 2))] for line in lines}

    def continuations(line: Line) -> object:
        return notebook_index.continuations(
            "python", begun[line], line.above, path="x.ipynb", modules=["numpy"]
        )

    measure("the continuations of a line", continuations, lines)
    measure(
        "following cells", lambda line: ChosenCells().choose(notebook_index, below[line]).documents, lines
    )
    names = ("np", "pd", "plt", "sns", "Path", "os", "json", "nothing_at_all")
    measure(
        "imports of a name", lambda line: notebook_index.imports(names[len(line.text) % len(names)]), lines
    )
    return lines


def type_line(
    local: LocalPilot, notebook_index: MaintainedIndex, line: Line, above: Sequence[str]
) -> float | None:
    """Type a line until a frame shows it from the index; return the milliseconds to that frame."""
    counters = local.pilot.completer.counters
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
        before, replies, begun = counters["index_matches"], Replies(), time.perf_counter()
        local.pilot.completer.submit(request, replies.listen, notebook_index=notebook_index)
        reply = replies.within(KEY)
        ms = (time.perf_counter() - begun) * 1000
        if counters["index_matches"] > before and reply and reply.items:
            return ms
        time.sleep(max(0.0, KEY - ms / 1000))
    return None


def type_lines(
    notebook_index: MaintainedIndex, lines: Sequence[Line], notebooks: Sequence[Notebook], local: LocalPilot
) -> None:
    """Type lines below the cells of other notebooks; print the time from the request to the frame."""
    draw = random.Random(5)  # noqa: S311 - the same each time
    found = [
        type_line(local, notebook_index, line, [cell.source for cell in draw.choice(notebooks).cells][:ABOVE])
        for line in lines
    ]
    ms = [each for each in found if each is not None]
    print(f"{len(ms)} of {len(found)} lines shown from the index", flush=True)
    if ms:
        print(
            f"from the request to the frame: p50 {statistics.median(ms):.1f} ms, "
            f"p95 {percentile(ms, 0.95):.1f} ms, worst {max(ms):.1f} ms"
        )


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", type=Path, required=True, help="a prepared set, or a folder of notebooks")
    parser.add_argument("--files", type=int, default=1000, help="number of notebooks to index")
    parser.add_argument(
        "--looked-up", type=int, default=5000, help="number of notebooks in the index for lookups"
    )
    parser.add_argument("--lines", type=int, default=100, help="number of lines to type with the model")
    parser.add_argument("--small", action="store_true", help="too few files for meaningful results")
    parser.add_argument("--build", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.small:
        options.files, options.looked_up, options.lines = 20, 20, 2
    if options.build:
        build(options.build, options.files, 1.0 if options.small else REST)
        return
    notebooks = read(options.set)
    sources: list[Notebook] = [*notebooks, *standard_library()]
    with tempfile.TemporaryDirectory() as folder, closing(LocalPilot()) as local:
        os.environ["XDG_DATA_HOME"] = f"{folder}/data"  # separate from the user's own indexes
        if not paths.folder().is_relative_to(folder):
            sys.exit(f"XDG_DATA_HOME has no effect here: indexes would be in {paths.folder()}.")
        root, many = Path(folder) / "built", Path(folder) / "looked up"
        fill(root, sources, options.files, CELLS)
        command = [sys.executable, __file__, "--set", str(options.set), "--build", str(root)]
        command += ["--files", str(options.files), *(["--small"] if options.small else [])]
        subprocess.run(command, check=True)
        fill(many, sources, options.looked_up, FEW)
        with closing(MaintainedIndex(LocalFiles(many))) as notebook_index:
            notebook_index.builder.build_now()
            size = paths.size_of_index(notebook_index.builder.path) / 1e6
            print(f"{notebook_index.builder.progress.files} of them indexed in {size:.1f} MB", flush=True)
        with closing(MaintainedIndex(LocalFiles(many))) as notebook_index:
            lines = look_up(notebook_index)
            long = [line for line in lines if len(line.text) > LONG][: options.lines]
            type_lines(notebook_index, long, notebooks, local)


if __name__ == "__main__":
    main()
