"""How often a check before the execution of a cell is right, in real notebooks with real kernels.

python research/benchmarks/checks.py FOLDER... --kernel NAME [--faults 0.3] [--seconds 60] [--log FILE]
python research/benchmarks/checks.py --cells KIND... (those of `tests/fixes/checked_cells`, a kernel for each)

Each cell is checked in the state of the kernel before its run. A finding in a cell that then runs without an
error is wrong. Faults are those of `fixes.py`: one counts if the broken cell raises the expected error. It is
found if a finding is at it; a correction is right if it restores the cell.

A misspelled column, keyword argument or attribute is *decidable* before the run if the object that lacks it
exists then, has the right one, and is closed. The object is a dotted name, with string keys, whose first name
the cell does not bind before. Closed are tables, dictionaries, functions whose signature has no `**`, modules
without `__getattr__`, and other objects whose class has no `__getattr__` and no `__getattribute__` written in
Python. It does not matter that the cell may change the object, or may not execute the code, as in a function.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import json
import random
import re
import sys
import time
from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from fixes import ERRORS, Kernel, Notebook, State, Typist, misspelled, parses, same, server_without_model
from harness import JupyterServer, percentile

from jupyter_turbopilot.analysis.parsed_cell import expression_of
from jupyter_turbopilot.protocol.errors import BadRequestError
from turbopilot_research.evaluate.notebooks import TypedNotebook, read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

KINDS = ("name", "column", "attribute", "keyword")
# The errors that a check may find.
EXPECTED = re.compile(r"NameError|AttributeError|KeyError|TypeError: .*unexpected keyword")
# Runs in the kernel: whether an object exists, has a part and is closed.
CLOSED = """
import inspect, types
def closed(space, kind, expression, name):
    try:
        value = eval(expression, space)
        if kind == "keyword":
            parameters = inspect.signature(value).parameters
            return name in parameters and all(each.kind != each.VAR_KEYWORD for each in parameters.values())
        if kind == "column":
            return (type(value) is dict or type(value).__name__ == "DataFrame") and name in value
        if not hasattr(value, name):
            return False
    except Exception:
        return False
    if isinstance(value, types.ModuleType):
        return "__getattr__" not in vars(value)
    own = [vars(each) for each in type(value).__mro__]
    computing = ["__getattr__" in each or inspect.isfunction(each.get("__getattribute__")) for each in own]
    return type(value).__name__ == "DataFrame" or not any(computing)
"""


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
            pairs = enumerate(zip(f"{source}\0", f"{case.source}\0", strict=False))
            start = next(n for n, (one, other) in pairs if one != other)
            is_decidable = case.kind != "name" and self._is_decidable(case.kind, source, start)
            _, error = self._kernel.run(case.source)
            text = f"{error['name']}: {error['message']}" if error else ""
            if re.match(ERRORS[case.kind], text) and case.word in text and error:
                found = [each for each in findings if each["start"] <= start <= each["end"]]
                fixed = case.source
                for edit in (edit for each in found[:1] for fix in each["fixes"] for edit in fix["edits"]):
                    fixed = fixed[: edit["start"]] + edit["text"] + fixed[edit["end"] :]
                corrected = fixed != case.source
                is_right = corrected and same(fixed, source)
                yield {"kind": case.kind, "found": bool(found), "corrected": corrected, "right": is_right,
                       "decidable": is_decidable, "source": case.source, "error": text}  # fmt: skip
            self._kernel.evaluate(f"restore(space, {look['names']!r}, {look['cwd']!r})")

    def _is_decidable(self, kind: str, source: str, start: int) -> bool:
        """Return whether the kernel has the closed object of which a part of a cell is misspelled."""
        part = misspelled_part(source, kind, start)
        if part is None:
            return False
        expression, name = part
        call = f"scope['closed'](space, {kind!r}, {expression!r}, {name!r})"
        return bool(self._kernel.evaluate(f"(lambda scope: [exec({CLOSED!r}, scope), {call}][1])({{}})"))


def misspelled_part(source: str, kind: str, start: int) -> tuple[str, str] | None:
    """Return the object that a column, keyword argument or attribute belongs to, and its name."""
    tree = ast.parse(source)
    lines = [0]
    for line in source.split("\n"):
        lines.append(lines[-1] + len(line.encode()) + 1)
    at = len(source[:start].encode())
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node, parent in parents.items():
        if not isinstance(node, ast.Attribute | ast.keyword | ast.Constant):
            continue
        begin = lines[node.lineno - 1] + node.col_offset
        end = lines[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        owner: ast.expr | None = None
        match kind, node:
            case "attribute", ast.Attribute(attr=name) if end - len(name.encode()) <= at < end:
                owner = node.value
            case "keyword", ast.keyword(arg=str(name)) if begin <= at < begin + len(name.encode()):
                owner = getattr(parent, "func", None)
            case "column", ast.Constant(value=str(name)) if begin <= at < end:
                owner = _table(parents, node)
        expression = expression_of(owner) if owner else None
        if expression and re.split(r"\W", expression)[0] not in _bound_before(tree, parents, node):
            return expression, name
    return None


def _table(parents: dict[ast.AST, ast.AST], node: ast.AST) -> ast.expr | None:
    """Return the object in which a string is looked up, or whose method gets it."""
    while parent := parents.get(node):
        match parent:
            case ast.Subscript(value=ast.Attribute(value=value, attr="loc" | "at")) if node is parent.slice:
                return value
            case ast.Subscript(value=value) if node is parent.slice:
                return value
            case ast.Call(func=ast.Attribute(value=value)) if node is not parent.func:
                return value
            case ast.Call() | ast.stmt():
                return None
        node = parent
    return None


def _bound_before(tree: ast.Module, parents: dict[ast.AST, ast.AST], node: ast.AST) -> set[str]:
    """Return the names that a cell binds in its statements before a node, or in the statement around it."""
    statement = node
    while parents[statement] is not tree:
        statement = parents[statement]
    before = tree.body[: tree.body.index(statement)]  # type: ignore[arg-type]
    # The value of an assignment is evaluated first.
    before += [statement.value] if isinstance(statement, ast.Assign) else [statement]  # type: ignore[list-item]
    found: set[str] = set()
    for each in (inner for one in before for inner in ast.walk(one)):
        match each:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                found.add(name)
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.alias():
                found.add((each.asname or each.name).partition(".")[0])
    return found


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


def run_cells(server: JupyterServer, name: str, kind: str) -> Iterator[str]:
    """Check the cells of a kind through the route, and run them; yield the unexpected, and the counts."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    cells = importlib.import_module("tests.fixes.checked_cells")
    number = marked = 0
    for case in cells.read(kind):
        with TemporaryDirectory() as folder, closing(Kernel(server, name, f"{kind}.ipynb")) as kernel:
            for file, text in case.files.items():
                Path(folder, file).parent.mkdir(parents=True, exist_ok=True)
                Path(folder, file).write_text(text)
            kernel.client.execute(f"__import__('os').chdir({folder!r})", silent=True)
            notebook: list[dict[str, Any]] = []
            result = cells.Result()
            for part, source in case.cells:
                notebook.append({"source": source, "execution_count": None, "changed": part == "cell"})
                if part == "cell":
                    body = {"path": kernel.path, "kernel_id": kernel.id, "cells": notebook}
                    body["active"] = len(notebook) - 1
                    found = server.parsed("POST", "turbopilot/check", body)["findings"]
                    result.findings = [(each["start"], each["end"], each["message"]) for each in found]
                count, error = kernel.run(source) if part != "above" else (None, None)
                notebook[-1]["execution_count"] = count
                text = f"{error['name']}: {error['message']}" if error else ""
                result.broken = result.broken or (text if part == "setup" else "")
                result.error = text if error and error["name"] != "SystemExit" else ""
        is_marked = cells.is_found(case, result) if case.fault else bool(result.findings)
        number, marked = number + 1, marked + is_marked
        wrong = cells.problem(case, result)
        if wrong or is_marked is not bool(case.fault):
            yield f"{kind}: {case.name}: {wrong or result.findings or 'no finding'}"
    yield f"| {kind} | {number} | {marked} |"


def table(records: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of the report as Markdown."""
    yield "| cells | number | with a finding | corrected | right |\n| --- | --- | --- | --- | --- |"
    decidable = [each | {"kind": f"decidable {each['kind']}"} for each in records if each.get("decidable")]
    for kind in ("clean", "natural", *KINDS, *(f"decidable {kind}" for kind in KINDS[1:])):
        some = [each for each in (*records, *decidable) if each["kind"] == kind]
        counts = Counter(name for each in some for name in ("found", "corrected", "right") if each.get(name))
        yield f"| {kind} | {len(some)} | {counts['found']} | {counts['corrected']} | {counts['right']} |"


def main() -> None:
    """Measure, and print the counts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("folders", type=Path, nargs="*")
    parser.add_argument("--cells", nargs="+", default=(), metavar="KIND")
    parser.add_argument("--kernel", default="python3")
    parser.add_argument("--faults", type=float, default=0.3, help="share of the cells that are also broken")
    parser.add_argument("--seconds", type=float, default=60.0, help="time limit of a notebook")
    parser.add_argument("--log", type=Path, default=Path("/dev/null"))
    options = parser.parse_args()
    rng, records, times = random.Random(1), list[dict[str, Any]](), list[float]()  # noqa: S311
    with ExitStack() as stack:
        log = stack.enter_context(options.log.open("a"))
        server = stack.enter_context(server_without_model())
        for kind in options.cells:
            print("\n".join(run_cells(server, options.kernel, kind)))
        if options.cells:
            return
        typist = Typist(rng)
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
