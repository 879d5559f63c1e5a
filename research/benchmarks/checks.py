"""How often a check before the execution of a cell is right, in real notebooks with real kernels.

python research/benchmarks/checks.py FOLDER... --kernel NAME [--faults 0.3] [--seconds 60] [--log FILE]

Each cell is checked in the state of the kernel before its run. A finding in a cell that then runs without an
error is wrong. Faults are those of `fixes.py`: one counts if the broken cell raises the expected error. It is
found if a finding is at it; a correction is right if it restores the cell.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fixes import ERRORS, Kernel, Notebook, State, Typist, misspelled, parses, same, server_without_model
from harness import JupyterServer, percentile

from jupyter_turbopilot.protocol.errors import BadRequestError
from turbopilot_research.evaluate.notebooks import TypedNotebook, read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

KINDS = ("name", "column", "attribute", "keyword")
# The errors that a check may find.
EXPECTED = re.compile(r"NameError|AttributeError|KeyError|TypeError: .*unexpected keyword")


class CheckedNotebook(Notebook):
    """A notebook whose cells are checked before they run."""

    def __init__(
        self,
        server: JupyterServer,
        kernel: Kernel,
        notebook: TypedNotebook,
        typist: Typist,
        rng: random.Random,
    ) -> None:
        super().__init__(server, kernel, notebook)
        self._typist, self._rng = typist, rng
        self.times: list[float] = []

    def check(self, number: int, source: str) -> list[dict[str, Any]]:
        """Return the findings in a cell."""
        cells = [{"source": each, "execution_count": self.counts[n]} for n, each in enumerate(self.sources)]
        cells[number] |= {"source": source, "changed": True}
        body = {"path": self._kernel.path, "kernel_id": self._kernel.id, "cells": cells, "active": number}
        begun = time.perf_counter()
        found: list[dict[str, Any]] = self._server.parsed("POST", "turbopilot/check", body)["findings"]
        self.times.append((time.perf_counter() - begun) * 1000)
        return found

    def faults(self, number: int) -> Iterator[dict[str, Any]]:
        """Break a cell in each way, and yield the cases that raise their errors, with the findings."""
        source, look = self.sources[number], self.look()
        made = misspelled(State(self.sources[: number + 1], number, look, self._typist, set(), set()))
        cases = {case.kind: case for case in sorted(made, key=lambda _: self._rng.random())}
        for case in (cases[kind] for kind in KINDS if kind in cases and parses(cases[kind].source)):
            findings = self.check(number, case.source)
            _, error = self._kernel.run(case.source)
            text = f"{error['name']}: {error['message']}" if error else ""
            if re.match(ERRORS[case.kind], text) and case.word in text and error:
                pairs = enumerate(zip(f"{source}\0", f"{case.source}\0", strict=False))
                start = next(n for n, (one, other) in pairs if one != other)
                found = [each for each in findings if each["start"] <= start <= each["end"]]
                fixed = case.source
                for edit in (edit for each in found[:1] for fix in each["fixes"] for edit in fix["edits"]):
                    fixed = fixed[: edit["start"]] + edit["text"] + fixed[edit["end"] :]
                corrected = fixed != case.source
                is_right = corrected and same(fixed, source)
                yield {"kind": case.kind, "found": bool(found), "corrected": corrected, "right": is_right,
                       "source": case.source, "error": text}  # fmt: skip
            self._kernel.evaluate(f"restore(space, {look['names']!r}, {look['cwd']!r})")


def measured(
    notebook: CheckedNotebook, options: argparse.Namespace, rng: random.Random
) -> Iterator[dict[str, Any]]:
    """Run a notebook, and yield a record for each cell and each fault."""
    begun = time.monotonic()
    for number, source in enumerate(notebook.sources):
        if time.monotonic() - begun > options.seconds:
            return
        findings = notebook.check(number, source)
        is_broken = number and rng.random() < options.faults and parses(source)
        cases = [*notebook.faults(number)] if is_broken else []
        error = notebook.run(number)
        text = f"{error['name']}: {error['message']}"[:200] if error else ""
        kind = "natural" if EXPECTED.match(text) else "other error" if error else "clean"
        yield {"kind": kind, "found": bool(findings), "cell": number, "findings": findings, "error": text}
        yield from () if error else cases


def table(records: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of the report as Markdown."""
    yield "| cells | number | with a finding | corrected | right |\n| --- | --- | --- | --- | --- |"
    for kind in ("clean", "natural", *KINDS):
        some = [each for each in records if each["kind"] == kind]
        counts = Counter(name for each in some for name in ("found", "corrected", "right") if each.get(name))
        yield f"| {kind} | {len(some)} | {counts['found']} | {counts['corrected']} | {counts['right']} |"


def main() -> None:
    """Measure, and print the counts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--kernel", default="python3")
    parser.add_argument("--faults", type=float, default=0.3, help="share of the cells that are also broken")
    parser.add_argument("--seconds", type=float, default=60.0, help="time limit of a notebook")
    parser.add_argument("--log", type=Path, default=Path("/dev/null"))
    options = parser.parse_args()
    rng, records, times = random.Random(1), list[dict[str, Any]](), list[float]()  # noqa: S311
    typist = Typist(rng)
    with ExitStack() as stack:
        log = stack.enter_context(options.log.open("a"))
        server = stack.enter_context(server_without_model())
        paths = [path for folder in options.folders for path in sorted(folder.rglob("*.ipynb"))]
        for order, path in enumerate(paths):
            kernel = Kernel(server, options.kernel, f"{order}.ipynb")
            kernel.client.execute(f"__import__('os').chdir({str(path.parent)!r})", silent=True)
            try:
                notebook = CheckedNotebook(server, kernel, read(path)[0], typist, rng)
                for record in measured(notebook, options, rng):
                    records.append(record)
                    print(json.dumps({"path": str(path), **record}), file=log, flush=True)
                times += notebook.times
            except (TimeoutError, BadRequestError) as error:
                print(f"{path}: {error}")
            finally:
                kernel.close()
    print("\n".join(table(records)))
    print(f"\nRequest to answer: p50 {percentile(times, 0.5):.0f} ms, p95 {percentile(times, 0.95):.0f} ms")


if __name__ == "__main__":
    main()
