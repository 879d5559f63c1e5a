"""Has the model write a function, or the head of one, as often as it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from jupyter_turbopilot.hierarchy.body import Part, complete_part, with_body
from jupyter_turbopilot.hierarchy.question import Continuation, Question, completion_for
from jupyter_turbopilot.hierarchy.stub import Stub, stub_with_head

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from jupyter_turbopilot.hierarchy.spending import Spending
    from jupyter_turbopilot.hierarchy.stub import Asked
    from jupyter_turbopilot.request import Hierarchy

TRIES = 3  # how often a function is asked for that does not parse, or has no body
LONGEST = 512  # tokens of a function, all that was written for it counted
UNNAMED = "generated"


class Author:
    """Asks for functions; `above` returns what stands above the next one."""

    def __init__(self, request: Hierarchy, spending: Spending, above: Callable[[], Sequence[str]]) -> None:
        self._request = request
        self._spending = spending
        self._above = above

    def head(self, asked: Asked) -> Generator[Question, Continuation | None, Stub]:
        """Have the name and the parameters written."""
        for attempt in range(TRIES):
            written = yield from self._ask(asked.beginning, attempt)
            if stub := stub_with_head(asked, written.text):
                return stub
            if self._spending.is_over:
                break
        return Stub(UNNAMED, f"{asked.comment}\ndef {UNNAMED}(*args, **kwargs):")

    def function(self, stub: Stub) -> Generator[Question, Continuation | None, Part]:
        """Have a function written, as often as it takes; the best of what was written counts."""
        if given := complete_part(stub):
            return given
        best, begun, attempt = Part(), self._spending.tokens, 0
        while attempt < TRIES:
            part, ended, late = yield from self._body(stub, attempt, begun)
            best = max(best, part, key=lambda each: each.statements)
            if part.statements and part.whole and ended:
                return part
            if self._spending.is_over or self._spending.tokens - begun >= LONGEST:
                break
            attempt += not late  # on a slow machine the next answer finds more of the prompt read
        return best

    def _body(
        self, stub: Stub, attempt: int, begun: int
    ) -> Generator[Question, Continuation | None, tuple[Part, bool, bool]]:
        """Have a body written; what was cut short is gone on with, however slow the machine is.

        Return what of it can stand, whether it came to its end, and whether not even its beginning came.
        """
        text = ""
        while True:
            written = yield from self._ask(stub.beginning + text, attempt, stub.name)
            text += written.text
            part = with_body(stub, text)
            if written.whole or part.left:
                return part, True, False
            if not written.text or self._spending.is_over or self._spending.tokens - begun >= LONGEST:
                return part, False, written.late and not text
            text += "\n" if "\n" in text else ""

    def _ask(
        self, beginning: str, attempt: int, name: str = ""
    ) -> Generator[Question, Continuation | None, Continuation]:
        """Have something written: the rest of a line, or of the function of this name."""
        drawn = self._request.attempt * TRIES + attempt
        lines: Literal["single", "multi"] = "multi" if name else "single"
        completion = completion_for(
            self._request, self._above(), beginning, self._spending.left, drawn, lines=lines
        )
        written = (yield Question(completion, name, beginning, self._spending.until)) or Continuation()
        self._spending.tokens += max(1, written.tokens)
        return written
