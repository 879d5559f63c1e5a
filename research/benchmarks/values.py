"""The characters of notebooks that a kernel or a folder could supply: values, labels, keys, files, headers.

    python research/benchmarks/values.py SOURCE … [--places OUT.json] [--seconds 30]

A source is a prepared set, or a folder of notebooks, which may read the files in it. The script runs the
cells of each notebook in order, in a copy of the folder, and looks at the names before each cell. The
interpreter needs IPython and what the notebooks import. A place is the text in quotes of something that
exists; its candidates follow the rules for suggestions. The table has, by kind, the places, their characters,
their share of all characters of code, the places with known candidates and with the text among them; then,
for 0, 1 and 2 typed characters, how often one candidate is left and is right, and how often several have a
common beginning that is worth showing and is right. `saved` are the characters that are left when the first
of these is right, from the first character typed. `file header` are columns of a file that the cell itself
reads, `header, nothing run` those of files that cells above read. `--places` writes notebooks, folders and
places.
"""

from __future__ import annotations

import argparse
import ast
import json
import multiprocessing
import os
import re
import shutil
import signal
import sys
import tempfile
from collections import Counter, defaultdict
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from value_places import TODAY, Cell, Place

from turbopilot_research.evaluate.notebooks import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from multiprocessing.connection import Connection

    from turbopilot_research.evaluate.notebooks import TypedNotebook

BEGINNING = 4  # characters of a common beginning that are worth showing
TYPED = (0, 1, 2)
NOT_NEW = (TODAY, "header, nothing run", "subscript of an unknown name")  # not in the sum


def merged(before: Iterable[Place], after: Iterable[Place]) -> list[Place]:
    """Return the places before a cell runs, and those of names that only the cell assigns as unknown."""
    found = {(place.start, place.kind): place for place in before}
    known = {place.start for place in found.values() if not place.unknown}
    for place in after:
        if place.start not in known and not place.unknown:
            found = {key: one for key, one in found.items() if key[0] != place.start}
            found[place.start, place.kind] = replace(
                place, candidates=(), lost="", unknown="assigned in the cell"
            )
    return [*found.values()]


def run(cells: list[tuple[str, str]], folder: str, seconds: int, answer: Connection) -> None:
    """Run the cells of a notebook; send the number, the success and the places of each."""
    os.chdir(folder)
    os.environ["MPLBACKEND"] = "Agg"
    from IPython.core.interactiveshell import InteractiveShell

    def late(*_: object) -> None:
        raise TimeoutError

    shell: Any = InteractiveShell.instance(colors="nocolor")
    shell.system = shell.system_raw = shell.getoutput = shell.enable_gui = lambda *_, **__: []
    sys.path.insert(0, folder)
    signal.signal(signal.SIGALRM, late)
    above: dict[str, list[str]] = {}
    with Path(os.devnull).open("w", encoding="utf-8") as none, redirect_stdout(none), redirect_stderr(none):
        for number, (kind, source) in enumerate(cells):
            if kind != "code" or not source.strip():
                continue
            cell, ran = Cell(source, dict(shell.user_ns), above), False
            places = [*cell.places()]
            if not re.match(r"\s*%%(?!time|capture)", source):
                signal.alarm(seconds)
                with suppress(BaseException):
                    # A statement that another version of a library refuses does not stop those after it.
                    code = shell.transform_cell(source)
                    parts = [ast.get_source_segment(code, one) for one in ast.parse(code).body]
                    ran = not [part for part in parts if not shell.run_cell(part).success]
                signal.alarm(0)
            answer.send((number, ran, merged(places, Cell(source, shell.user_ns, above).places())))
            above |= cell.reads
    answer.send(None)


def places_in(notebook: TypedNotebook, folder: str, seconds: int) -> Iterator[tuple[int, bool, list[Place]]]:
    """Run a notebook in a new process; yield its code cells until one does not return."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    cells = [(cell.type, cell.source) for cell in notebook.cells]
    process = context.Process(target=run, args=(cells, folder, seconds, sender), daemon=True)
    process.start()
    sender.close()
    with suppress(EOFError):
        while receiver.poll(2 * seconds) and (found := receiver.recv()):
            yield found
    process.kill()
    process.join()


def counted(places: Iterable[Place]) -> dict[str, Counter[str]]:
    """Return the counts of places by kind."""
    table: dict[str, Counter[str]] = defaultdict(Counter)
    for place in places:
        row, length, saved = table[place.kind], len(place.text), 0
        row.update({"places": 1, "chars": length, "known": int(not place.unknown)})
        reason = (
            f"unknown: {place.unknown}" if place.unknown else f"lost: {place.lost}" if place.lost else "in"
        )
        row[reason] += 1
        for typed in range(length):
            fitting, common = place.fitting(typed), place.common(typed)
            one = len(fitting) == 1
            begins = not one and len(common) >= BEGINNING
            is_right = fitting == [place.text] if one else place.text.startswith(common, typed)
            if typed in TYPED:
                row.update({f"one {typed}": one, f"right {typed}": one and is_right})
                row.update({f"begin {typed}": begins, f"begin right {typed}": begins and is_right})
            if is_right and ((one and typed) or begins):
                saved = max(saved, len(common))
        row["saved"] += saved
    return table


def show(table: Mapping[str, Counter[str]], characters: int) -> None:
    """Print the counts by kind, and why texts are unknown or not among the candidates."""
    columns = ["places", "chars", "share", "known", "in"]
    columns += [f"{name} {typed}" for typed in TYPED for name in ("one", "right")]
    columns += [f"{name} {typed}" for typed in TYPED for name in ("begin", "begin right")] + ["saved"]
    total = Counter[str]()
    for kind, row in table.items():
        if kind not in NOT_NEW:
            total.update(row)
    print("| kind |", *(f"{name} |" for name in columns))
    print("|---|" + "---|" * len(columns))
    for kind, row in [*sorted(table.items()), ("all new", total)]:
        share = f"{row['chars'] / max(1, characters):.2%}"
        print(f"| {kind} |", *(f"{share if name == 'share' else row[name]} |" for name in columns))
    for kind, row in [*sorted(table.items()), ("all new", total)]:
        print(f"{kind}:", {name: n for name, n in row.items() if name.startswith(("unknown", "lost"))})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sources", type=Path, nargs="+")
    parser.add_argument("--places", type=Path)
    parser.add_argument("--seconds", type=int, default=30, help="at most, for one cell")
    options = parser.parse_args()
    notebooks, places = list[dict[str, Any]](), list[dict[str, Any]]()
    every, characters = list[Place](), 0
    for source in options.sources:
        found, typed, ran = list[Place](), 0, Counter[bool]()
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
            is_folder = source.is_dir()
            if is_folder:
                ignored = shutil.ignore_patterns(".git", ".ipynb_checkpoints")
                shutil.copytree(source, scratch, dirs_exist_ok=True, ignore=ignored)
            for notebook in read(Path(scratch) if is_folder else source):
                below = Path(notebook.name).parent if is_folder else Path()
                typed += sum(len(cell.source) for cell in notebook.cells if cell.type == "code")
                for number, success, new in places_in(notebook, str(scratch / below), options.seconds):
                    ran[success] += 1
                    found += new
                    places += [{"notebook": len(notebooks), "cell": number, **asdict(place)} for place in new]
                folder = str((source / below).resolve()) if is_folder else None
                cells = [asdict(cell) for cell in notebook.cells]
                notebooks.append({"name": notebook.name, "folder": folder, "cells": cells})
        print(f"\n{source.name}: {typed} characters, cells run {ran[True]}, failed {ran[False]}", flush=True)
        show(counted(found), typed)
        every, characters = every + found, characters + typed
        if options.places:
            options.places.write_text(json.dumps({"notebooks": notebooks, "places": places}), "utf-8")
    print(f"\nall: {characters} characters")
    show(counted(every), characters)


if __name__ == "__main__":
    main()
