"""Requests to the model for a function, or for the head of one, as often as it takes. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jupyter_turbopilot.hierarchy.parsing import Part, complete_part, with_body
from jupyter_turbopilot.hierarchy.stub import Stub, stub_with_head
from jupyter_turbopilot.request import Cell, Completion

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    from jupyter_turbopilot.hierarchy.stub import Asked
    from jupyter_turbopilot.reply import Reply
    from jupyter_turbopilot.request import Hierarchy

TRIES = 3  # how often a function is asked for that does not parse, or has no body
LONGEST = 512  # tokens of a function, all that was written for it counted
LINES = 120  # of a function that the model writes at once
TOKENS = 192  # of one answer; a longer function is written in several
DRAWN = 0.6  # the temperature of anything but the likeliest
CHARACTERS = 60_000  # of all functions: what is longer takes long to check
SPENT = "left out: the time or the tokens are used up"
TOO_LONG = "left out: the functions before it are too long"
UNNAMED = "generated"


@dataclass(frozen=True)
class Question:
    """A completion that has to be asked for, and for which function."""

    completion: Completion
    name: str = ""
    beginning: str = ""  # of the function, as far as it stands
    until: float = math.inf  # when nobody waits for more of it, by `time.monotonic`


@dataclass(frozen=True)
class Continuation:
    """What the model wrote for a `Question`."""

    text: str = ""
    whole: bool = True  # whether the model has ended it
    tokens: int = 0
    late: bool = False  # whether its time was up before anything was written

    def __post_init__(self) -> None:
        # Python ends a line at a carriage return, which the lines of a text would not show.
        text = self.text.replace("\r\n", "\n").replace("\r", "\n")
        object.__setattr__(self, "text", text)


def continuation_in(reply: Reply) -> Continuation:
    """Return what a reply has."""
    if not reply.items:
        # Without a reason the model had nothing more to say.
        return Continuation(whole=not reply.finish_reason, late=bool(reply.finish_reason))
    item = reply.items[0]
    return Continuation(item.text, item.finish_reason == "stop", len(item.tokens))


@dataclass
class Spending:
    """What was spent on functions, and until when there is time."""

    clock: Callable[[], float]
    until: float
    most_tokens: int
    tokens: int = 0

    @property
    def is_over(self) -> bool:
        """Whether the time or the tokens are used up."""
        return self.tokens >= self.most_tokens or self.clock() >= self.until

    @property
    def left(self) -> int:
        """How many tokens an answer may have."""
        return max(1, self.most_tokens - self.tokens)

    def refusal(self, sources: Iterable[str]) -> str:
        """Say why no function is written beside these; nothing where one can be."""
        if self.is_over:
            return SPENT
        return TOO_LONG if sum(map(len, sources)) > CHARACTERS else ""


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
        cells = [*self._request.cells, *(Cell(source=source) for source in self._above() if source)]
        completion = Completion(
            path=self._request.path,
            cells=[*cells, Cell(source=beginning)],
            active=len(cells),
            offset=len(beginning),
            lines=lines,
            max_lines=LINES,
            max_tokens=min(self._spending.left, TOKENS),
            stream=True,
            temperature=DRAWN if drawn else 0.0,
            seed=drawn,
        )
        written = (yield Question(completion, name, beginning, self._spending.until)) or Continuation()
        self._spending.tokens += max(1, written.tokens)
        return written
