"""Cells that are checked before they run, as text files: one for each kind.

A line `== NAME` begins a case, and lines that begin with `--` its parts:

-- setup            a cell that has run; a case may have several
-- above            a cell above that has not run
-- cell             the cell that is checked, and then run
-- file NAME        a file in the working folder
-- needs MODULE     a library without which the case is omitted
-- wait SECONDS     between the check and the run
-- fault WORD       the wrong word, which the error of the cell contains; without it, the cell must end without an error
-- silent WORD      the wrong word of a cell that ends without an error

Cells before the first case are those of all cases in the file, and stand before their own.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import msgspec

FOLDER = Path(__file__).parent


@dataclass
class Case:
    """A cell that is checked, with what it needs."""

    kind: str
    name: str
    cells: list[tuple[str, str]] = field(default_factory=list)  # (part, source) in the order of the notebook
    files: dict[str, str] = field(default_factory=dict)
    needs: list[str] = field(default_factory=list)
    wait: float = 0.0
    fault: str | None = None
    is_silent: bool = False


@dataclass
class Result:
    """The findings in a cell, as (start, end, message), and the error of its run."""

    findings: list[tuple[int, int, str]] = field(default_factory=list)
    error: str = ""
    broken: str = ""  # the error of a cell before it, or of the check
    output: str = ""


class Shells:
    """A process that runs cases without the threads of the tests. `isolated`: each in a forked process."""

    def __init__(self, *, isolated: bool = True) -> None:
        self._option = "--isolated" if isolated else "--shared"

    def __enter__(self) -> Self:
        command = [sys.executable, "-m", f"{__name__}.run", self._option]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self._process = subprocess.Popen(command, cwd=FOLDER.parents[2], **pipes)
        return self

    def __exit__(self, *_: object) -> None:
        with self._process:
            self._process.stdin.close()

    def run(self, case: Case) -> Result:
        self._process.stdin.write(msgspec.json.encode(case) + b"\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, f"the process ended in {case.cells[-1][1]!r}"
        return msgspec.json.decode(answer, type=Result)


def is_found(case: Case, result: Result) -> bool:
    """Return whether a finding names the wrong word."""
    return any(f"`{case.fault}`" in message for _, _, message in result.findings)


def problem(case: Case, result: Result) -> str:
    """Return what is wrong with the case itself; empty if nothing is."""
    if result.broken:
        return f"it is broken: {result.broken}"
    if case.fault is None or case.is_silent:
        return f"it must end without an error, not with {result.error}" if result.error else ""
    return "" if case.fault in result.error else f"it must fail with {case.fault}, not with {result.error!r}"


def kinds() -> list[str]:
    return sorted(each.stem for each in FOLDER.glob("*.txt"))


def read(kind: str) -> list[Case]:
    """Return the cases of a kind whose libraries are installed."""
    cases = [common := Case(kind, "")]
    add = None
    lines: list[str] = []

    def end() -> None:
        if add:
            add("\n".join(lines).strip("\n"))
        lines.clear()

    for line in (FOLDER / f"{kind}.txt").read_text().splitlines():
        case = cases[-1]
        match line.split():
            case ["==", *words]:
                end()
                add = None
                cases.append(Case(kind, " ".join(words), [*common.cells], {**common.files}, [*common.needs]))
            case ["--", ("setup" | "above" | "cell") as part]:
                end()
                add = lambda text, case=case, part=part: case.cells.append((part, text))  # noqa: E731
            case ["--", "file", name]:
                end()
                add = lambda text, case=case, name=name: case.files.__setitem__(name, text + "\n")  # noqa: E731
            case ["--", "needs", module]:
                case.needs.append(module)
            case ["--", "wait", seconds]:
                case.wait = float(seconds)
            case ["--", ("fault" | "silent") as part, word]:
                case.fault, case.is_silent = word, part == "silent"
            case _:
                lines.append(line)
    end()
    for case in cases[1:]:
        assert [part for part, _ in case.cells].index("cell") == len(case.cells) - 1, case.name
    return [case for case in cases[1:] if all(map(importlib.util.find_spec, case.needs))]
