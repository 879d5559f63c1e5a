"""How often the fix for an error and the rename after an edit are right, in real notebooks with real kernels.

python research/benchmarks/fixes.py --set NOTEBOOKS --kernel NAME [--cases 60] [--part held-out] [--busy 2]

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
import io
import json
import os
import random
import re
import sys
import tempfile
import time
import tokenize
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jedi  # type: ignore[import-untyped]
from harness import JupyterServer, percentile
from jupyter_client.blocking.client import BlockingKernelClient

from jupyter_turbopilot.analysis.languages import as_python
from turbopilot_research.evaluate.command import keeping_busy
from turbopilot_research.evaluate.notebooks import read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from turbopilot_research.evaluate.notebooks import TypedNotebook

DATA: dict[str, Any] = json.loads(Path(__file__).with_name("fixes.json").read_text("utf-8"))
SHORT = 3  # characters of a name for which no nearest name is expected
LONGEST = 200  # characters of the name of a file
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
# Renames without an offer, and the names that are changed instead of the binding or beside it.
SILENT_RENAMES = {
    "two bindings": "", "used": "", "use": "", "does not parse": "", "attribute": r"\.(\w+)",
    "string": r"""['"](\w+)""", "two names": r"\b([a-z]\w+) = ",
}  # fmt: skip
POSITIVE = 0.65  # share of the renames with an offer
TIMEOUT = 120.0
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


@dataclass
class Case:
    """A broken cell, what restores it, and the answer."""

    kind: str
    source: str
    right: Sequence[str] = ()  # accepted corrected sources; none: no fix is right
    word: str = ""  # part of the expected error
    forget: Sequence[str] = ()  # names that the kernel does not have
    cells: dict[int, dict[str, Any]] = field(default_factory=dict)  # changes of other cells, by index
    install: str = ""
    spot: tuple[int, str, str] = (0, "", "")  # a rename: offset of the binding, old and new name
    changed: bool = False
    notebook: str = ""
    error: str = ""
    fixes: list[dict[str, Any]] = field(default_factory=list)
    is_right: bool = False
    ms: float = 0.0
    connects: bool = False  # whether the server had to connect to the kernel


# Misspellings -----------------------------------------------------------------------------------------------


class Typist:
    """Misspells words as codespell's dictionary lists them, other words by a typing error."""

    def __init__(self, rng: random.Random) -> None:
        spec = find_spec("codespell_lib")
        if spec is None or not spec.origin:
            raise SystemExit("codespell is missing. Run `pip install codespell`.")
        self._rng, self._wrong = rng, dict[str, list[str]]()
        for line in (Path(spec.origin).parent / "data" / "dictionary.txt").read_text("utf-8").splitlines():
            wrong, _, right = line.partition("->")
            if wrong.isalpha() and right.isalpha():
                self._wrong.setdefault(right, []).append(wrong)

    def misspell(self, text: str) -> str:
        """Return a text with one misspelled word, or the same text if it has only short words."""
        candidates = [each for each in WORD.finditer(text) if len(each[0]) > SHORT]
        if not candidates:
            return text
        listed = [each for each in candidates if each[0].lower() in self._wrong]
        word = self._rng.choice(listed or candidates)
        if listed:
            wrong = self._rng.choice(self._wrong[word[0].lower()])
            wrong = wrong.upper() if word[0].isupper() else wrong.title() if word[0].istitle() else wrong
        else:
            wrong = self._mistype(word[0])
        return text[: word.start()] + wrong + text[word.end() :]

    def vary(self, text: str) -> str:
        """Return a text that differs in case, white space or the plural; mostly a misspelling."""
        ways: list[Callable[[str], str]] = [
            str.lower, str.title, lambda old: old.replace(" ", "_"), lambda old: old.replace("_", " "),
            lambda old: old.removesuffix("s") if old.endswith("s") else f"{old}s", str.upper,
        ]  # fmt: skip
        varied = self._rng.choice(ways)(text) if self._rng.random() < 0.3 else text  # noqa: PLR2004
        return self.misspell(text) if varied == text else varied

    def _mistype(self, word: str) -> str:
        at = self._rng.randrange(max(1, len(word) - 1))
        swapped = word[:at] + word[at + 1 : at + 2] + word[at : at + 1] + word[at + 2 :]
        omitted, doubled = word[:at] + word[at + 1 :], word[: at + 1] + word[at:]
        ways = [each for each in (swapped, omitted, doubled) if each != word]
        return self._rng.choice(ways)


# Faults -----------------------------------------------------------------------------------------------------


@dataclass
class State:
    """A notebook before one of its cells runs."""

    cells: Sequence[str]  # code only
    number: int
    look: dict[str, Any]
    typist: Typist
    conventional: set[str]  # import lines that several notebooks contain
    failed: set[int]  # cells above that raise an error unchanged

    @property
    def source(self) -> str:
        """The cell."""
        return self.cells[self.number]

    def replaced(self, node: ast.AST, old: str, new: str, *, last: bool = False) -> str:
        """Return the cell with a part of a node replaced."""
        start, end = (
            sum(len(line) + 1 for line in self.source.split("\n")[: line - 1])
            + len(self.source.split("\n")[line - 1].encode()[:column].decode())
            for line, column in ((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset))  # type: ignore[attr-defined]
        )
        found = (self.source.rfind if last else self.source.find)(old, start, end)
        return self.source if found < 0 else self.source[:found] + new + self.source[found + len(old) :]


def misspelled(state: State) -> Iterator[Case]:
    """Yield the cell with one misspelling."""
    look = state.look
    labels = {each for known in (look["frames"], look["dicts"]) for some in known.values() for each in some}
    for node in ast.walk(ast.parse(state.source)):
        kind, old, last, change = "", "", False, state.typist.misspell
        match node:
            case ast.Name(id=old, ctx=ast.Load()):
                kind = "name"
            case ast.Attribute(attr=old, ctx=ast.Load()):
                kind, last = "attribute", True
            case ast.keyword(arg=str(old)):
                kind = "keyword"
            case ast.Constant(value=str(old)) if old in labels:
                kind, change = "column", state.typist.vary
            case ast.Constant(value=str(name)) if len(name) < LONGEST and Path(look["cwd"], name).is_file():
                kind, old, last, change = "file", Path(name).stem, True, state.typist.vary
            case ast.Import() | ast.ImportFrom():
                words = re.findall(r"\w{4,}", ast.unparse(node).replace("import", "").replace("from", ""))
                kind, old = "module", words[len(state.source) % len(words)] if words else ""
        if kind and len(old) > SHORT < len(wrong := change(old)) and wrong != old:
            source = state.replaced(node, old, wrong, last=last)
            yield Case(kind, source, [state.source], wrong if kind == "column" else "")


def syntax(source: str) -> Iterator[str]:
    """Yield the cell with one syntax error."""
    lines = source.split("\n")
    starts = [0]
    for each in lines:
        starts.append(starts[-1] + len(each) + 1)
    tokens = [*tokenize.generate_tokens(io.StringIO(source).readline)]
    ends = (tokenize.NEWLINE, tokenize.COMMENT)
    for token, after in pairwise(tokens):
        start, end = starts[token.start[0] - 1] + token.start[1], starts[token.end[0] - 1] + token.end[1]
        text, line = token.string, token.start[0] - 1
        if (text in (":", ")", "]", "}") and after.type in ends) or text == ",":
            yield source[:start] + source[end:]
        elif text == "==":
            yield f"{source[:start]}={source[end:]}"
        elif token.type == tokenize.STRING and text[0] in "'\"" and text[:3] not in ('"""', "'''"):
            yield source[: end - 1] + source[end:]
        elif token.type == tokenize.INDENT:
            if (line + 1 == len(lines)) or not lines[line + 1].startswith(text):
                yield "\n".join([*lines[:line], lines[line].removeprefix(text), *lines[line + 1 :]])
            else:
                yield "\n".join([*lines[: line + 1], "\t" + lines[line + 1][len(text) :], *lines[line + 2 :]])
        elif text == "print" and (call := re.fullmatch(r"(\s*)print\((.+)\)", lines[line])):
            yield "\n".join([*lines[:line], f"{call[1]}print {call[2]}", *lines[line + 1 :]])
        elif token.type == tokenize.NAME and token.start[1] == 0 and line:
            yield f"{source[:start]} {source[start:]}"


def parses(source: str) -> bool:
    """Return whether Python can parse a cell."""
    with suppress(SyntaxError, ValueError):
        compile(source, "", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
        return True
    return False


def bindings(source: str) -> dict[str, ast.stmt]:
    """Return the names that a cell binds at its top level, with their statements."""
    found: dict[str, ast.stmt] = {}
    for statement in ast.parse(source).body:
        match statement:
            case ast.Import() | ast.ImportFrom():
                found |= {(each.asname or each.name).partition(".")[0]: statement for each in statement.names}
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found[name] = statement
            case ast.Assign(targets=[ast.Name(id=name)]):
                found[name] = statement
    return found


def unbound(state: State) -> Iterator[Case]:
    """Yield the cell without a name: its import line is deleted, or its cell was not run or has changed."""
    used = {each.id for each in ast.walk(ast.parse(state.source)) if isinstance(each, ast.Name)}
    used -= {*bindings(state.source)}
    above = [as_python(cell) for cell in state.cells[: state.number]]
    bound = [bindings(cell) if parses(cell) else {} for cell in above]
    for name in sorted(used & {*state.look["names"]}):
        numbers = [number for number, each in enumerate(bound) if name in each]
        if len(numbers) != 1 or numbers[0] in state.failed:
            continue
        number = numbers[0]
        statement = bound[number][name]
        if not isinstance(statement, ast.Import | ast.ImportFrom):
            names = [*bound[number]]
            change = {"execution_count": None} if len(name) % 2 else {"changed": True}
            yield Case("run", state.source, [state.source], forget=names, cells={number: change})
        elif len(statement.names) == 1 and (line := ast.unparse(statement)) in state.conventional:
            rest = "\n".join(each for each in state.cells[number].split("\n") if each.strip() != line)
            if rest != state.cells[number]:
                right = f"{line}\n{state.source}"
                yield Case("import", state.source, [right], forget=[name], cells={number: {"source": rest}})


def written(state: State, rng: random.Random) -> Iterator[Case]:
    """Yield the errors of `fixes.json` with the names of the notebook."""
    fit = re.compile(r"[^'\\{}\n]{5,}")
    frames = {name: [*filter(fit.fullmatch, columns)] for name, columns in state.look["frames"].items()}
    frames = {name: columns for name, columns in frames.items() if columns and len(name) > 1}
    names = [each for each in state.look["names"] if len(each) > SHORT + 1]
    if not frames or not names:
        return
    frame, name = rng.choice([*frames]), rng.choice(names)
    column, plain = rng.choice(frames[frame]), [each for each in frames[frame] if each.isidentifier()]
    typo = state.typist.misspell(column)
    words = {
        "frame": frame, "column": column, "typo": typo, "name": name, "typoname": state.typist.misspell(name),
        "half": typo[:2], "rest": typo[2:],
    }  # fmt: skip
    if plain:
        words |= {"column0": plain[0], "typo0": state.typist.misspell(plain[0])}
    for kind, templates in DATA["silent"].items():
        for template in templates:
            with suppress(KeyError):
                yield Case(f"silent: {kind}", template.format(**words), changed=kind == "changed")
    for kind in ("api", "everyday"):
        for old, new in DATA[kind]:
            with suppress(KeyError):
                yield Case(kind, old.format(**words), [each.format(**words) for each in new])
    for module, package in DATA["install"].items():
        source = f"import {module}"
        yield Case("install", source, [source], install=package)


def cases(state: State, rng: random.Random) -> list[Case]:
    """Return the cases of a cell, in random order."""
    found = [*unbound(state), *written(state, rng)]
    found += misspelled(state)
    with suppress(tokenize.TokenError, IndentationError):
        found += [Case("syntax", each, [state.source]) for each in syntax(state.source) if not parses(each)]
    rng.shuffle(found)
    return [each for each in found if each.source != state.source or each.forget]


def same(one: str, other: str) -> bool:
    """Return whether two cells are the same code."""
    if parses(plain := as_python(one)) and parses(as_python(other)):
        return ast.dump(ast.parse(plain)) == ast.dump(ast.parse(as_python(other)))
    return one == other


# Renames ----------------------------------------------------------------------------------------------------


def renames(
    notebooks: Sequence[TypedNotebook], count: int, rng: random.Random
) -> Iterator[tuple[Case, dict[str, Any]]]:
    """Yield renames with their requests: three with the uses that Jedi finds, then one without an offer."""
    kinds, seen = list(SILENT_RENAMES), set[str]()
    for _ in range(count):
        each = rng.choice(notebooks)
        sources = [cell.source for cell in each.cells if cell.type == "code" and parses(cell.source)]
        script = jedi.Script("\n".join(sources))
        names = [name for name in script.get_names(all_scopes=True) if len(name.name) > 1]
        for name in rng.sample(names, min(len(names), 20)):
            with suppress(Exception):  # Jedi fails on some code
                uses = script.get_references(name.line, name.column, scope="file")
                places = {place(sources, use) for use in uses if use.name == name.name}
                if len(places) > 1 and all(each.name == name.name for each in uses):
                    kind = "" if rng.random() < POSITIVE else rng.choice(kinds)
                    found = rename(kind, each.name, sources, name, uses, rng)
                    if found and found[0].notebook not in seen:
                        seen.add(found[0].notebook)
                        yield found
                        break


def place(sources: Sequence[str], name: Any) -> tuple[int, int]:
    """Return the cell and the offset of one of Jedi's names."""
    line = name.line - 1
    for number, source in enumerate(sources):
        lines = source.split("\n")
        if line < len(lines):
            return number, sum(len(each) + 1 for each in lines[:line]) + name.column
        line -= len(lines)
    raise ValueError(name)


def rename(
    kind: str, notebook: str, sources: list[str], name: Any, uses: list[Any], rng: random.Random
) -> tuple[Case, dict[str, Any]] | None:
    """Return a rename and its request, or None if this name does not fit."""
    old, new = name.name, f"{name.name}_{rng.choice(('table', 'total', 'part'))}"
    places, active, start = {place(sources, use) for use in uses}, *place(sources, name)
    bound = sum(use.is_definition() for use in uses)
    if not kind and bound > 1 and rng.random() > POSITIVE:
        kind = "two bindings"
    if not name.is_definition() or (kind == "two bindings") != (bound > 1):
        return None
    before, spans = sources[active], [(start, len(old))]
    if re.search(r"(?:^|\n) *(?:import|from)\b[^\n(]*(?:\([^)]*)?(?<! as )\Z", before[:start]):
        kind = "module"  # this name cannot be chosen
    if kind == "used":
        nodes = (node for source in sources for node in ast.walk(ast.parse(source)))
        new = rng.choice(sorted({node.id for node in nodes if isinstance(node, ast.Name)} - {old}))
    elif kind == "use":
        spans = [(at, len(old)) for cell, at in places if cell == active and at != start][:1]
    elif SILENT_RENAMES.get(kind):
        other = other_name(kind, before, old)
        spans = other + (spans if kind == "two names" and other else [])
    edited = edit(before, spans, old, new)
    if kind == "does not parse":
        edited += "\n("
    if edited == before:
        return None
    cells = [*sources[:active], edited, *sources[active + 1 :]]
    label, origin = f"rename: {kind}" if kind else "rename", f"{notebook}, cell {active}: {old} -> {new}"
    case = Case(label, before, notebook=origin, spot=(start, old, new))
    if not kind:
        case.right = [
            replace(source, [at for cell, at in places if cell == number], old, new)
            for number, source in enumerate(sources)
        ]
    return case, {
        "path": "Notebook.ipynb",
        "kernel_id": None,
        "active": active,
        "before": before,
        "cells": [
            {"type": "code", "source": source, "execution_count": number}
            for number, source in enumerate(cells, 1)
        ],
    }


def other_name(kind: str, source: str, old: str) -> list[tuple[int, int]]:
    """Return the offset and the length of another name, or an empty list."""
    found = [each.span(1) for each in re.finditer(SILENT_RENAMES[kind], source) if each[1] != old]
    return [(start, end - start) for start, end in found[:1]]


def edit(source: str, spans: Sequence[tuple[int, int]], old: str, new: str) -> str:
    """Return a cell with the old name changed to the new one, and other names changed, too."""
    for at, length in sorted(spans, reverse=True):
        text = source[at : at + length]
        source = source[:at] + (new if text == old else f"{text}_new") + source[at + length :]
    return source


def replace(source: str, places: Sequence[int], old: str, new: str) -> str:
    """Return a cell with a name replaced at some places."""
    for at in sorted(places, reverse=True):
        source = source[:at] + new + source[at + len(old) :]
    return source


# The server and its kernels ---------------------------------------------------------------------------------


@contextmanager
def server_without_model() -> Iterator[JupyterServer]:
    """Run a Jupyter server without a model."""
    with tempfile.TemporaryDirectory() as name:
        folders = {"TURBOPILOT_MODELS": f"{name}/models", "XDG_CACHE_HOME": f"{name}/cache"}
        with JupyterServer(Path(name), ready=bool, environment=os.environ | folders) as server:
            yield server


class Kernel:
    """The kernel of a notebook."""

    def __init__(self, server: JupyterServer, name: str, path: str) -> None:
        body = {"path": path, "name": "", "type": "notebook", "kernel": {"name": name}}
        self._server, self.path, self.session = server, path, server.parsed("POST", "api/sessions", body)
        self.id = self.session["kernel"]["id"]
        self.client = BlockingKernelClient(connection_file=str(server.runtime / f"kernel-{self.id}.json"))
        self.client.load_connection_file()
        self.client.start_channels(hb=False)  # a busy machine delays heartbeats
        self.client.wait_for_ready(timeout=TIMEOUT)

    def close(self) -> None:
        """End the kernel."""
        self.client.stop_channels()
        self._server.parsed("DELETE", f"api/sessions/{self.session['id']}")

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

    def __init__(self, server: JupyterServer, kernel: Kernel, notebook: TypedNotebook) -> None:
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
        case.fixes = self._server.parsed("POST", "turbopilot/fix", body).get("fixes", [])
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
    server: JupyterServer, options: argparse.Namespace, notebooks: list[TypedNotebook], rng: random.Random
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


def ask_rename(server: JupyterServer, case: Case, body: dict[str, Any]) -> Case:
    """Request a rename; it is right if it changes what Jedi finds, and if its inverse restores the cells."""
    begun = time.perf_counter()
    edits = server.parsed("POST", "turbopilot/rename", body).get("edits", [])
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
        undone = server.parsed("POST", "turbopilot/rename", inverse).get("edits", [])
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
        server = stack.enter_context(server_without_model())
        answered = (ask_rename(server, *each) for each in renames(notebooks, options.renames, rng))
        for case in chain(answered, measured(server, options, notebooks, rng)):
            found.append(case)
            if log:
                print(json.dumps(asdict(case)), file=log, flush=True)
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
