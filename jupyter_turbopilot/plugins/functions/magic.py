"""Multi-function generation in a shell, with optional doctests and retries."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from msgspec import structs

from jupyter_turbopilot.context.kernel_context import NONE
from jupyter_turbopilot.plugins.functions.existing import existing_names_for
from jupyter_turbopilot.plugins.functions.parsing import functions_in
from jupyter_turbopilot.plugins.functions.result import Result, result_of, runnable
from jupyter_turbopilot.plugins.functions.stub import parse_instruction
from jupyter_turbopilot.protocol.errors import BadRequestError, TurbopilotError
from jupyter_turbopilot.terminal.output import printable
from jupyter_turbopilot.util.running.doctests import (
    DoctestResult,
    doctest_program,
    doctests_of,
    may_change,
    verdict_of,
)
from jupyter_turbopilot.util.running.program import NO_SANDBOX, run_program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jupyter_turbopilot.plugins.functions.event import Event
    from jupyter_turbopilot.plugins.functions.request import FunctionRequest
    from jupyter_turbopilot.plugins.functions.tree_output import TreeOutput

    Ask = Callable[[FunctionRequest], Iterator[Event]]
    Notify = Callable[[str], None]

UNFINISHED = "The answer ended too early."
ATTEMPTS = 4  # generations of functions whose doctests fail


@dataclass(frozen=True)
class Functions:
    """The generated functions, and how the generation ended."""

    name: str = ""  # of the first function
    source: str = ""
    undefined: tuple[str, ...] = ()
    stopped: bool = False  # whether the user interrupted it
    failed: str = ""  # why a doctest failed
    broken: str = ""  # the error that ended it early


def write(
    request: FunctionRequest, ask: Ask, output: TreeOutput, notify: Notify, *, test: bool = False
) -> Functions:
    """Generate functions; with `test`, retry while their doctests fail.

    The attempt whose examples get furthest is kept. Neither Ctrl C nor an error discards finished functions.
    """
    doctests = _doctests(request.source) if test else ""
    attempts = _Attempts(request, doctests, output, notify)
    if test:
        attempts.report(NO_SANDBOX if doctests else "The stub contains no doctests: nothing is run.")
    try:
        return attempts.run(ask)
    except KeyboardInterrupt:
        return replace(attempts.kept(), stopped=True)
    except TurbopilotError as error:
        found = attempts.kept()
        if not found.source:
            raise
        return replace(found, broken=printable(error.message))
    finally:
        with suppress(KeyboardInterrupt):  # an interrupt must not discard the result
            attempts.report_choice()


class _Attempts:
    """Repeated generation until the doctests pass."""

    def __init__(self, request: FunctionRequest, doctests: str, output: TreeOutput, notify: Notify) -> None:
        self._request = request
        self._doctests = doctests
        self._output = output
        self._notify = notify
        self._above = parse_instruction(request.source).above
        self._made = 0
        self._best = Functions()
        self._reached = -1  # index of its example that failed
        self._number = 0  # number of the best attempt

    def report(self, message: str) -> None:
        self._notify(printable(message))  # parts of the text may come from a model

    def run(self, ask: Ask) -> Functions:
        """Generate functions until they pass or retrying cannot help; return the best attempt."""
        while self._made < ATTEMPTS:
            if self._made:
                self.report(f"Generating the functions again: attempt {self._made + 1} of {ATTEMPTS}.")
            self._write(ask)
            if not self._output.tree.done:
                return replace(self.kept(), broken=UNFINISHED)
            found = self._functions()
            source = runnable(found.source, self._above)
            verdict = self._judge(source)
            if not verdict.why:
                self._best = Functions()  # none of the failed attempts is kept
                return found
            if not self._best.source or verdict.failed > self._reached:
                self._best = replace(found, failed=printable(verdict.why))
                self._reached, self._number = verdict.failed, self._made
            self.report(f"A doctest fails: {verdict.why}")
            if not may_change(self._doctests, verdict.failed, functions_in(source)):
                self.report("No function can change the result of that example, so none is generated again.")
                break
        return self._best

    def _write(self, ask: Ask) -> None:
        """Generate functions once, with a different seed each time."""
        attempt = self._request.attempt + self._made
        self._made += 1
        self._output.begin()
        try:
            for event in ask(structs.replace(self._request, attempt=attempt)):
                self._output.show(event)
        finally:
            self._output.end()

    def _judge(self, source: str) -> DoctestResult:
        """Run the doctests, if any."""
        if not self._doctests:
            return DoctestResult()
        return verdict_of(run_program(doctest_program(source, self._doctests)), self._doctests)

    def kept(self) -> Functions:
        """Return the best attempt, or the result of the last one, which may be partial."""
        return self._best if self._best.source else self._functions()

    def report_choice(self) -> None:
        """Report which attempt is kept, if none passed."""
        if self._best.source and self._made > 1:
            self.report(f"Keeping attempt {self._number} of {self._made}. {self._best.failed}")

    def _functions(self) -> Functions:
        """Return the generated functions, complete or up to an interruption."""
        tree = self._output.tree
        if tree.done:
            return Functions(tree.done.name, tree.done.source, tree.done.undefined)
        existing = existing_names_for(self._request, NONE, self._above)
        functions = tree.functions
        known = existing.names - functions.keys()
        result = result_of(self._above, functions, known, open_=existing.open) if functions else Result("")
        return Functions(next(iter(functions), ""), result.source, result.undefined)


def _doctests(source: str) -> str:
    """Return the doctests that the user wrote."""
    stub = parse_instruction(source).stub
    try:
        doctests = doctests_of(stub.unwritten) if stub else ""
        doctest_program("", doctests)  # raises ValueError for invalid doctests
    except ValueError as error:
        raise BadRequestError(f"The doctests are invalid: {error}.", field="source") from None
    return doctests
