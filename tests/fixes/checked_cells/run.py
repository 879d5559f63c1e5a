"""Check cells in the state of a real shell, and run them.

python -m tests.fixes.checked_cells.run [KIND...]
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import select
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from jupyter_turbopilot.analysis.report import read_report
from jupyter_turbopilot.fixes import check
from jupyter_turbopilot.jupyter.kernels import folders, probe
from jupyter_turbopilot.jupyter.kernels.texts import read_texts
from jupyter_turbopilot.protocol.contract import Finding
from jupyter_turbopilot.protocol.request import CheckRequest, FixCell

from . import Case, Result, is_found, kinds, problem, read

SECONDS = 30  # time limit of a case
LIBRARIES = (
    "pandas", "polars", "matplotlib.pyplot", "scipy.optimize", "sympy", "sklearn.linear_model",
    "sklearn.neighbors", "sklearn.pipeline", "sklearn.model_selection",
)  # fmt: skip


def findings(request: CheckRequest, namespace: dict[str, Any]) -> list[Finding]:
    """Check a cell in a namespace, as the server and the kernel do."""
    prepared = check.prepare(request)
    if prepared is None:
        return []
    shell = InteractiveShell.instance()
    report = probe.report(namespace, prepared.described, prepared.traced, shell)
    read = read_report(json.loads(json.dumps(report)))
    values = [each for each in prepared.readings if each.kind == "values"]
    texts = read_texts(probe.texts(namespace, [[each.kind, each.code] for each in values]), values)
    for each in prepared.readings:
        if each.kind == "files":
            texts[each] = folders.read(read.folder, read.folder_id, each, lambda _: True)
    return check.find(request, prepared, read, texts={each: found for each, found in texts.items() if found})


def run(case: Case) -> Result:
    """Run the cells of a case in the shell; return the findings and the error of the last cell."""
    shell = InteractiveShell.instance()
    shell.reset()
    for name, text in case.files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    if case.files:
        sys.path.insert(0, str(Path.cwd()))
    notebook: list[FixCell] = []
    found: list[Finding] = []
    error = None
    for number, (part, source) in enumerate(case.cells):
        if part == "above":
            notebook.append(FixCell(id=str(number), source=source, execution_count=None))
            continue
        count = shell.execution_count
        if part == "cell":
            notebook.append(FixCell(id=str(number), source=source, execution_count=None, changed=True))
            found = findings(CheckRequest(cells=notebook, active=number), shell.user_ns)
            time.sleep(case.wait)
        result = shell.run_cell(source, store_history=True)
        error = result.error_before_exec or result.error_in_exec
        if part == "setup":
            notebook.append(FixCell(id=str(number), source=source, execution_count=count))
            if error is not None:
                raise error
    return Result(
        findings=[(each.start, each.end, each.message) for each in found],
        error="" if isinstance(error, SystemExit | None) else f"{type(error).__name__}: {error}",
    )


def attempt(case: Case) -> Result:
    """Run a case in a new folder and a new namespace."""
    output = io.StringIO()
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.chdir(stack.enter_context(tempfile.TemporaryDirectory())))
        stack.enter_context(contextlib.redirect_stdout(output))
        stack.enter_context(contextlib.redirect_stderr(output))
        try:
            result = run(case)
        except BaseException as error:  # noqa: BLE001 - the test reports it
            result = Result(broken=repr(error))
    result.output = output.getvalue()[-2000:]
    return result


def isolated(case: Case) -> Result:
    """Run a case in a forked process, so that it changes no library of another."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        answer = msgspec.json.encode(attempt(case))
        with open(writer, "wb") as pipe:  # noqa: PTH123
            pipe.write(answer)
        os._exit(0)
    os.close(writer)
    # A timer in the child would count as code that may run during a cell.
    if not select.select([reader], [], [], SECONDS)[0]:
        os.kill(child, signal.SIGKILL)
    with open(reader, "rb") as pipe:  # noqa: PTH123
        answer = pipe.read()
    os.waitpid(child, 0)
    return msgspec.json.decode(answer, type=Result) if answer else Result(broken="no answer")


def prepare() -> None:
    """Start the shell and import libraries once, before the first fork."""
    os.environ["MPLBACKEND"] = "agg"
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    probe.thread_time = lambda: 0.0  # type: ignore[attr-defined] # no time limit on a busy machine
    # The history would start a thread; tracebacks with source lines take most of the time.
    quick = {"colors": "nocolor", "xmode": "Minimal"}
    InteractiveShell.instance(config=Config(HistoryManager={"enabled": False}, InteractiveShell=quick))
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()


def serve(answer: Callable[[Case], Result]) -> None:
    """Answer cases, one in each line."""
    cases, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # commands in cells read and print, too
    for line in cases:
        answers.write(msgspec.json.encode(answer(msgspec.json.decode(line, type=Case))) + b"\n")
        answers.flush()


def show(chosen: list[str]) -> None:
    """Print the right cells with a finding, the faults that are not found, and a table."""
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for case in (case for kind in chosen for case in read(kind)):
        result = isolated(case)
        is_marked = is_found(case, result) if case.fault else bool(result.findings)
        counts[case.kind][0] += 1
        counts[case.kind][1] += is_marked
        if wrong := problem(case, result):
            print(f"!! {case.kind}: {case.name}: {wrong}\n{result.output}")
        elif is_marked is not bool(case.fault):
            texts = ", ".join(message for _, _, message in result.findings) or "no finding"
            print(f"{case.kind}: {case.name}: {texts}")
    print("\n| kind | cells | with a finding |\n| --- | --- | --- |")
    for kind, (number, marked) in counts.items():
        print(f"| {kind} | {number} | {marked} |")


if __name__ == "__main__":
    prepare()
    match sys.argv[1:]:
        case ["--isolated"]:
            serve(isolated)
        case ["--shared"]:
            serve(attempt)
        case chosen:
            show(chosen or kinds())
