"""Check cells in the state of a real shell, and run them.

python -m tests.fixes.checked_cells.run [KIND...] [--all]    prints a table, and the cells that fail
python -m tests.fixes.checked_cells.run --serve              reads cases as JSON, and writes what they gave
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Any

from jupyter_turbopilot.fixes import check
from jupyter_turbopilot.fixes.report import read_report
from jupyter_turbopilot.jupyter.kernels import probe
from jupyter_turbopilot.protocol.contract import Finding
from jupyter_turbopilot.protocol.request import CheckRequest, FixCell

from . import Case, kinds, read

SECONDS = 30  # time limit of a case
LIBRARIES = (
    "IPython.core.interactiveshell", "pandas", "polars", "matplotlib.pyplot", "scipy.optimize", "sympy",
    "sklearn.linear_model", "sklearn.neighbors", "sklearn.pipeline", "sklearn.model_selection",
)  # fmt: skip


def findings(request: CheckRequest, namespace: dict[str, Any]) -> list[Finding]:
    """Check a cell in a namespace, as the server and the kernel do."""
    prepared = check.prepare(request)
    if prepared is None:
        return []
    parsed, wanted = prepared
    report = probe.report(namespace, wanted, is_check=True)
    return check.find(request, parsed, read_report(json.loads(json.dumps(report))))


def run(case: Case) -> dict[str, Any]:
    """Run the cells of a case in a new shell; return the findings and the error of the last cell."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config(HistoryManager={"enabled": False}, InteractiveShell={"colors": "nocolor"})
    shell = InteractiveShell.instance(config=config)
    probe.thread_time = lambda: 0.0  # type: ignore[attr-defined]
    for name, text in case.files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
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
    return {
        "findings": [[each.start, each.end, each.message] for each in found],
        "corrections": [[each.start, fix.edits[0].text] for each in found for fix in each.fixes],
        "error": None if isinstance(error, SystemExit | None) else f"{type(error).__name__}: {error}",
    }


def isolated(case: Case) -> dict[str, Any]:
    """Run a case in a forked process, so that it changes no library of another."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        signal.alarm(SECONDS)
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            try:
                result = run(case)
            except BaseException as error:  # noqa: BLE001 - the parent reports it
                result = {"findings": [], "corrections": [], "error": None, "broken": repr(error)}
        result["output"] = output.getvalue()[-2000:]
        with open(writer, "w") as pipe:  # noqa: PTH123
            json.dump(result, pipe)
        os._exit(0)
    os.close(writer)
    with open(reader) as pipe:  # noqa: PTH123
        text = pipe.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else {"findings": [], "corrections": [], "error": None, "broken": "no answer"}


def in_new_folder(case: Case) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        return isolated(case)


def import_libraries() -> None:
    """Import libraries once, before the first fork; some cases omit those that are not installed."""
    os.environ["MPLBACKEND"] = "agg"
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    for name in LIBRARIES:
        with contextlib.suppress(ImportError):
            __import__(name)


def is_found(case: Case, result: dict[str, Any]) -> bool:
    """Return whether a finding is at the wrong word, or names it."""
    return any(f"`{case.fault}`" in message for _, _, message in result["findings"])


def problem(case: Case, result: dict[str, Any]) -> str:
    """Return what is wrong with the case itself; empty if nothing is."""
    if "broken" in result:
        return f"the case is broken: {result['broken']}"
    if case.fault is None:
        return f"the cell must end without an error: {result['error']}" if result["error"] else ""
    is_expected = case.fault in (result["error"] or "")
    return "" if is_expected else f"the cell must fail with {case.fault!r}: {result['error']}"


def serve() -> None:
    import_libraries()
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        case = Case(**json.loads(line))
        answers.write(json.dumps(in_new_folder(case)) + "\n")
        answers.flush()


def main() -> None:
    chosen = [each for each in sys.argv[1:] if not each.startswith("--")]
    import_libraries()
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for case in (case for kind in chosen or kinds() for case in read(kind)):
        result = in_new_folder(case)
        counts[case.kind][0] += 1
        marked = is_found(case, result) if case.fault else bool(result["findings"])
        counts[case.kind][1] += marked
        if wrong := problem(case, result):
            print(f"!! {case.kind}: {case.name}: {wrong}\n{result.get('output', '')}")
        elif marked is not bool(case.fault):
            texts = ", ".join(message for _, _, message in result["findings"]) or "no finding"
            print(f"{case.kind}: {case.name}: {texts}")
    print("\n| kind | cells | with a finding |\n| --- | --- | --- |")
    for kind, (number, marked) in counts.items():
        print(f"| {kind} | {number} | {marked} |")


if __name__ == "__main__":
    serve() if "--serve" in sys.argv else main()
