"""Requests to the model for a function or its head, with retries, and their answers. Does no I/O."""

from __future__ import annotations

import math
import time
from contextlib import aclosing, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from jupyter_turbopilot.plugins.functions.parsing import ParsedFunction, complete_part, with_body
from jupyter_turbopilot.plugins.functions.request import Event
from jupyter_turbopilot.plugins.functions.stub import Stub, stub_with_head
from jupyter_turbopilot.protocol.request import Cell, Completion

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable, Sequence

    from jupyter_turbopilot.plugins.functions.function_generator import GenerationSteps
    from jupyter_turbopilot.plugins.functions.request import FunctionRequest
    from jupyter_turbopilot.plugins.functions.stub import Instruction
    from jupyter_turbopilot.protocol.reply import Reply

TRIES = 3  # attempts at a function that does not parse or has no body
LONGEST = 512  # tokens of a function, over all its requests
LINES = 120  # lines of a function in one request
TOKENS = 192  # tokens of one request; a longer function takes several
DRAWN = 0.6  # temperature of all attempts but the first
CHARACTERS = 60_000  # of all functions: checking longer ones takes long
SPENT = "left out: the time or token limit is reached"
TOO_LONG = "left out: the functions before it are too long"
UNNAMED = "generated"


@dataclass(frozen=True)
class ModelQuestion:
    """A completion to request, and the function that it is for."""

    completion: Completion
    name: str = ""
    beginning: str = ""  # source of the function so far
    until: float = math.inf  # deadline, by `time.monotonic`


@dataclass(frozen=True)
class ModelResponse:
    """The model's answer to a `ModelQuestion`."""

    text: str = ""
    whole: bool = True  # whether the model ended the text itself
    tokens: int = 0
    late: bool = False  # whether the deadline passed before any text arrived

    def __post_init__(self) -> None:
        # Python also ends a line at a carriage return; other code here splits at line feeds only.
        text = self.text.replace("\r\n", "\n").replace("\r", "\n")
        object.__setattr__(self, "text", text)


def continuation_in(reply: Reply) -> ModelResponse:
    if not reply.items:
        # Without a finish reason, the model ended the text at once.
        return ModelResponse(whole=not reply.finish_reason, late=bool(reply.finish_reason))
    item = reply.items[0]
    return ModelResponse(item.text, item.finish_reason == "stop", len(item.tokens))


class Author:
    """Requests functions from the model, within limits; `above` returns the source before the next one."""

    def __init__(
        self, request: FunctionRequest, clock: Callable[[], float], above: Callable[[], Sequence[str]]
    ) -> None:
        self._request = request
        self._clock = clock
        self._above = above
        self._until = math.inf  # the deadline
        self.tokens = 0  # generated so far

    def start(self) -> None:
        """Start the time limit."""
        self._until = self._clock() + self._request.seconds

    @property
    def is_over(self) -> bool:
        """Whether the time or token limit is reached."""
        return self.tokens >= self._request.max_tokens or self._clock() >= self._until

    def refusal(self, sources: Iterable[str]) -> str:
        """Return why no further function can be generated in addition to these, or ""."""
        if self.is_over:
            return SPENT
        return TOO_LONG if sum(map(len, sources)) > CHARACTERS else ""

    def head(self, instruction: Instruction) -> Generator[ModelQuestion, ModelResponse | None, Stub]:
        """Request a name and parameters."""
        for attempt in range(TRIES):
            written = yield from self._ask(instruction.beginning, attempt)
            if stub := stub_with_head(instruction, written.text):
                return stub
            if self.is_over:
                break
        return Stub(UNNAMED, f"{instruction.comment}\ndef {UNNAMED}(*args, **kwargs):")

    def function(self, stub: Stub) -> Generator[ModelQuestion, ModelResponse | None, ParsedFunction]:
        """Request a function, with retries; return the best attempt."""
        if given := complete_part(stub):
            return given
        best, begun, attempt = ParsedFunction(), self.tokens, 0
        while attempt < TRIES:
            part, ended, late = yield from self._body(stub, attempt, begun)
            best = max(best, part, key=lambda each: each.statements)
            if part.statements and part.whole and ended:
                return part
            if self.is_over or self.tokens - begun >= LONGEST:
                break
            attempt += not late  # on a slow machine, the next request finds more of the prompt evaluated
        return best

    def _body(
        self, stub: Stub, attempt: int, begun: int
    ) -> Generator[ModelQuestion, ModelResponse | None, tuple[ParsedFunction, bool, bool]]:
        """Request a body; a truncated answer is continued by further requests.

        Return the usable part, whether the model ended it, and whether the deadline passed before any text.
        """
        text = ""
        while True:
            written = yield from self._ask(stub.beginning + text, attempt, stub.name)
            text += written.text
            part = with_body(stub, text)
            if written.whole or part.left:
                return part, True, False
            if not written.text or self.is_over or self.tokens - begun >= LONGEST:
                return part, False, written.late and not text
            text += "\n" if "\n" in text else ""

    def _ask(
        self, beginning: str, attempt: int, name: str = ""
    ) -> Generator[ModelQuestion, ModelResponse | None, ModelResponse]:
        """Request a text: the rest of a line, or of the function with this name."""
        lines: Literal["single", "multi"] = "multi" if name else "single"
        cells = [*self._request.cells, *(Cell(source=source) for source in self._above() if source)]
        completion = Completion(
            path=self._request.path,
            cells=[*cells, Cell(source=beginning)],
            active=len(cells),
            offset=len(beginning),
            lines=lines,
            max_lines=LINES,
            max_tokens=min(max(1, self._request.max_tokens - self.tokens), TOKENS),
            stream=True,
            temperature=DRAWN if attempt else 0.0,
            seed=attempt,
        )
        written = (yield ModelQuestion(completion, name, beginning, self._until)) or ModelResponse()
        self.tokens += max(1, written.tokens)
        return written


def follow(steps: GenerationSteps, replies: Callable[[Completion], Generator[Reply]]) -> Generator[Event]:
    """Yield the events; `replies` answers a completion. Closing the generator cancels the current request."""
    written = None
    while step := _next(steps, written):
        written = None
        if isinstance(step, Event):
            yield step
        else:
            answer_so_far = _AnswerSoFar(step)
            with closing(replies(step.completion)) as answer:
                for reply in answer:
                    if event := answer_so_far.take(reply):
                        yield event
                    if answer_so_far.is_late:
                        break
            written = answer_so_far.written


async def follow_async(
    steps: GenerationSteps,
    replies: Callable[[Completion], AsyncGenerator[Reply]],
    run: Callable[..., Awaitable[Event | ModelQuestion | None]],
) -> AsyncGenerator[Event]:
    """Yield the events on an event loop; `run` calls a function in a thread, as parsing takes time."""
    written = None
    while step := await run(_next, steps, written):
        written = None
        if isinstance(step, Event):
            yield step
        else:
            answer_so_far = _AnswerSoFar(step)
            async with aclosing(replies(step.completion)) as answer:
                async for reply in answer:
                    if event := answer_so_far.take(reply):
                        yield event
                    if answer_so_far.is_late:
                        break
            written = answer_so_far.written


def _next(steps: GenerationSteps, written: ModelResponse | None) -> Event | ModelQuestion | None:
    """Return the next step; None at the end, as StopIteration cannot leave a coroutine."""
    try:
        return steps.send(written)
    except StopIteration:
        return None


class _AnswerSoFar:
    """The model's answer to a question so far."""

    def __init__(self, question: ModelQuestion) -> None:
        self._question = question
        self._lines = 0  # complete lines
        self.written = ModelResponse()

    def take(self, reply: Reply) -> Event | None:
        """Process a reply; return an event when another line of a function is complete."""
        self.written = continuation_in(reply)
        text, question = self.written.text, self._question
        before, self._lines = self._lines, max(self._lines, text.count("\n"))
        if not question.name or self._lines <= before:
            return None
        return Event(event="writing", name=question.name, source=question.beginning + text)

    @property
    def is_late(self) -> bool:
        """Whether the deadline of the question has passed."""
        return time.monotonic() >= self._question.until
