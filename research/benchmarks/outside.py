"""Tasks that other people made: no value of this project was fitted to them or chosen by them.

    python research/benchmarks/outside.py nesevals --set nesevals/inst [--results FILE]
    python research/benchmarks/outside.py infilling --set SingleLineInfilling.jsonl.gz [--sample 100]
    python research/benchmarks/outside.py safim --set block_completion.jsonl.gz [--sample 100]

`nesevals` (github.com/posit-dev/nesevals, MIT): the next edits that only insert text at the cursor. A
completion is exact if the edited region equals the target, as in its `R/grading.R`; the other edits are not
attempted. The session's variables of Python tasks are passed as kernel context. Prints the same share for the
models in its score files. `infilling` (HumanEval-Infilling, MIT) and `safim` (gonglinyuan/safim, commit
231b148, MIT; its Python tasks) run the completed programs, each in a process with limits.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import re
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import LocalPilot
from programs import run_program

from jupyter_turbopilot.analysis.kernel_context import NONE, KernelContext, read_kernel_context
from jupyter_turbopilot.protocol.request import Cell, Completion
from turbopilot_research.evaluate.scoring import bootstrap_interval

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

CURSOR, START, END = "<|user_cursor_is_here|>", "<|editable_region_start|>\n", "<|editable_region_end|>"
HOLE = "{{completion}}"
LANGUAGES = {".py": "python", ".R": "r", ".r": "r"}
SEED = 7  # of the sample
UNUSABLE = "its own solution fails here"  # for instance because it needs a faster Python; not counted

# Runs a program with each input; it may read and write through descriptors.
JUDGE = """
import atexit, contextlib, os, sys
source, tests = {!r}, {!r}
code, keep = compile(source, "task", "exec"), os.dup(1)
for test in tests:
    for name, text in (("in", test["input"]), ("out", "")):
        with open(name, "w") as file:
            file.write(text)
    os.dup2(os.open("in", os.O_RDONLY), 0)
    os.dup2(os.open("out", os.O_WRONLY), 1)
    sys.stdin, sys.stdout = (open(number, mode, closefd=False) for number, mode in ((0, "r"), (1, "w")))
    try:
        exec(code, {{"__name__": "__main__"}})
    except SystemExit:
        pass
    atexit._run_exitfuncs()  # some programs print there
    with contextlib.suppress(ValueError):  # or close their output
        sys.stdout.flush()
    os.dup2(keep, 1)
    with open("out") as file:
        printed = file.read().split()
    assert any(printed == wanted.split() for wanted in test["output"])
"""


@dataclass(frozen=True)
class Task:
    """A text with a cursor, and the text that belongs there."""

    name: str
    before: str
    wanted: str
    after: str
    language: str = "python"
    above: str = ""  # a Markdown cell
    context: KernelContext = NONE
    region: tuple[str, str] = ("", "")  # the compared text before and after the cursor
    tests: list[Any] = field(default_factory=list)
    program: str = ""  # the tests of a function

    def request(self, trigger: str = "invoke", lines: str = "auto") -> Completion:
        """Return the request for the missing text."""
        above = [Cell(source=self.above, type="markdown")] if self.above else []
        return Completion(
            path=f"task.{'py' if self.language == 'python' else 'R'}",
            language=self.language,
            cells=[*above, Cell(source=self.before + self.after)],
            active=len(above),
            offset=len(self.before),
            trigger=trigger,  # type: ignore[arg-type]
            lines=lines,  # type: ignore[arg-type]
        )

    def is_exact(self, text: str) -> bool:
        """Return whether the region equals the target, without the white space around it."""
        first, last = self.region
        return bool(text.strip()) and (first + text + last).strip() == (first + self.wanted + last).strip()

    def passes(self, text: str) -> bool:
        """Return whether the completed program passes its tests."""
        source = f"{self.before}{text}{self.after}"
        program = JUDGE.format(source, self.tests) if self.tests else f"{source}\n{self.program}"
        return run_program(program)


def kernel_context(variables: Iterable[Any]) -> KernelContext:
    """Return the kernel context of a kernel with the listed variables."""
    names: dict[str, Any] = {}
    for variable in variables:
        if not isinstance(variable, dict):
            continue
        kind = re.match(r"[\w.]*", variable.get("type") or "")[0]  # type: ignore[index]
        value = variable.get("value") or ""
        listed = re.findall(r"^\* ([^:\n]+):", value, re.MULTILINE)
        heading = value.partition("\n")[0]
        names[variable["name"]] = {
            "type": kind.rpartition(".")[2],
            "columns": listed if heading == "Columns:" else None,
            "all": heading == "Columns:" and "more" not in value,
            "attributes": listed if heading == "Attributes:" else None,
        }
    return read_kernel_context({"names": names})


def nes_tasks(folder: Path) -> Iterator[tuple[str, Task | None]]:
    """Yield the name of each edit, and its task if it only inserts text at the cursor."""
    for path in sorted((folder / "samples").glob("*.json")):
        sample = json.loads(path.read_text("utf-8"))
        fence, _, text = sample["input"]["excerpt"].partition("\n")
        head, _, rest = text.rpartition("```")[0].partition(START)
        region, _, tail = rest.partition(END)
        target = sample["output"].partition(START)[2].partition(END)[0] or sample["output"]
        first, found, last = region.rstrip("\n").partition(CURSOR)
        target = target.rstrip("\n")
        language = LANGUAGES.get(Path(fence.strip("`")).suffix, "")
        inserts = found and target.startswith(first) and target.endswith(last)
        if not (inserts and language and len(target) > len(first) + len(last)):
            yield path.stem, None
            continue
        wanted = target[len(first) : len(target) - len(last)]
        context = kernel_context(sample["input"]["variables"] or ()) if language == "python" else NONE
        after = f"{last}\n{tail.removeprefix(chr(10))}".rstrip("\n")
        yield path.stem, Task(path.stem, head + first, wanted, after, language, "", context, (first, last))


def cause(task: Task, text: str) -> str:
    """Return why a completion is not exact."""
    wanted, given = task.wanted.strip(), text.strip()
    if not given:
        return "nothing suggested"
    if wanted.startswith(given):
        return "a line is missing" if wanted[len(given) :].startswith("\n") else "cut too early"
    if given.startswith(wanted):
        return "too long"
    labels = [label for frame in task.context.frames.values() for label in frame.columns or ()]
    known = {*re.findall(r"\w+", task.before + task.after), *task.context.names, *labels}
    words = re.findall(r"[^\W\d]\w*", wanted)
    if re.search(r"\w\Z", task.before):
        words = words[1:]  # the rest of a word
    return "another choice of known names" if known.issuperset(words) else "a name is not in the context"


def share(passed: Sequence[bool]) -> str:
    """Return a count, its share and the interval of the share."""
    low, high = bootstrap_interval(passed, lambda sample: sum(sample) / len(sample))
    return f"{sum(passed)} of {len(passed)} ({sum(passed) / len(passed):.2f}; {low:.2f} to {high:.2f})"


class Results:
    """A model's outcomes by way and task, appended to a file, so that an interrupted run continues."""

    def __init__(self, path: Path, model: str) -> None:
        self._path, self._model = path, model
        lines = path.read_text("utf-8").splitlines() if path.exists() else ()
        self.rows: dict[tuple[str, str], dict[str, Any]] = {
            (row["way"], row["task"]): row for row in map(json.loads, lines) if row.get("model") == model
        }

    def add(self, way: str, task: str, **outcome: Any) -> None:
        """Add the outcome of a task."""
        self.rows[way, task] = row = {"model": self._model, "way": way, "task": task, **outcome}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(row)}\n")

    def print(self, *names: str) -> None:
        """Print the shares of each way, and the causes of the misses."""
        for way in sorted({way for way, _ in self.rows}):
            rows = [row for (own, _), row in self.rows.items() if own == way and row["cause"] != UNUSABLE]
            shares = ", ".join(f"{share([row[name] for row in rows])} {name}" for name in names)
            print(f"{way}: {shares}. {dict(Counter(row['cause'] for row in rows if row['cause']))}")


def nesevals(options: argparse.Namespace, local: LocalPilot, results: Results) -> None:
    """Complete the insertions, on request and automatically, with and without the session's variables."""
    everything = dict(nes_tasks(options.set))
    tasks = [task for task in everything.values() if task]
    print(f"{len(everything)} edits, {len(everything) - len(tasks)} not attempted", flush=True)
    for trigger, variables in product(("invoke", "automatic"), (True, False)):
        local.pilot.completer.results.clear()
        for task in tasks:
            way = f"{task.language}, {trigger}, {'with' if variables else 'without'} variables"
            if (way, task.name) in results.rows or (variables and task.context is NONE):
                continue
            reply = local.last(task.request(trigger), task.context if variables else NONE)
            text = reply.items[0].text if reply.items else ""
            exact = task.is_exact(text)
            outcome = {"exact": exact, "shown": bool(text), "cause": "" if exact else cause(task, text)}
            texts = {"before": task.before[-60:], "wanted": task.wanted, "text": text}
            results.add(way, task.name, **outcome, **texts, ms=reply.timings.total_ms)
    results.print("exact", "shown")
    for path in sorted((options.set / "results" / "scores").glob("*.json")):
        rows = json.loads(path.read_text("utf-8"))
        shares = []
        for language in ("python", "r"):
            names = {task.name for task in tasks if task.language == language}
            exact = [bool(row["exact_match"]) for row in rows if row["sample_id"] in names]
            shares.append(f"{language} {sum(exact) / max(1, len(exact)):.2f} of {len(exact)}")
        print(f"{path.stem}: {', '.join(shares)}")


def infilling_tasks(path: Path) -> Iterator[Task]:
    """Yield HumanEval-Infilling's tasks. The cursor of a missing line is after its indentation."""
    for raw in map(json.loads, gzip.decompress(path.read_bytes()).decode().splitlines()):
        before, wanted, after = raw["prompt"], raw["canonical_solution"], raw["suffix"]
        program = f"{raw['test']}\ncheck({raw['entry_point']})\n"
        if "SingleLine" in raw["task_id"]:
            indentation = wanted[: len(wanted) - len(wanted.lstrip())]
            before, wanted, after = before + indentation, wanted.strip(), f"\n{after}"
        yield Task(raw["task_id"], before, wanted, after, program=program)


def safim_tasks(path: Path) -> Iterator[Task]:
    """Yield SAFIM's Python tasks. The description of the problem is a Markdown cell."""
    for raw in map(json.loads, gzip.decompress(path.read_bytes()).decode().splitlines()):
        if raw["lang"] != "python":
            continue
        before, _, after = raw["eval_prompt"].replace("\r\n", "\n").partition(HOLE)
        above = raw["prompt"].partition("\n\nCode:\n")[0].partition("\n\n")[2] if raw["unit_tests"] else ""
        tests = [{**test, "output": [*test["output"]]} for test in raw["unit_tests"]]
        wanted = raw["ground_truth"].replace("\r\n", "\n")
        yield Task(raw["task_id"], before, wanted, after, above=above, tests=tests)


def programs(options: argparse.Namespace, local: LocalPilot, results: Results) -> None:
    """Complete programs on request and run them."""
    tasks = [*(infilling_tasks if options.what == "infilling" else safim_tasks)(options.set)]
    random.Random(SEED).shuffle(tasks)  # noqa: S311 - a reproducible choice
    way = options.set.name.partition(".")[0]
    lines = "single" if "SingleLine" in way else "auto"
    for task in tasks[: options.sample or None]:
        if (way, task.name) in results.rows:
            continue
        runs = bool(task.tests or task.program)
        reply = local.last(task.request(lines=lines))
        text = reply.items[0].text if reply.items else ""
        exact = "".join(text.split()) == "".join(task.wanted.split())
        passed = bool(text) and (task.passes(text) if runs else exact)
        why = "" if passed else cause(task, text)
        if runs and not passed and not task.passes(task.wanted):
            why = UNUSABLE
        results.add(way, task.name, exact=exact, passed=passed, cause=why, wanted=task.wanted, text=text)
    results.print("exact", "passed")


def main() -> None:
    """Run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["nesevals", "infilling", "safim"])
    parser.add_argument("--set", type=Path, required=True)
    parser.add_argument("--sample", type=int, default=0, help="number of tasks, at random; 0: all")
    parser.add_argument(
        "--results", type=Path, default=Path("outside.jsonl"), help="the file of outcomes; a run continues it"
    )
    parser.add_argument("--model")
    options = parser.parse_args()
    settings = {"model": options.model} if options.model else {}
    with closing(LocalPilot(deadline=300.0, **settings)) as local:
        results = Results(options.results, local.pilot.settings.model)
        (nesevals if options.what == "nesevals" else programs)(options, local, results)


if __name__ == "__main__":
    main()
