"""Counts how many suggestions that are hidden for a missing module would be shown, with which import.

Every line of real notebooks stands for a suggestion, in a notebook from which all imports are taken away.
With `--ask` it is what the model suggests where such a line begins, at the eager setting.

It would be hidden if a name is missing that the notebook imports. It is right if the lines that are added
bind the same objects as those of the notebook, and wrong if one binds another, or a name that the notebook
never imports: of texts that lack such names, too, those count that are shown. With memory, the other
notebooks of the same package are the person's own, without those that share half of their lines with the one
that is typed. Every module counts as installed.
"""

from __future__ import annotations

import argparse
import ast
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.context.magics import as_python
from jupyter_turbopilot.evaluate.notebooks import read
from jupyter_turbopilot.memory.import_lines import imports_of
from jupyter_turbopilot.request import Cell, Completion
from jupyter_turbopilot.shell.in_process import InProcess
from jupyter_turbopilot.suggestion.imports import Found, Sources, binding, bound_name
from jupyter_turbopilot.suggestion.names import Names
from jupyter_turbopilot.suggestion.resolve import Scope, bindings, unresolved

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.evaluate.notebooks import TypedNotebook


@dataclass
class Outcome:
    """What became of suggestions."""

    texts: int = 0
    seconds: float = 0.0  # in which they were judged
    hidden: int = 0
    right: int = 0
    wrong: int = 0
    unknown: int = 0  # of the wrong ones, those with an import of a name that the notebook never imports
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
                    if alone := binding(line, name):
                        found.setdefault(name, set()).add(alone)
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
            {found for cell in other.cells if cell.type == "code" for found in imports_of(cell.source)}
            for other in others
            if other.name != notebook.name
            and other.name.split("__")[0] == notebook.name.split("__")[0]
            and _shared(notebook, other) < 0.5  # noqa: PLR2004
        ]

    def imports(self, name: str, *, near: bool) -> list[tuple[str, int]]:  # noqa: ARG002 - all are in one folder
        """Return import lines that bind a name, with how many documents have them."""
        lines = ({found.line for found in document if found.name == name} for document in self._documents)
        return Counter(line for found in lines for line in found).most_common()


def nothing(_: str, *, near: bool) -> list[tuple[str, int]]:  # noqa: ARG001
    """Remember nothing."""
    return []


def anywhere(_: str) -> Found:
    """Have every module."""
    return Found.ANYWHERE


def _shared(notebook: TypedNotebook, other: TypedNotebook) -> float:
    lines, others = (
        {line.strip() for cell in each.cells for line in cell.source.split("\n") if len(line.strip()) > 5}  # noqa: PLR2004
        for each in (notebook, other)
    )
    return len(lines & others) / max(1, len(lines))


class Bare:
    """A notebook from which all imports are taken away, all of whose cells have run."""

    def __init__(self, notebook: TypedNotebook) -> None:
        self._cells = bare_cells(notebook)
        self.own = own_imports(notebook)
        self.scope = Scope(names=frozenset().union(*map(bindings, self._cells)) - self.own.keys())

    def lines(self) -> Iterator[tuple[Completion, str]]:
        """Yield every line of code with the request that it would be the answer to."""
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
        """Return the names that hide a text."""
        if Names(request, self.scope).fit(text):
            return set()  # it is for a shell or a magic, or in a string
        line = request.prefix.rpartition("\n")[2]
        return set(unresolved(line, text, self.scope, bindings(request.prefix)))

    def count(self, request: Completion, text: str, sources: Sources | None, outcome: Outcome) -> None:
        """Count what becomes of a text."""
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
            return  # it lacks something else, and stays hidden
        bad = [name for name, line in added.items() if means(line) not in map(means, self.own.get(name, ()))]
        outcome.hidden += 1
        outcome.wrong += bool(bad)
        outcome.unknown += not added.keys() <= self.own.keys()
        outcome.right += shown and not bad
        outcome.names.update(f"{name} wrong: {added[name]}" for name in bad)
        outcome.names.update(f"{name} hidden" for name in missing if not shown)


def suggested(
    bare: Bare, local: InProcess, most: int, rng: random.Random
) -> Iterator[tuple[Completion, str]]:
    """Yield what the model suggests where a line begins that needs a module."""
    lines = ((request, bare.lacks(request, text)) for request, text in bare.lines())
    places = [request for request, missing in lines if missing and missing <= bare.own.keys()]
    for request in rng.sample(places, min(most, len(places))):
        reply = local.last(request)  # without a kernel's facts no name hides it
        if reply.items:
            yield request, reply.items[0].text


def main() -> None:
    """Count them without memory and with it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", type=Path, required=True, help="a folder of notebooks, or a prepared set")
    parser.add_argument("--names", type=int, default=0, help="print so many names that were hidden or wrong")
    parser.add_argument("--ask", type=int, default=0, help="ask the model at so many places of each notebook")
    options = parser.parse_args()
    notebooks = read(options.set)
    local = InProcess(Turbopilot(keep_sequences=False, considerate=False)) if options.ask else None
    if local:
        local.wait()
    rng, turns = random.Random(1), random.Random(2)  # noqa: S311 - the same places and turns every time
    asked = 0
    outcomes = {"without imports": Outcome(), "conventions": Outcome(), "with memory": Outcome()}
    for notebook in notebooks:
        bare = Bare(notebook)
        own = Sources(Siblings(notebook, notebooks).imports, anywhere)
        for request, text in suggested(bare, local, options.ask, rng) if local else bare.lines():
            asked += 1
            ways = zip(outcomes.values(), (None, Sources(nothing, anywhere), own), strict=True)
            # What is judged first fills the caches for the others: each in turn.
            for outcome, sources in sorted(ways, key=lambda _: turns.random()):
                bare.count(request, text, sources, outcome)
    print(f"{asked} texts")
    for title, outcome in outcomes.items():
        print(f"{title}: {outcome}")
        for name, times in outcome.names.most_common(options.names):
            print(f"  {times:4} {name}")
    if local:
        local.close()


if __name__ == "__main__":
    main()
