"""Functions written with those they call; on demand tested, and written again as long as they fail."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from msgspec import structs

from jupyter_turbopilot.context.facts import NONE
from jupyter_turbopilot.errors import BadRequestError, TurbopilotError
from jupyter_turbopilot.hierarchy.existing import existing_for
from jupyter_turbopilot.hierarchy.parsing import functions_in
from jupyter_turbopilot.hierarchy.result import Result, result_of, runnable
from jupyter_turbopilot.hierarchy.stub import read_asked
from jupyter_turbopilot.running.doctests import (
    Verdict,
    doctest_program,
    doctests_of,
    may_change,
    verdict_of,
)
from jupyter_turbopilot.running.program import NO_SANDBOX, run_program
from jupyter_turbopilot.shell.output import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jupyter_turbopilot.hierarchy.event import Event, Tree
    from jupyter_turbopilot.request import Hierarchy
    from jupyter_turbopilot.shell.output import TreeOutput

    Ask = Callable[[Hierarchy], Iterator[Event]]
    Tell = Callable[[str], None]

UNFINISHED = "The answer ended too early."
ATTEMPTS = 4  # times that functions are written whose doctests fail


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

    Of several attempts the one is kept whose examples get furthest. Neither Ctrl C nor an error loses what is
    finished.
    """

    def say(words: str) -> None:
        tell(printable(words))  # a model, or what it wrote, chose some of the words

    doctests = _doctests(request.source) if test else ""
    if test:
        say(NO_SANDBOX if doctests else "There are no doctests in what you gave: nothing is run.")
    attempts = _Attempts(request, doctests, say)
    try:
        return attempts.run(ask, output)
    except KeyboardInterrupt:
        return replace(attempts.kept(_functions(request, output.tree)), stopped=True)
    except TurbopilotError as error:
        found = attempts.kept(_functions(request, output.tree))
        if not found.source:
            raise
        return replace(found, broken=printable(error.message))
    finally:
        with suppress(KeyboardInterrupt):  # what is kept is not lost for it
            if words := attempts.choice():
                say(words)


class _Attempts:
    """Functions that are written until their doctests pass."""

    def __init__(self, request: Hierarchy, doctests: str, say: Tell) -> None:
        self._request = request
        self._doctests = doctests
        self._say = say
        self._above = read_asked(request.source).above
        self._made = 0
        self._passed = False
        self._best = Functions()
        self._reached = -1  # the example of it that failed
        self._number = 0  # which attempt it is

    def run(self, ask: Ask, output: TreeOutput) -> Functions:
        """Have functions written as long as they fail and others may not; return the best."""
        while self._made < ATTEMPTS:
            if self._made:
                self._say(f"The functions are written again: attempt {self._made + 1} of {ATTEMPTS}.")
            found = self._write(ask, output)
            if not output.tree.done:
                return replace(self.kept(found), broken=UNFINISHED)
            source = runnable(found.source, self._above)
            verdict = self._judge(source)
            if not verdict.why:
                self._passed = True
                return found
            if not self._best.source or verdict.failed > self._reached:
                self._best = replace(found, failed=printable(verdict.why))
                self._reached, self._number = verdict.failed, self._made
            self._say(f"A doctest fails: {verdict.why}")
            if not may_change(self._doctests, verdict.failed, functions_in(source)):
                self._say("No function can change how that example ends, so none is written again.")
                break
        return self._best

    def _write(self, ask: Ask, output: TreeOutput) -> Functions:
        """Have functions written once more, drawn otherwise."""
        attempt = self._request.attempt + self._made
        self._made += 1
        output.begin()
        try:
            for event in ask(structs.replace(self._request, attempt=attempt)):
                output.show(event)
        finally:
            output.end()
        return _functions(self._request, output.tree)

    def _judge(self, source: str) -> Verdict:
        """Run the doctests, if there are any."""
        if not self._doctests:
            return Verdict()
        return verdict_of(run_program(doctest_program(source, self._doctests)), self._doctests)

    def kept(self, last: Functions) -> Functions:
        """Return the best attempt; where none came to its end, what there is of the last."""
        return self._best if self._best.source else last

    def choice(self) -> str:
        """Say which of several attempts is kept, if none passed."""
        if self._passed or not self._best.source or self._made < 2:  # noqa: PLR2004
            return ""
        return f"Attempt {self._number} of {self._made} is kept: {self._best.failed}"


def _doctests(source: str) -> str:
    """Return the doctests that a person wrote."""
    stub = read_asked(source).stub
    try:
        doctests = doctests_of(stub.unwritten) if stub else ""
        doctest_program("", doctests)  # says now what could not be run later
    except ValueError as error:
        raise BadRequestError(f"The doctests cannot be read: {error}.", field="source") from None
    return doctests


def _functions(request: Hierarchy, tree: Tree) -> Functions:
    """Return what was written, all of it or up to where it was stopped."""
    if tree.done:
        return Functions(tree.done.name, tree.done.source, tree.done.undefined)
    functions, above = tree.functions, read_asked(request.source).above
    existing = existing_for(request, NONE, above)
    known = existing.names - functions.keys()
    result = result_of(above, functions, known, open_=existing.open) if functions else Result("")
    return Functions(next(iter(functions), ""), result.source, result.undefined)
