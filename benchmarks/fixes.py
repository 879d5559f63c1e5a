"""How often the fix for an error and the rename after an edit are right, in real notebooks with real kernels.

python benchmarks/fixes.py --set NOTEBOOKS --kernel NAME [--cases 60] [--part held-out] [--busy 2]

A Jupyter server without a model runs the notebooks. Before a cell runs, one fault is put into it at a random
place: a misspelling from codespell's dictionary (`pip install codespell`), a missing import, a missing comma.
The broken cell runs, the server is asked for fixes, and the cell runs unchanged. A case counts if the fault
raises the expected error and the unchanged cell runs afterwards. A fix is right if it gives the code of the
unchanged cell; cells to run are run. Errors without a fix are those of `fixes.json`, in the states of the
notebooks and with their names. Renames are compared with those of Jedi.

A third of the notebooks is held out and not used in development. `--log FILE` records every case.
"""

from __future__ import annotations

import argparse
import ast
import http.client
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, suppress
from dataclasses import asdict
from http import HTTPStatus
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from faults import DATA, Case, State, Typist, cases, parses, renames, replace, same
from harness import free_port, percentile
from jupyter_client.blocking.client import BlockingKernelClient

from jupyter_turbopilot.plugins.evaluate.command import keeping_busy
from jupyter_turbopilot.plugins.evaluate.notebooks import read

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.plugins.evaluate.notebooks import TypedNotebook

TOKEN, TIMEOUT = "fixes", 120.0
ERRORS = {
    "name": "NameError", "import": "NameError", "run": "NameError", "column": "",
    "attribute": "AttributeError", "keyword": "TypeError.*unexpected keyword", "file": "FileNotFoundError",
    "module": "ModuleNotFoundError|ImportError", "install": "ModuleNotFoundError", "api": "(?!NameError)",
    "everyday": "(?!NameError|TypeError)", "syntax": ".*(?:Syntax|Indentation|Tab|Input)Error",
}  # fmt: skip
TARGETS = ("shown 75 %", "right 92 % overall and 85 % of each kind", "wrongly shown 2 %", "renames 97 %",
           "p95 150 ms idle, 400 ms beside two busy processes")  # fmt: skip
CONVENTION = 3  # notebooks with an import line that is a convention
CASES_OF_CELL, TRIES = 3, 2

# Runs in the kernel: what its namespace contains; names are hidden for a case, and restored after it.
LOOK = """
import os, sys
def look(space):
    found = {"names": [], "frames": {}, "dicts": {}, "cwd": os.getcwd()}
    for name, value in list(space.items()):
        kind = type(value)
        if name.startswith("_") or name in ("In", "Out", "exit", "quit", "open", "get_ipython"):
            continue
        found["names"].append(name)
        if kind.__name__ == "DataFrame" and len(value):
            found["frames"][name] = [each for each in value.columns if type(each) is str]
        if kind is dict:
            found["dicts"][name] = [each for each in value if type(each) is str]
    return found
def hide(space, names):
    sys.hidden = {name: space.pop(name) for name in names if name in space}
def restore(space, kept, folder):
    os.chdir(folder)
    for name in set(look(space)["names"]) - set(kept):
        del space[name]
    space.update(sys.__dict__.pop("hidden", {}))
"""


class Server:
    """A Jupyter server without a model, in a separate process with temporary folders."""

    def __init__(self, log: Path) -> None:
        self.port = free_port()
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        for name in ("config", "runtime", "work", "models", "data"):
            (folder / name).mkdir()
        self.runtime = folder / "runtime"
        own = {
            "JUPYTER_CONFIG_DIR": "config", "JUPYTER_RUNTIME_DIR": "runtime", "TURBOPILOT_MODELS": "models",
            "XDG_CACHE_HOME": "data",
        }  # fmt: skip
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "jupyter_server", "--allow-root", "--no-browser",
                 f"--ServerApp.port={self.port}", "--ServerApp.port_retries=0", "--ServerApp.ip=127.0.0.1",
                 f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={folder / 'work'}",
                 "--ServerApp.jpserver_extensions={'jupyter_turbopilot': True}"],
                env=os.environ | {name: str(folder / value) for name, value in own.items()},
                stdout=output, stderr=output,
            )  # fmt: skip
        self._link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)

    def __enter__(self) -> Self:
        """Wait until the server answers."""
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end and self.process.poll() is None:
            with suppress(OSError):
                if not self.ask("GET", "turbopilot/health"):
                    raise SystemExit("The extension is not loaded.")
                return self
            time.sleep(0.2)
        raise SystemExit("The server did not start.")

    def __exit__(self, *_: object) -> None:
        """Stop the server with its kernels."""
        self.process.terminate()
        self.process.wait(30)
        self._folder.cleanup()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request; return the parsed answer, or {} after an error."""
        headers = {"Authorization": f"token {TOKEN}", "Content-Type": "application/json"}
        try:
            self._link.request(method, f"/{path}", None if body is None else json.dumps(body), headers)
            answer = self._link.getresponse()
        except (OSError, http.client.HTTPException):
            self._link.close()
            raise
        content = answer.read()
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            print(method, path, answer.status, content[:300], file=sys.stderr)
        return json.loads(content) if answer.status < HTTPStatus.MULTIPLE_CHOICES and content else {}


class Kernel:
    """The kernel of a notebook."""

    def __init__(self, server: Server, name: str, path: str) -> None:
        body = {"path": path, "name": "", "type": "notebook", "kernel": {"name": name}}
        self._server, self.path, self.session = server, path, server.ask("POST", "api/sessions", body)
        self.id = self.session["kernel"]["id"]
        self.client = BlockingKernelClient(connection_file=str(server.runtime / f"kernel-{self.id}.json"))
        self.client.load_connection_file()
        self.client.start_channels(hb=False)  # a busy machine delays heartbeats
        self.client.wait_for_ready(timeout=TIMEOUT)

    def close(self) -> None:
        """End the kernel."""
        self.client.stop_channels()
        self._server.ask("DELETE", f"api/sessions/{self.session['id']}")

    def run(self, source: str) -> tuple[int, dict[str, Any] | None]:
        """Run a cell; return its execution count, and its error as the front end sends it."""
        errors: list[dict[str, Any]] = []

        def hook(message: Any) -> None:
            if message["msg_type"] == "error":
                errors.append(message["content"])

        reply = self.client.execute_interactive(
            source, allow_stdin=False, stop_on_error=False, timeout=TIMEOUT, output_hook=hook
        )["content"]
        if reply["status"] == "ok":
            return reply["execution_count"], None
        error = errors[-1] if errors else reply
        plain = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", "\n".join(error["traceback"]))[-65536:]
        lines = [line[:4096] for line in plain.split("\n")][-2048:]
        cut = {"name": error["ename"], "message": error["evalue"][:8192], "traceback": lines}
        return reply["execution_count"], cut

    def evaluate(self, call: str) -> Any:
        """Call one of the functions of LOOK with the namespace of the kernel, `space`."""
        code = f"{LOOK}\nresult = {call}"
        self.client.execute("", silent=True, user_expressions={"value": (
            f"(lambda scope: [exec({code!r}, scope), __import__('json').dumps(scope['result'])][1])"
            "({'space': get_ipython().user_ns})")})  # fmt: skip
        while "user_expressions" not in (content := self.client.get_shell_msg(timeout=TIMEOUT)["content"]):
            pass
        value = content["user_expressions"].get("value", {})
        return json.loads(ast.literal_eval(value["data"]["text/plain"])) if value.get("data") else {}


# Running ----------------------------------------------------------------------------------------------------


class Notebook:
    """A notebook that is run cell by cell, and broken before each of its cells."""

    def __init__(self, server: Server, kernel: Kernel, notebook: TypedNotebook) -> None:
        self._server, self._kernel, self.name = server, kernel, notebook.name
        self.sources = [each.source for each in notebook.cells if each.type == "code"]
        self.counts: list[int | None] = [None] * len(self.sources)
        self.failed: set[int] = set()
        self._connected = False  # whether the server has queried the kernel

    def run(self, number: int) -> dict[str, Any] | None:
        """Run a cell unchanged; return its error."""
        self.counts[number], error = self._kernel.run(self.sources[number])
        self.failed |= {number} if error else set()
        return error

    def look(self) -> dict[str, Any]:
        """Return the contents of the kernel's namespace."""
        found: dict[str, Any] = self._kernel.evaluate("look(space)")
        return found

    def fail(self, number: int, case: Case, look: dict[str, Any]) -> bool:
        """Run a broken cell and request fixes; return whether it raised the expected error."""
        case.notebook = f"{self.name}, cell {number}"
        self._kernel.evaluate(f"hide(space, {case.forget!r})")
        count, error = self._kernel.run(case.source)
        text = f"{error['name']}: {error['message']}" if error else ""
        raised = bool(error and re.match(ERRORS.get(case.kind, ""), text) and case.word in text)
        if raised and error is not None:
            case.error = text[:300]
            self._ask(number, case, count, error)
            case.is_right = bool(case.fixes) and self._is_right(number, case)
        self._kernel.evaluate(f"restore(space, {look['names']!r}, {look['cwd']!r})")
        return raised

    def natural(self, number: int, error: dict[str, Any]) -> Case:
        """Request fixes for an error of the notebook itself."""
        case = Case("natural", self.sources[number], notebook=f"{self.name}, cell {number}")
        case.error = f"{error['name']}: {error['message'][:300]}"
        self._ask(number, case, self.counts[number] or 0, error)
        return case

    def _ask(self, number: int, case: Case, count: int, error: dict[str, Any]) -> None:
        cells = [
            {
                "id": str(n),
                "type": "code",
                "source": source,
                "execution_count": self.counts[n],
                "changed": False,
            }
            for n, source in enumerate(self.sources)
        ]
        for index, change in case.cells.items():
            cells[index] |= change
        cells[number] |= {"source": case.source, "execution_count": count, "changed": case.changed}
        body = {"path": self._kernel.path, "language": "python", "kernel_id": self._kernel.id, "cells": cells,
                "failed": number, "error": error, "client": "benchmark"}  # fmt: skip
        begun = time.perf_counter()
        case.fixes = self._server.ask("POST", "turbopilot/fix", body).get("fixes", [])
        case.ms, case.connects = (time.perf_counter() - begun) * 1000, not self._connected
        self._connected = True

    def _is_right(self, number: int, case: Case) -> bool:
        fix = case.fixes[0]
        if fix["insert"]:
            return bool(
                re.fullmatch(rf"%pip install (?i:{re.escape(case.install or ' ')})", fix["insert"]["source"])
            )
        source = case.source
        for edit in sorted(fix["edits"], key=lambda edit: -edit["start"]):
            if edit["cell"] != number or source[edit["start"] : edit["end"]] != edit["old"]:
                return False
            source = source[: edit["start"]] + edit["text"] + source[edit["end"] :]
        if not fix["edits"] and case.kind == "run":
            runs = [each for each in fix["run"] if each != number]
            errors = [self._kernel.run(self.sources[each])[1] for each in runs]
            return not any(errors) and self._kernel.run(source)[1] is None
        return any(same(source, each) for each in case.right)


def measured(
    server: Server, options: argparse.Namespace, notebooks: list[TypedNotebook], rng: random.Random
) -> Iterator[Case]:
    """Run the notebooks and yield the valid cases."""
    typist, counts = Typist(rng), Counter[str]()
    lines = Counter[str]()
    for each in notebooks:
        every = {line.strip() for cell in each.cells for line in cell.source.split("\n")}
        lines.update(line for line in every if "import " in line)
    conventional = {line for line, count in lines.items() if count >= CONVENTION}
    wanted = dict.fromkeys(ERRORS, options.cases)
    wanted |= {f"silent: {kind}": options.cases // 2 for kind in DATA["silent"]}
    wanted = {kind: count for kind, count in wanted.items() if re.search(options.kinds, kind)}
    for order, each in enumerate(notebooks if wanted else ()):
        before, kernel = counts.total(), Kernel(server, options.kernel, f"{order}.ipynb")
        begun = time.monotonic()
        notebook = Notebook(server, kernel, each)
        try:
            for number, source in enumerate(notebook.sources):
                if time.monotonic() - begun > options.seconds:
                    break
                part = (order + number / len(notebook.sources)) / len(notebooks)
                due = [kind for kind, count in wanted.items() if counts[kind] < count * part]
                state = State(
                    notebook.sources[: number + 1],
                    number,
                    notebook.look(),
                    typist,
                    conventional,
                    notebook.failed,
                )
                found = [*broken(notebook, state, due, rng)] if number and due and parses(source) else []
                error = notebook.run(number)
                if error is None:
                    counts.update(case.kind for case in found)
                    yield from found
                elif not found:
                    yield notebook.natural(number, error)
        except TimeoutError:
            print(f"{each.name}: a cell took too long", file=sys.stderr)
        finally:
            kernel.close()
        print(f"{order + 1}/{len(notebooks)} {each.name}: {counts.total() - before} cases", file=sys.stderr)


def broken(notebook: Notebook, state: State, due: list[str], rng: random.Random) -> Iterator[Case]:
    """Yield a few cases of a cell, all of different kinds."""
    left, tries = {True: CASES_OF_CELL, False: CASES_OF_CELL}, Counter[str]()
    for case in cases(state, rng):
        is_written = case.kind.startswith(("silent", "api", "install"))
        if left[is_written] and case.kind in due and tries[case.kind] < TRIES:
            tries[case.kind] += 1
            if notebook.fail(state.number, case, state.look):
                tries[case.kind], left[is_written] = TRIES, left[is_written] - 1
                yield case


def ask_rename(server: Server, case: Case, body: dict[str, Any]) -> Case:
    """Request a rename; it is right if it changes what Jedi finds, and if its inverse restores the cells."""
    begun = time.perf_counter()
    edits = server.ask("POST", "turbopilot/rename", body).get("edits", [])
    case.ms = (time.perf_counter() - begun) * 1000
    case.fixes = [{"edits": edits}] if edits else []
    active, renamed = body["active"], [each["source"] for each in body["cells"]]
    for edit in sorted(edits, key=lambda edit: -edit["start"]):
        source = renamed[edit["cell"]]
        renamed[edit["cell"]] = source[: edit["start"]] + edit["text"] + source[edit["end"] :]
    case.is_right = bool(edits) and renamed == case.right
    if case.is_right:
        # Undo the edit at the binding alone; the answer must undo all the others.
        start, old, new = case.spot
        start += (len(new) - len(old)) * sum(
            edit["cell"] == active and edit["start"] < start for edit in edits
        )
        back = [each | {"source": source} for each, source in zip(body["cells"], renamed, strict=True)]
        back[active]["source"] = replace(renamed[active], [start], new, old)
        inverse = body | {"cells": back, "before": renamed[active]}
        undone = server.ask("POST", "turbopilot/rename", inverse).get("edits", [])
        case.is_right = not undone or len(undone) == len(edits)  # none if another scope has the name
    return case


# Report -----------------------------------------------------------------------------------------------------


def table(found: Sequence[Case]) -> Iterator[str]:
    """Yield the lines of the report as Markdown."""
    yield "| kind | cases | shown | right, of those shown | shown although there is no fix |"
    yield "| --- | --- | --- | --- | --- |"
    kinds = sorted({each.kind for each in found} - {"natural"})
    for kind in ["all", "silence", *kinds]:
        cases = [each for each in found if is_of(each, kind)]
        if not cases:
            continue
        shown = [each for each in cases if each.fixes]
        right = sum(each.is_right for each in shown)
        if kind == "silence" or not (is_of(cases[0], "all") or kind == "rename"):
            yield f"| {kind} | {len(cases)} | | | {len(shown)} ({len(shown) / len(cases):.1%}) |"
        else:
            yield (f"| {kind} | {len(cases)} | {len(shown)} ({len(shown) / len(cases):.1%}) "
                   f"| {right} ({right / max(1, len(shown)):.1%}) | |")  # fmt: skip
    yield "\nTargets: " + ", ".join(TARGETS)
    for connects, title in ((False, "Request to answer"), (True, "First answer of each kernel")):
        times = [
            each.ms for each in found if each.connects == connects and not each.kind.startswith("rename")
        ]
        if times:
            p50, p95 = percentile(times, 0.5), percentile(times, 0.95)
            yield f"\n{title}: p50 {p50:.0f} ms, p95 {p95:.0f} ms"


def is_of(case: Case, kind: str) -> bool:
    """Return whether a row of the table contains a case."""
    if kind == "all":
        return case.kind in ERRORS
    return case.kind.startswith("silent") if kind == "silence" else case.kind == kind


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose the notebooks and the conditions."""
    parser.add_argument("--set", type=Path, action="append", required=True, help="a prepared set")
    parser.add_argument("--part", choices=("development", "held-out", "all"), default="development")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--busy", type=int, default=0, help="number of busy processes beside the server")
    parser.add_argument("--log", type=Path, help="file for every case, as JSON lines")


def notebooks_of(options: argparse.Namespace) -> list[TypedNotebook]:
    """Return the notebooks of the chosen part."""
    parts = {"development": (0, 1), "held-out": (2,), "all": (0, 1, 2)}[options.part]
    every = [each for source in options.set for each in read(source)]
    return [each for number, each in enumerate(every) if number % 3 in parts]


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    add_options(parser)
    parser.add_argument("--kernel", default="python3")
    parser.add_argument(
        "--cases", type=int, default=60, help="cases of each kind; half as many without a fix"
    )
    parser.add_argument("--renames", type=int, default=150)
    parser.add_argument("--kinds", default="", help="only these kinds, as a regular expression")
    parser.add_argument("--seconds", type=float, default=60.0, help="time limit of a notebook")
    options = parser.parse_args()
    notebooks = notebooks_of(options)
    rng, found = random.Random(options.seed), list[Case]()  # noqa: S311
    with ExitStack() as stack:
        stack.enter_context(keeping_busy(options.busy))
        log = stack.enter_context(options.log.open("w")) if options.log else None
        server = stack.enter_context(Server(Path(tempfile.gettempdir(), f"fixes-{os.getpid()}.log")))
        answered = (ask_rename(server, *each) for each in renames(notebooks, options.renames, rng))
        for case in chain(answered, measured(server, options, notebooks, rng)):
            found.append(case)
            if log:
                print(json.dumps(asdict(case)), file=log, flush=True)
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
