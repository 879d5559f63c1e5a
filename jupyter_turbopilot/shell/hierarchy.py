"""Functions written with those they call, shown as a tree that grows; on demand tested and written again."""

from __future__ import annotations

import html
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from msgspec import structs

from jupyter_turbopilot.context.facts import NONE
from jupyter_turbopilot.errors import BadRequestError, TurbopilotError
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

UNFINISHED = "The answer ended too early."
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
    broken: str = ""  # why it was not completed, if not by the person


def write(request: Hierarchy, ask: Ask, output: TreeOutput, tell: Tell, *, test: bool = False) -> Functions:
    """Have functions written; with `test`, those that fail are written again.

    Neither Ctrl C nor an error loses what is finished.
    """

    def say(words: str) -> None:
        tell(printable(words))  # a model, or what it wrote, chose some of the words

    doctests = _doctests(request.source) if test else ""
    if test:
        say(NO_SANDBOX if doctests else "There are no doctests in what you gave: nothing is run.")
    first = Functions()
    try:
        for attempt in range(AGAIN + 1):
            found = _ask(structs.replace(request, attempt=request.attempt + attempt), ask, output)
            if not output.tree.done:
                return replace(first if first.source else found, broken=UNFINISHED)
            why = _why_it_fails(found, doctests)
            if not why:
                return found
            first = first if first.source else replace(found, failed=why)
            say(f"A doctest fails: {why}")
            if attempt < AGAIN:
                say(f"The functions are written again ({attempt + 1} of {AGAIN}).")
    except KeyboardInterrupt:
        return replace(first if first.source else _functions(request, output.tree), stopped=True)
    except TurbopilotError as error:
        found = first if first.source else _functions(request, output.tree)
        if not found.source:
            raise
        return replace(found, broken=printable(error.message))
    return first


def _doctests(source: str) -> str:
    """Return the doctests that a person wrote."""
    stub = read_asked(source).stub
    try:
        doctests = doctests_of(stub.unwritten) if stub else ""
        doctest_program("", doctests)  # says now what could not be run later
    except ValueError as error:
        raise BadRequestError(f"The doctests cannot be read: {error}.", field="source") from None
    return doctests


def _ask(request: Hierarchy, ask: Ask, output: TreeOutput) -> Functions:
    """Have functions written once."""
    output.begin()
    for event in ask(request):
        output.show(event)
    return _functions(request, output.tree)


def _why_it_fails(written: Functions, doctests: str) -> str:
    """Run the doctests, if there are any."""
    outcome = run_program(doctest_program(written.source, doctests)) if doctests else Outcome(passed=True)
    return "" if outcome.passed else printable(outcome.why) or "no reason was given"


def _functions(request: Hierarchy, tree: Tree) -> Functions:
    """Return what was written, all of it or up to where it was stopped."""
    if tree.done:
        return Functions(tree.done.name, tree.done.source, tree.done.undefined)
    functions, above = tree.functions, read_asked(request.source).above
    existing = existing_for(request, NONE, above)
    known = existing.names - functions.keys()
    result = result_of(above, functions, known, open_=existing.open) if functions else Result("")
    return Functions(next(iter(functions), ""), result.source, result.undefined)
