"""How many suggestions that are hidden for a missing import could be shown, and with which import.

python research/benchmarks/imports.py --set NOTEBOOKS [--names 20]

Every line of the notebooks is treated as a suggestion, in a notebook without imports. It is hidden if it uses
a name that the notebook imports. It is correct if the added lines bind the same objects as those of the
notebook, and wrong if one binds another object, or a name that the notebook never imports. With the index,
the other notebooks of the package are the user's own, except those that share half of their lines with the
typed one. Every module counts as installed.
"""

from __future__ import annotations

import argparse
import ast
import random
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.analysis.imports import ModuleLocation, Sources, binding, bound_name
from jupyter_turbopilot.analysis.languages import as_python
from jupyter_turbopilot.analysis.resolve import Scope, bindings, unresolved
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.suggestion.names import Names
from turbopilot_research.evaluate.index_shelf import SIBLINGS, IndexShelf
from turbopilot_research.evaluate.notebooks import read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jupyter_turbopilot.index.reader import NotebookIndex
    from turbopilot_research.evaluate.notebooks import TypedNotebook


@dataclass
class Outcome:
    """Counts of outcomes."""

    texts: int = 0
    seconds: float = 0.0  # of judging
    hidden: int = 0
    right: int = 0
    wrong: int = 0
    unknown: int = 0  # wrong ones with an import of a name that the notebook never imports
    names: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        judged = f"each judged in {self.seconds / max(1, self.texts) * 1000:.3f} ms"
        if not self.hidden:
            return f"{judged}; nothing was hidden"
        right, wrong = self.right / self.hidden, self.wrong / self.hidden
        return (
            f"{judged}; {self.hidden} hidden, {right:.1%} shown with the right import, "
            f"{wrong:.1%} with a wrong one, {self.unknown} times a name that the notebook never imports"
        )


def bare_cells(notebook: TypedNotebook) -> list[str]:
    """Return the code cells that Python can parse, without their imports."""
    cells = (as_python(cell.source) for cell in notebook.cells if cell.type == "code")
    return [bare for cell in cells if (bare := without_imports(cell)) is not None]


def without_imports(source: str) -> str | None:
    """Return a cell without its imports, or None if Python cannot parse it."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    lines = source.split("\n")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[number] = ""
    return "\n".join(lines)


def own_imports(notebook: TypedNotebook) -> dict[str, set[str]]:
    """Return the import lines by imported name."""
    found: dict[str, set[str]] = {}
    for cell in notebook.cells:
        try:
            tree = ast.parse(as_python(cell.source)) if cell.type == "code" else ast.parse("")
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                line = ast.unparse(node)
                for alias in node.names:
                    name = alias.asname or alias.name.partition(".")[0]
                    if alone := binding(line, name):
                        found.setdefault(name, set()).add(alone)
    return found


def means(line: str) -> str:
    """Return the object that an import line of one name binds."""
    parts = line.split()
    if parts[0] == "from":
        return f"{parts[1]}.{parts[3]}"
    return parts[1] if "as" in parts else bound_name(line)


def nothing(_: str, *, near: bool) -> list[tuple[str, int]]:  # noqa: ARG001
    """Find nothing."""
    return []


def indexed(memory: NotebookIndex) -> Callable[..., Sequence[tuple[str, int]]]:
    """Return a function that looks up imports in an index."""

    def imports(name: str, *, near: bool) -> Sequence[tuple[str, int]]:  # noqa: ARG001
        return memory.imports(name)

    return imports


def anywhere(_: str) -> ModuleLocation:
    """Find every module."""
    return ModuleLocation.ANYWHERE


class Bare:
    """A notebook without its imports, whose cells were all executed."""

    def __init__(self, notebook: TypedNotebook) -> None:
        self._cells = bare_cells(notebook)
        self.own = own_imports(notebook)
        self.scope = Scope(names=frozenset().union(*map(bindings, self._cells)) - self.own.keys())

    def lines(self) -> Iterator[tuple[Completion, str]]:
        """Iterate over the lines of code, each with the request that it answers."""
        for number, cell in enumerate(self._cells):
            above = [Cell(source=source, executed=True) for source in self._cells[:number]]
            at = 0
            for line in cell.split("\n"):
                text = line.strip()
                start = at + len(line) - len(line.lstrip())
                if text and not text.startswith("#"):
                    request = Completion(
                        cells=[*above, Cell(source=cell[:start])],
                        active=number,
                        offset=start,
                        trigger="automatic",
                        eagerness="eager",
                    )
                    yield request, text
                at += len(line) + 1

    def lacks(self, request: Completion, text: str) -> set[str]:
        """Return the missing names that hide a text."""
        if Names(request, self.scope).fit(text):
            return set()  # a shell command, a magic, or within a string
        line = request.prefix.rpartition("\n")[2]
        return set(unresolved(line, text, self.scope, bindings(request.prefix)))

    def count(self, request: Completion, text: str, sources: Sources | None, outcome: Outcome) -> None:
        """Count the outcome of a text."""
        begun = time.perf_counter()
        names = Names(request, self.scope, sources)
        shown = names.fit(text)
        lines = names.imports(text)
        outcome.seconds += time.perf_counter() - begun
        outcome.texts += 1
        if not (missing := self.lacks(request, text)):
            return
        added = {bound_name(line): line for line in lines} if shown else {}
        if not (shown or missing <= self.own.keys()):
            return  # hidden for another reason
        bad = [name for name, line in added.items() if means(line) not in map(means, self.own.get(name, ()))]
        outcome.hidden += 1
        outcome.wrong += bool(bad)
        outcome.unknown += not added.keys() <= self.own.keys()
        outcome.right += shown and not bad
        outcome.names.update(f"{name} wrong: {added[name]}" for name in bad)
        outcome.names.update(f"{name} hidden" for name in missing if not shown)


def main() -> None:
    """Count the lines without imports, with the table of conventions, and with the index."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", type=Path, required=True, help="a folder of notebooks, or a prepared set")
    parser.add_argument("--names", type=int, default=0, help="number of hidden or wrong names to print")
    parser.add_argument("--small", action="store_true", help="three notebooks")
    options = parser.parse_args()
    notebooks = read(options.set)
    turns = random.Random(2)  # noqa: S311 - the same turns every time
    outcomes = {"without imports": Outcome(), "conventions": Outcome(), "with the index": Outcome()}
    with closing(IndexShelf(SIBLINGS, notebooks)) as shelf:
        for notebook in notebooks[: 3 if options.small else None]:
            bare = Bare(notebook)
            index = Sources(indexed(shelf.index_for(notebook.name)), anywhere)
            candidates = [*zip(outcomes.values(), (None, Sources(nothing, anywhere), index), strict=True)]
            for request, text in bare.lines():
                # The first one fills the caches of the others, so alternate the order.
                for outcome, sources in sorted(candidates, key=lambda _: turns.random()):
                    bare.count(request, text, sources, outcome)
    for title, outcome in outcomes.items():
        print(f"{title}: {outcome}")
        for name, times in outcome.names.most_common(options.names):
            print(f"  {times:4} {name}")


if __name__ == "__main__":
    main()
