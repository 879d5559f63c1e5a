"""Functions written with those they call, against the model's own continuation with as many tokens.

python benchmarks/hierarchical.py [-m MODEL] [--budget 200] [--way hierarchical] [--way flat]

The tasks are those of tests/data/hierarchical.json. Of what is written four things are counted: whether it
parses, whether each name in it is defined or listed, whether a function was called that was written for it,
and whether the task's checks pass. `flat` is one text behind the stub or the instruction, cut to the longest
part that parses.
"""

from __future__ import annotations

import argparse
import ast
import json
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.completer.waiting import Replies
from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.generation import Sampling
from jupyter_turbopilot.hierarchy.parsing import parsed
from jupyter_turbopilot.raw_request import RawRequest
from jupyter_turbopilot.request import Hierarchy
from jupyter_turbopilot.running import run_program
from jupyter_turbopilot.shell.in_process import InProcess
from jupyter_turbopilot.suggestion.calls import missing_names

if TYPE_CHECKING:
    from collections.abc import Callable

TASKS = Path(__file__).resolve().parent.parent / "tests" / "data" / "hierarchical.json"
PATIENCE = 600.0  # seconds: what is measured is not the machine


@dataclass(frozen=True)
class Written:
    """What was written for a task."""

    source: str
    name: str  # of the first function
    listed: tuple[str, ...] = ()
    helper: bool = False  # whether a function of its own is called
    tokens: int = 0


def hierarchical(local: InProcess, asked: str, name: str, budget: int) -> Written:  # noqa: ARG001
    """Write a function, then those it calls."""
    request = Hierarchy(source=asked, max_tokens=budget, seconds=PATIENCE)
    *events, done = local.hierarchy(request)
    helper = any(event.event == "finished" and event.depth for event in events)
    return Written(done.source, done.name, done.undefined, helper, done.tokens)


def flat(local: InProcess, asked: str, name: str, budget: int) -> Written:
    """Let the model go on behind the stub, or behind the instruction as a comment."""
    stub = asked.startswith("def ")
    prompt = asked if stub else "".join(f"# {line}\n" for line in asked.splitlines()) + f"def {name}("
    replies = Replies()
    local.wait()
    local.pilot.completer.submit(RawRequest(prompt, sampling=Sampling(budget)), replies.listen)
    (item,) = replies.last().items
    lines = (prompt + item.text).split("\n")
    texts = ("\n".join(lines[:count]) for count in range(len(lines), 0, -1))
    source = next((text for text in texts if text.strip() and parsed(text)), "")
    functions = [node for node in parsed(source).body if isinstance(node, ast.FunctionDef)] if source else []
    own = next((node for node in functions if node.name == name), None)
    called = {node.id for node in ast.walk(own) if isinstance(node, ast.Name)} if own else set()
    helper = any(node.name in called for node in functions if node is not own)
    return Written(source, name, (), helper, len(item.tokens))


WAYS: dict[str, Callable[[InProcess, str, str, int], Written]] = {"hierarchical": hierarchical, "flat": flat}


def main() -> None:
    """Write all tasks in each way, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-m", "--model", default="qwen2.5-coder-0.5b")
    parser.add_argument("--budget", type=int, default=200)
    parser.add_argument("--way", action="append", choices=[*WAYS])
    parser.add_argument("--sources", type=Path, help="a folder to put what was written into")
    options = parser.parse_args()
    settings = Turbopilot(model=options.model, keep_sequences=False, learning=False, considerate=False)
    settings.deadline = settings.text_deadline = PATIENCE
    tasks = json.loads(TASKS.read_text("utf-8"))["tasks"]
    local = InProcess(settings)
    print(f"{options.model}, {len(tasks)} tasks, {options.budget} tokens each\n")
    print(
        "| | parses | names defined or listed | defined | calls a function of its own | passes | tokens | s |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for way in options.way or WAYS:
        begun, rows = time.monotonic(), []
        for task in tasks:
            written = WAYS[way](
                local, task.get("stub") or task["instruction"], task["function"], options.budget
            )
            rows.append(judged(task, written))
            print(way, task["name"], rows[-1], file=sys.stderr, flush=True)
            if options.sources:
                options.sources.mkdir(exist_ok=True)
                name = f"{way}_{task['name'].replace('/', '_')}.py"
                (options.sources / name).write_text(written.source, "utf-8")
        counts = [shown([row[at] for row in rows]) for at in range(5)]
        tokens = sum(row[5] for row in rows) / len(rows)
        seconds = (time.monotonic() - begun) / len(rows)
        print(f"| {way} | {' | '.join(counts)} | {tokens:.0f} | {seconds:.1f} |", flush=True)
    local.close()


def judged(task: dict[str, Any], written: Written) -> tuple[bool, bool, bool, bool, bool, int]:
    """Tell what is true of what was written for a task."""
    parses = bool(written.source) and parsed(written.source) is not None
    missing = missing_names(written.source, set()) if parses else ("everything",)
    named = "" if written.name == task["function"] else f"{task['function']} = {written.name}\n"
    passes = parses and run_program(f"{written.source}\n{named}{task['check']}").passed
    return parses, set(missing) <= {*written.listed}, not missing, written.helper, passes, written.tokens


def shown(found: list[bool]) -> str:
    """Word how many there are, with Wilson's interval of 95 of 100."""
    low, high = wilson(sum(found), len(found))
    return f"{sum(found)} of {len(found)} ({low:.2f} to {high:.2f})"


def wilson(count: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """Return between which values a share lies."""
    share = count / of
    middle = share + z * z / (2 * of)
    wide = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return (middle - wide) / (1 + z * z / of), (middle + wide) / (1 + z * z / of)


if __name__ == "__main__":
    main()
