"""Functions written with those they call, shown as a tree that grows; on demand tested and written again."""

from __future__ import annotations

import html
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from msgspec import structs

from jupyter_turbopilot.context.facts import NONE
from jupyter_turbopilot.errors import BadRequestError
from jupyter_turbopilot.hierarchy.existing import existing_for
from jupyter_turbopilot.hierarchy.result import Result, result_of
from jupyter_turbopilot.hierarchy.stub import read_asked
from jupyter_turbopilot.hierarchy.tree import Tree
from jupyter_turbopilot.running import NO_SANDBOX, Outcome, doctest_program, doctests_of, run_program
from jupyter_turbopilot.shell.output import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jupyter_turbopilot.hierarchy.event import Event
    from jupyter_turbopilot.request import Hierarchy

    Ask = Callable[[Hierarchy], Iterator[Event]]
    Tell = Callable[[str], None]

AGAIN = 3  # times that functions are written again whose doctests fail


class TreeOutput:
    """The tree as it grows: lines in a terminal, one display that is updated in a notebook."""

    def __init__(self, *, terminal: bool) -> None:
        self._terminal = terminal
        self._handle: Any = None
        self.tree = Tree()

    def begin(self) -> None:
        """Begin another tree."""
        self.tree, self._handle = Tree(), None

    def show(self, event: Event) -> None:
        """Show what happened."""
        node = self.tree.add(event)
        if node and self._terminal and event.event != "writing":
            print(printable(node.words()), file=sys.stderr, flush=True)  # noqa: T201
        elif node and not self._terminal:
            self._update(printable("\n".join(self.tree.lines())))

    def _update(self, text: str) -> None:
        from IPython.display import display

        data = {"text/plain": text, "text/html": f"<pre>{html.escape(text)}</pre>"}
        if self._handle is None:
            self._handle = display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)


@dataclass(frozen=True)
class Functions:
    """What was written, and how that ended."""

    name: str = ""  # of the first one
    source: str = ""
    undefined: tuple[str, ...] = ()
    stopped: bool = False  # by the person, before the end
    failed: str = ""  # what the doctests said that failed


def write(request: Hierarchy, ask: Ask, output: TreeOutput, tell: Tell, *, test: bool = False) -> Functions:
    """Have functions written; with `test`, those that fail are written again. Ctrl C keeps what there is."""
    doctests = _doctests(request.source) if test else ""
    if test:
        tell(NO_SANDBOX if doctests else "There are no doctests in what you gave: nothing is run.")
    first = Functions()
    for attempt in range(AGAIN + 1):
        output.begin()
        try:
            for event in ask(structs.replace(request, attempt=request.attempt + attempt)):
                output.show(event)
            found = _functions(request, output.tree)
            outcome = (
                run_program(doctest_program(found.source, doctests)) if doctests else Outcome(passed=True)
            )
        except KeyboardInterrupt:
            return replace(first if first.source else _functions(request, output.tree), stopped=True)
        if outcome.passed:
            return found
        tell(f"A doctest fails: {outcome.why}")
        first = first if first.source else replace(found, failed=outcome.why)
        if attempt < AGAIN:
            tell(f"The functions are written again ({attempt + 1} of {AGAIN}).")
    return first


def _doctests(source: str) -> str:
    """Return the doctests that a person wrote."""
    stub = read_asked(source).stub
    try:
        doctests = doctests_of(stub.unwritten) if stub else ""
        doctest_program("", doctests)
    except ValueError as error:
        raise BadRequestError(f"The doctests cannot be read: {error}.", field="source") from None
    return doctests


def _functions(request: Hierarchy, tree: Tree) -> Functions:
    """Return what was written, all of it or up to where it was stopped."""
    if tree.done:
        return Functions(tree.done.name, tree.done.source, tree.done.undefined)
    known = existing_for(request, NONE).names
    functions = tree.functions
    result = result_of(read_asked(request.source).above, functions, known) if functions else Result("")
    return Functions(next(iter(functions), ""), result.source, result.undefined)
