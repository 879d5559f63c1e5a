"""How often repeated edits are right, in real notebooks with made edits.

python research/benchmarks/edits.py --set NOTEBOOKS [--cases 60] [--part held-out] [--log FILE]

Finds code in notebooks that has one meaning at least four times (columns: three), makes two of the edits,
asks for the others, and compares each occurrence with the code that the edit gives. Into each notebook,
traps are put: the same code for a shadowed name, for another table, for another function, after a new
assignment of the table, in comments and in strings. Unlike edits are two edits with nothing in common.

A third of the notebooks is held out and not used in development. `--server` measures the time of requests to
a Jupyter server, for notebooks of 300 cells; `--busy` does so beside busy processes.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import re
import time
from collections import Counter, defaultdict
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from fixes import add_options, notebooks_of, server_without_model
from harness import JupyterServer, percentile
from msgspec import to_builtins

from jupyter_turbopilot.analysis.languages import as_python, cell_language
from jupyter_turbopilot.fixes.repeats import find, rule_of
from jupyter_turbopilot.protocol.request import EditedCell, FixCell, RepeatRequest
from jupyter_turbopilot.util.bounds import (
    MOST_OPERATIONS,
    OperationLimitError,
    Operations,
    counted_operations,
)
from turbopilot_research.evaluate.command import keeping_busy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from turbopilot_research.evaluate.notebooks import TypedNotebook

FEWEST, FEWEST_COLUMNS = 4, 3  # occurrences with the same code
LONGEST_LABEL = 60
CELLS = 300
SETUP = (
    "import numpy as np\nimport other\nfrom other import changed, finish"  # names that the edits introduce
)
TARGETS = (
    "offered occurrences right 97 %, found 80 %, unlike edits with an offer 1 %, traps 0, "
    "p95 50 ms idle, 120 ms busy"
)
LEXEME = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'|#[^\n]*|\w+|[^\w\s]")
Span = tuple[int, int, int]  # cell, start, end


@dataclass
class Made:
    """An edit of several occurrences of a notebook."""

    kind: str
    cells: list[str]
    occurrences: list[tuple[Span, str]]  # with the new text
    root: str = ""  # variable on which the meaning depends
    traps: list[str] = field(default_factory=list)  # sources of cells that must not change
    after: dict[int, str | None] = field(default_factory=dict)  # the cells of a new version


@dataclass
class Result:
    """The answer to a made edit."""

    kind: str
    notebook: str
    expected: int
    offered: int
    right: int
    trapped: int
    traps: int
    ms: float
    examples: list[str]
    wrong: list[str]
    also: int = 0  # right occurrences that are nearer to the new version, but not expected


# Occurrences ----------------------------------------------------------------------------------------------


class Code:
    """A parsed notebook."""

    def __init__(self, cells: list[str]) -> None:
        self.cells = cells
        self.nodes: list[tuple[int, ast.AST, dict[ast.AST, ast.AST]]] = []
        self.bound = defaultdict[str, list[tuple[int, int, int, str]]](list)  # positions of new values
        self._lines: dict[int, list[int]] = {}
        for number, source in enumerate(cells):
            with suppress(SyntaxError, ValueError):
                tree = parsed_cell(source)
                parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
                self._lines[number] = [0]
                for line in source.split("\n"):
                    self._lines[number].append(self._lines[number][-1] + len(line.encode()) + 1)
                self.nodes += [(number, node, parents) for node in ast.walk(tree)]
                for node in ast.walk(tree):
                    if isinstance(node, ast.Name) and not is_read(node):
                        value = getattr(parents[node], "value", None)
                        own = value and any(getattr(each, "id", "") == node.id for each in ast.walk(value))
                        self.bound[node.id] += (
                            [] if own else [(number, node.lineno, node.col_offset, dumped_node(value))]
                        )

    def span(self, number: int, node: Any) -> Span:
        """Return the span of a node in characters."""
        source, lines = self.cells[number].encode(), self._lines[number]
        ends = (lines[node.lineno - 1] + node.col_offset, lines[node.end_lineno - 1] + node.end_col_offset)
        start, end = (len(source[:at].decode()) for at in ends)
        return number, start, end

    def table(self, name: str, number: int, node: Any) -> str:
        """Return the value that a variable has at a node, or an empty string."""
        above = [each for each in self.bound[name] if each < (number, node.lineno, node.col_offset)]
        return max(above)[-1] or str(max(above)) if above else ""

    def text(self, span: Span) -> str:
        """Return the source in a span."""
        return self.cells[span[0]][span[1] : span[2]]


def dumped_node(node: ast.AST | None) -> str:
    """Return the tree of a call without variables in its arguments; empty for other expressions."""
    is_call = isinstance(node, ast.Call) and not any(
        isinstance(each, ast.Name) for given in (*node.args, *node.keywords) for each in ast.walk(given)
    )
    return ast.dump(node) if node and is_call else ""


def parsed_cell(source: str) -> ast.Module:
    """Return the tree of a cell, with `pass` for magics."""
    if cell_language(source, "python") != "python":
        raise SyntaxError("The cell is in another language.")
    return ast.parse(as_python(source))


def is_read(node: ast.AST) -> bool:
    """Return whether a node is not assigned."""
    return isinstance(getattr(node, "ctx", ast.Load()), ast.Load)


def dotted(node: ast.AST) -> str:
    """Return a dotted name."""
    if isinstance(node, ast.Attribute):
        return f"{owner}.{node.attr}" if (owner := dotted(node.value)) else ""
    return node.id if isinstance(node, ast.Name) else ""


def is_global(node: ast.AST, parents: dict[ast.AST, ast.AST], root: str) -> bool:
    """Return whether no function or comprehension around a node binds a name."""
    while node in parents:
        node = parents[node]
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef | ast.ListComp
                      | ast.SetComp | ast.DictComp | ast.GeneratorExp):  # fmt: skip
            for each in ast.walk(node):
                if (isinstance(each, ast.arg) and each.arg == root) or (
                    isinstance(each, ast.Name) and each.id == root and not is_read(each)
                ):
                    return False
    return True


def literal_text(node: ast.AST) -> bool:
    """Return whether a node is a string that may be a label or a file."""
    value = getattr(node, "value", None)
    return (
        isinstance(value, str)
        and 1 < len(value) < LONGEST_LABEL
        and value.strip().isprintable()
        and not set("'\"\\{}") & set(value)
    )


class Occurrences:
    """The occurrences of a notebook at which an edit can be made, grouped by their code and its meaning."""

    def __init__(self, code: Code) -> None:
        self.groups: dict[tuple[str, str, tuple[Any, ...]], list[tuple[Span, str]]] = defaultdict(list)
        self._code = code
        for self._number, node, self._parents in code.nodes:
            match node:
                case ast.Subscript(value=ast.Name(id=root), slice=key) if literal_text(key):
                    if at := code.table(root, self._number, node):
                        new = repr(f"{key.value}_new")  # type: ignore[attr-defined]
                        self._add("literal: key", root, (key.value, at), key, new)  # type: ignore[attr-defined]
                case ast.Attribute(value=ast.Name()) if is_read(node):
                    self._add_attribute(node)
                case ast.Call(func=function) if path := dotted(function):
                    self._add_arguments(node, path)
                    self._add_calls(node, path)

    def _add(self, kind: str, root: str, key: tuple[Any, ...], node: ast.AST, new: str, at: int = -1) -> None:
        """Add an occurrence: a node, or the position of an insertion."""
        if is_global(node, self._parents, root):
            span = (self._number, at, at) if at >= 0 else self._code.span(self._number, node)
            self.groups[kind, root, key].append((span, new))

    def _text(self, node: ast.AST) -> str:
        return self._code.text(self._code.span(self._number, node))

    def _add_attribute(self, node: ast.Attribute) -> None:
        root, name, outer = dotted(node.value), node.attr, self._parents[node]
        if isinstance(outer, ast.Call) and outer.func is node:
            if root.islower():
                self._add("attribute: prefix", root, (name,), node.value, "other")
                self._add("attribute: function", root, (name,), node, f"{root}.{name}_new")
        elif name.islower() and (at := self._code.table(root, self._number, node)):
            self._add("access", root, (name, at), node, f'{root}["{name}"]')

    def _add_arguments(self, node: ast.Call, path: str) -> None:
        root, end = path.partition(".")[0], self._code.span(self._number, node)[2]
        for each in node.keywords:
            value = each.value
            if each.arg and all(isinstance(n, ast.Tuple | ast.Constant | ast.Load) for n in ast.walk(value)):
                key = (path, each.arg, ast.dump(value))
                new = f"({self._text(value)}, 77)" if isinstance(value, ast.Tuple) else '"changed"'
                self._add("literal: keyword", root, key, value, new)
                self._add("argument: removed", root, key, each, "")
        if node.args and literal_text(node.args[0]):
            first = (path, ast.dump(node.args[0]))
            self._add("literal: argument", root, first, node.args[0], '"changed.csv"')
        items = [*node.args, *node.keywords]
        at = self._code.span(self._number, items[-1])[2] if items else end - 1
        is_simple = re.sub("#.*", "", self._code.cells[self._number][at:end]).strip(" \n,") == ")"
        if is_simple and not any(each.arg in {None, "zz"} for each in node.keywords):
            self._add("argument: added", root, (path,), node, ", zz=0.5" if items else "zz=0.5", at)

    def _add_calls(self, node: ast.Call, path: str) -> None:
        root, end = path.partition(".")[0], self._code.span(self._number, node)[2]
        if isinstance(self._parents[node], ast.Assign):
            self._add("call: method", root, (path,), node, ".copy()", end)
        first = node.args[0] if node.args else None
        if isinstance(first, ast.Name | ast.Subscript) and all(
            is_global(node, self._parents, each.id) for each in ast.walk(first) if isinstance(each, ast.Name)
        ):
            self._add("call: wrapping", root, (path, ast.dump(first)), first, f"np.log({self._text(first)})")


def made(code: Code) -> Iterator[Made]:
    """Yield the edits that a notebook allows."""
    for (kind, root, key), occurrences in Occurrences(code).groups.items():
        fewest = FEWEST_COLUMNS if kind in {"access", "literal: key"} else FEWEST
        occurrences.sort()
        if len(occurrences) >= fewest and all(one[0][:2] != two[0][:2] for one, two in pairwise(occurrences)):
            yield Made(kind, code.cells, occurrences, root, [*traps(kind, root, key, code, occurrences[0])])
    yield from blocks(code)


def blocks(code: Code) -> Iterator[Made]:
    """Yield runs of two statements that occur several times."""
    runs: dict[str, list[tuple[Span, str]]] = defaultdict(list)
    for number, node, _ in code.nodes:
        if isinstance(node, ast.Module):
            for one, two in pairwise(node.body):
                (_, start, _), (_, _, end) = code.span(number, one), code.span(number, two)
                if "#" not in code.cells[number][start:end]:
                    first = code.text(code.span(number, one))
                    runs[ast.dump(one) + ast.dump(two)].append(
                        ((number, start, end), f"{first}\nchanged()\nfinish()")
                    )
    for occurrences in runs.values():
        if len(occurrences) >= FEWEST - 1 and all(
            one[0][2] < two[0][1] or one[0][0] != two[0][0] for one, two in pairwise(occurrences)
        ):
            yield Made("block", code.cells, occurrences)


def traps(
    kind: str, root: str, key: tuple[Any, ...], code: Code, occurrence: tuple[Span, str]
) -> Iterator[str]:
    """Yield cells with the same code in another meaning."""
    number, start, end = occurrence[0]
    for source in (code.cells[number],):
        tree = parsed_cell(source)
        inside = [
            each
            for each in tree.body
            if code.span(number, each)[1] <= start and end <= code.span(number, each)[2]
        ]
        if len(inside) != 1 or isinstance(
            inside[0], ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom
        ):
            return
        text = code.text(code.span(number, inside[0]))
    body = text.replace("\n", "\n    ")
    yield f"def shadowed({root}):\n    {body}"
    yield f"def local_name():\n    {root} = something()\n    {body}"
    yield "# " + text.replace("\n", "\n# ")
    yield f"text = {text!r}"
    yield f"%%bash\n{text}"
    if kind in {"literal: key", "access"}:
        old = f'["{key[0]}"]' if kind == "literal: key" else f".{key[0]}"
        yield f"another_table{old}.sum()\nother.{root}{old}\n{root}2{old}"
        yield f"{root} = another_table()\n{text}"
    elif kind.startswith(("literal", "argument")):
        yield re.sub(rf"(?<![\w.]){root}\b", f"other.{root}", text)


# Asking -----------------------------------------------------------------------------------------------------


def edited(source: str, start: int, end: int, new: str) -> str:
    """Return a source with one replacement."""
    return source[:start] + new + source[end:]


def dumped(source: str) -> str:
    """Return the tree of a source."""
    try:
        return ast.dump(parsed_cell(source))
    except SyntaxError:
        return ""


def distance(one: str, other: str) -> int:
    """Return the number of lexemes that differ."""
    texts = [LEXEME.findall(each) for each in (one, other)]
    opcodes = SequenceMatcher(None, *texts, autojunk=False).get_opcodes()
    return sum(b - a + d - c for tag, a, b, c, d in opcodes if tag != "equal")


def without_argument(source: str, start: int, end: int) -> tuple[int, int]:
    """Return a span with the comma beside it."""
    before = source[:start].rstrip()
    if before.endswith(","):
        return len(before) - 1, end
    after = source[end:]
    rest = after.lstrip()
    return start, end + (len(after) - len(rest) + 1 if rest.startswith(",") else 0)


def two_of(case: Made, rng: random.Random) -> list[int]:
    """Choose two occurrences."""
    return sorted(rng.sample(range(len(case.occurrences)), 2))


def asked(case: Made, chosen: Sequence[int]) -> tuple[RepeatRequest, dict[int, dict[str, Span]]]:
    """Make some of the edits; return the request, and the results of the others by cell."""
    cells, edits = [*case.cells], []
    spans = {at: span for at, (span, _) in enumerate(case.occurrences)}
    for at in chosen:
        number, start, end = spans.pop(at)
        new = case.occurrences[at][1]
        if case.kind == "argument: removed":
            start, end = without_argument(cells[number], start, end)
        before = cells[number]
        cells[number] = edited(before, start, end, new)
        shift = len(cells[number]) - len(before)
        spans = {
            other: (cell, a + shift, b + shift) if cell == number and a > start else (cell, a, b)
            for other, (cell, a, b) in spans.items()
        }
        edits.append((number, before, cells[number]))
    expected: dict[int, dict[str, Span]] = defaultdict(dict)
    for at, (number, start, end) in spans.items():
        new = case.occurrences[at][1]
        if case.kind == "argument: removed":
            start, end = without_argument(cells[number], start, end)  # noqa: PLW2901
        if result := dumped(edited(cells[number], start, end, new)):
            expected[number][result] = (number, start, end)
    (earlier, before, after), (active, last, _) = edits
    request = RepeatRequest(
        cells=[FixCell(source=each) for each in (*cells, *case.traps)],
        active=active,
        before=last,
        earlier=EditedCell(cell=earlier, before=before, after=after),
    )
    return request, expected


def measured(case: Made, notebook: str, chosen: Sequence[int]) -> Result:
    """Make two edits, and compare the offered occurrences."""
    request, expected = asked(case, chosen)
    begun = time.perf_counter()
    try:
        with counted_operations(Operations(MOST_OPERATIONS)):
            found = find(request, rule_of(request))
    except OperationLimitError:
        found = None
    ms = (time.perf_counter() - begun) * 1000
    edits = [each for each in found.edits if case.after.get(each.cell, "") is not None] if found else []
    right, also, wrong, trapped = 0, 0, [], 0
    for each in edits:
        source = request.cells[each.cell].source or ""
        text = edited(source, each.start, each.end, each.text)
        result, new = dumped(text), case.after.get(each.cell) or source
        if each.cell >= len(case.cells):
            trapped += 1
        if expected.get(each.cell, {}).pop(result, None):
            right += 1
        elif distance(text, new) < distance(source, new):
            also += 1
        else:
            wrong.append(
                f"{each.old!r} -> {each.text!r} in {source[max(0, each.start - 60) : each.end + 40]!r}"
            )
    missed = [
        (request.cells[cell].source or "")[max(0, a - 30) : b + 30]
        for occurrences in expected.values()
        for cell, a, b in occurrences.values()
    ]
    examples = [
        f"{case.cells[c][max(0, a - 40) : b + 30]!r} => {new!r}"
        for (c, a, b), new in (case.occurrences[at] for at in chosen)
    ]
    return Result(
        case.kind,
        notebook,
        right + len(missed),
        len(edits),
        right + also,
        trapped,
        len(case.traps),
        ms,
        examples,
        [*wrong, *(f"missed {each!r}" for each in missed)],
        also,
    )


def unlike(one: Made, other: Made, rng: random.Random) -> RepeatRequest:
    """Return a request after two edits that have nothing in common."""
    cells = [*one.cells]
    (number, start, end), new = one.occurrences[0]
    before = cells[number]
    cells[number] = edited(before, start, end, new)
    earlier = EditedCell(cell=number, before=before, after=cells[number])
    (last, start, end), new = other.occurrences[-1]
    if last == number:
        last = (last + 1) % len(cells)
        start, end = sorted(rng.sample(range(len(cells[last]) + 1), 2)) if len(cells[last]) > 1 else (0, 0)
        end = min(end, start + 8)
        new = "x1"
    active = cells[last]
    cells[last] = edited(active, start, end, new)
    return RepeatRequest(
        cells=[FixCell(source=each) for each in cells], active=last, before=active, earlier=earlier
    )


def timed(server: JupyterServer, sources: list[str], count: int, rng: random.Random) -> list[float]:
    """Return the milliseconds of requests for notebooks of `CELLS` cells."""
    times: list[float] = []
    while len(times) <= count:
        code = Code([SETUP, *rng.sample(sources, CELLS - 1)])
        cases = [*made(code)]
        for case in rng.sample(cases, min(len(cases), 5)):
            request, _ = asked(case, two_of(case, rng))
            body = to_builtins(request)
            begun = time.perf_counter()
            server.parsed("POST", "turbopilot/repeat", body)
            times.append((time.perf_counter() - begun) * 1000)
    return times[1:]  # the server imports modules for the first one


# Report -----------------------------------------------------------------------------------------------------


def table(results: Sequence[Result]) -> Iterator[str]:
    """Yield the lines of the report as Markdown."""
    yield "| kind | cases | occurrences | offered | right, of those offered | found | traps | changed |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for kind in ["all", *sorted({each.kind for each in results})]:
        some = [each for each in results if kind in {"all", each.kind}]
        expected, offered, right, trapped, traps, also = (
            sum(getattr(each, name) for each in some)
            for name in ("expected", "offered", "right", "trapped", "traps", "also")
        )
        yield (f"| {kind} | {len(some)} | {expected} | {offered} | {right / max(1, offered):.1%} "
               f"| {(right - also) / max(1, expected):.1%} | {traps} | {trapped} |")  # fmt: skip


def parsed(notebook: TypedNotebook) -> Code:
    """Return the code of a notebook."""
    return Code([SETUP, *(each.source for each in notebook.cells if each.type == "code")])


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    add_options(parser)
    parser.add_argument("--cases", type=int, default=60, help="most cases of each kind")
    parser.add_argument("--of-notebook", type=int, default=4, help="most cases of a kind in a notebook")
    parser.add_argument("--server", type=int, default=0, help="number of timed requests to a server")
    options = parser.parse_args()
    notebooks = [(each.name, parsed(each)) for each in notebooks_of(options)]
    rng = random.Random(options.seed)  # noqa: S311
    rng.shuffle(notebooks)
    results: list[Result] = []
    counts, offers = Counter[str](), list[bool]()
    with ExitStack() as stack:
        log = stack.enter_context(options.log.open("w")) if options.log else None
        for name, code in notebooks:
            cases = [*made(code)]
            rng.shuffle(cases)
            here = Counter[str]()
            for case in cases:
                if counts[case.kind] < options.cases and here[case.kind] < options.of_notebook:
                    counts[case.kind] += 1
                    here[case.kind] += 1
                    results.append(measured(case, name, two_of(case, rng)))
                    if log:
                        print(json.dumps(results[-1].__dict__), file=log, flush=True)
            for one, other in pairwise(cases[:12]):
                if one.kind != other.kind:
                    request = unlike(one, other, rng)
                    found = find(request, rule_of(request))
                    offers.append(found is not None)
                    if found and log:
                        print(
                            json.dumps({"unlike": [one.kind, other.kind], "edits": str(found.edits)}),
                            file=log,
                        )
    print("\n".join(table(results)))
    print(f"\nUnlike edits: {len(offers)}, with an offer: {sum(offers)}")
    print(described("Search", [each.ms for each in results]))
    if options.server:
        sources = [cell for _, code in notebooks for cell in code.cells[1:]]
        with ExitStack() as stack:
            stack.enter_context(keeping_busy(options.busy))
            server = stack.enter_context(server_without_model())
            times = timed(server, sources, options.server, rng)
        print(described(f"Request to answer, {CELLS} cells", times))
    print(f"Targets: {TARGETS}")


def described(title: str, times: Sequence[float]) -> str:
    """Return percentiles of times."""
    return f"{title}: p50 {percentile(times, 0.5):.1f} ms, p95 {percentile(times, 0.95):.1f} ms"


if __name__ == "__main__":
    main()
