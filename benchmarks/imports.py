"""Counts how many suggestions that are hidden for a missing module would be shown, with which import.

Every line of real notebooks stands for a suggestion, in a notebook from which all imports are taken away. It
would be hidden if it names a module. It counts as right if the lines that are added bind the same objects as
the notebook's own imports. With memory, the other notebooks of the same package are the person's own, without
those that share half of their lines with the one that is typed. Every module counts as installed.
"""

from __future__ import annotations

import argparse
import ast
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.context.magics import as_python
from jupyter_turbopilot.evaluate.notebooks import read
from jupyter_turbopilot.request import Cell, Completion
from jupyter_turbopilot.suggestion.imports import Sources, binding, bound_name, import_lines
from jupyter_turbopilot.suggestion.names import Names
from jupyter_turbopilot.suggestion.resolve import Scope, bindings, unresolved

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.evaluate.notebooks import TypedNotebook


@dataclass
class Outcome:
    """What became of suggestions."""

    hidden: int = 0
    right: int = 0
    wrong: int = 0
    names: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        if not self.hidden:
            return "nothing was hidden"
        right, wrong = self.right / self.hidden, self.wrong / self.hidden
        return f"{self.hidden} hidden, {right:.1%} shown with the right import, {wrong:.1%} with a wrong one"


def bare_cells(notebook: TypedNotebook) -> list[str]:
    """Return the code cells that Python can parse, without their imports."""
    cells = (as_python(cell.source) for cell in notebook.cells if cell.type == "code")
    return [bare for cell in cells if (bare := _without_imports(cell)) is not None]


def _without_imports(source: str) -> str | None:
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
    """Return the lines that bind each imported name."""
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
                    found.setdefault(name, set()).add(binding(line, name))
    return found


def means(line: str) -> str:
    """Return the object that a line of one name binds."""
    words = line.split()
    if words[0] == "from":
        return f"{words[1]}.{words[3]}"
    return words[1] if "as" in words else bound_name(line)


class Siblings:
    """The imports of a package's other notebooks, in the place of memory."""

    def __init__(self, notebook: TypedNotebook, others: Sequence[TypedNotebook]) -> None:
        self._documents = [
            [line for cell in other.cells if cell.type == "code" for line in import_lines(cell.source)]
            for other in others
            if other.name != notebook.name
            and other.name.split("__")[0] == notebook.name.split("__")[0]
            and _shared(notebook, other) < 0.5  # noqa: PLR2004
        ]

    def imports(self, name: str) -> list[tuple[str, int]]:
        """Return import lines that bind a name, with how many documents have them."""
        counts: Counter[str] = Counter()
        for document in self._documents:
            counts.update({binding(line, name) for line in document} - {""})
        return counts.most_common()


def _shared(notebook: TypedNotebook, other: TypedNotebook) -> float:
    lines, others = (
        {line.strip() for cell in each.cells for line in cell.source.split("\n") if len(line.strip()) > 5}  # noqa: PLR2004
        for each in (notebook, other)
    )
    return len(lines & others) / max(1, len(lines))


def suggestions(notebook: TypedNotebook) -> Iterator[tuple[Completion, str]]:
    """Yield every line of code with the request that it would be the answer to."""
    for cell in bare_cells(notebook):
        at = 0
        for line in cell.split("\n"):
            text = line.strip()
            start = at + len(line) - len(line.lstrip())
            if text and not text.startswith("#"):
                yield Completion(cells=[Cell(source=cell[:start])], offset=start), text
            at += len(line) + 1


def count(notebook: TypedNotebook, sources: Sources, outcome: Outcome) -> None:
    """Count what would become of a notebook's lines."""
    own = own_imports(notebook)
    scope = Scope(names=frozenset().union(*map(bindings, bare_cells(notebook))) - own.keys())
    for request, text in suggestions(notebook):
        line = request.prefix.rpartition("\n")[2]
        missing = set(unresolved(line, text, scope, bindings(request.prefix)))
        if not missing or not missing <= own.keys():
            continue
        outcome.hidden += 1
        names = Names(request, scope, sources)
        if not names.fit(text):
            outcome.names.update(f"{name} hidden" for name in missing)
            continue
        added = {bound_name(line): line for line in names.imports(text)}
        bad = [
            name
            for name, line in added.items()
            if means(line) not in {means(known) for known in own.get(name, ()) if known}
        ]
        outcome.wrong += bool(bad)
        outcome.right += not bad
        outcome.names.update(f"{name} wrong: {added[name]}" for name in bad)


def main() -> None:
    """Count them without memory and with it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", type=Path, required=True, help="a folder of notebooks, or a prepared set")
    parser.add_argument("--names", type=int, default=0, help="print so many names that were hidden or wrong")
    options = parser.parse_args()
    notebooks = read(options.set)
    outcomes = {"conventions": Outcome(), "with memory": Outcome()}
    for notebook in notebooks:
        siblings = Siblings(notebook, notebooks)
        count(notebook, Sources(lambda _: [], lambda _: True), outcomes["conventions"])
        count(notebook, Sources(siblings.imports, lambda _: True), outcomes["with memory"])
    for title, outcome in outcomes.items():
        print(f"{title}: {outcome}")
        for name, times in outcome.names.most_common(options.names):
            print(f"  {times:4} {name}")


if __name__ == "__main__":
    main()
