"""Generates a function, then the missing functions that it calls, then those that these call.

`generate_functions` does no I/O: it yields events, and questions that are answered before the next step.
"""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from contextlib import suppress
from itertools import count
from textwrap import fill
from typing import TYPE_CHECKING, TypeAlias

from jupyter_turbopilot.analysis.calls import missing_functions, missing_names
from jupyter_turbopilot.analysis.imports import ModuleLocation, Sources, Use, uses, with_imports
from jupyter_turbopilot.analysis.kernel_context import NONE
from jupyter_turbopilot.analysis.languages import cell_language
from jupyter_turbopilot.analysis.notebook import bindings_of
from jupyter_turbopilot.analysis.resolve import EVERYWHERE, bindings, binds_anything
from jupyter_turbopilot.plugins.functions.parsing import (
    ParsedFunction,
    complete_part,
    readable,
    with_body,
)
from jupyter_turbopilot.plugins.functions.request import Event
from jupyter_turbopilot.plugins.functions.stub import Stub, parse_instruction, stub_for, stub_with_head
from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.util.bounds import MOST_CODE

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping

    from jupyter_turbopilot.analysis.calls import MissingFunction
    from jupyter_turbopilot.analysis.kernel_context import KernelContext
    from jupyter_turbopilot.plugins.functions.request import FunctionRequest, Kind
    from jupyter_turbopilot.plugins.functions.stub import Instruction
    from jupyter_turbopilot.protocol.reply import Reply

    Step: TypeAlias = "Event | ModelQuestion"

DEPTH = 3  # of nested calls
FUNCTIONS = 12
SECONDS = 120.0
TRIES = 3  # attempts at a function that does not parse or has no body
LONGEST = 512  # tokens of a function, over all its requests
TOKENS = 192  # tokens of one request; a longer function takes several
LINES = 120  # lines of one request
DRAWN = 0.6  # temperature of all attempts but the first
UNNAMED = "generated"
NO_BODY = "the model generated no body that parses"
TOO_MANY = "left out: the limit of functions or of nested calls is reached"
SPENT = "left out: the time or token limit is reached"
WIDTH = 100  # of comments that list names
_CONVENTIONS = Sources(lambda _name, *, near: (), lambda _module: ModuleLocation.ANYWHERE)  # noqa: ARG005


class ModelQuestion:
    """A completion to request, and the model's answer so far."""

    def __init__(self, completion: Completion, name: str = "") -> None:
        """`name`: the function whose body the answer continues; empty for the head of a function."""
        self.completion = completion
        self.name = name
        self.text = ""
        self.is_whole = True  # whether the model ended the text itself
        self.tokens = 0

    def take(self, reply: Reply) -> Event | None:
        """Process a reply; return an event when another line of a function is complete."""
        lines = self.text.count("\n")
        if reply.items:
            item = reply.items[0]
            # Python also ends a line at a carriage return; other code here splits at line feeds only.
            self.text = item.text.replace("\r\n", "\n").replace("\r", "\n")
            self.is_whole, self.tokens = item.finish_reason == "stop", len(item.tokens)
        else:  # without a finish reason, the model ended the text at once
            self.is_whole = not reply.finish_reason
        if not self.name or self.text.count("\n") <= lines:
            return None
        return Event(event="writing", name=self.name, source=self.completion.prefix + self.text)


def generate_functions(request: FunctionRequest, kernel_context: KernelContext = NONE) -> Generator[Step]:
    """Yield events, the last one `done` with the result, and a `ModelQuestion` for each request."""
    if request.language != "python":
        raise BadRequestError(
            f"Helper functions can be generated for Python only, not for {request.language}. "
            "Request a completion instead.",
            field="language",
        )
    return _FunctionGenerator(request, kernel_context).run(parse_instruction(request.source))


class _FunctionGenerator:
    """State of one generation."""

    def __init__(self, request: FunctionRequest, kernel_context: KernelContext) -> None:
        self._request = request
        self._until = math.inf  # the deadline
        self._tokens = 0  # generated so far
        self._names = {*EVERYWHERE, *request.names, *kernel_context.names}  # all that exist
        self._is_open = False  # whether a star import or a magic may bind further names
        self._above = ""
        self._found: set[str] = set()  # functions, generated or waiting
        self._waiting: deque[tuple[Stub, str, int]] = deque()  # with their caller and depth
        self._sources: dict[str, str] = {}  # of the generated functions, in order

    def run(self, instruction: Instruction) -> Generator[Step]:
        """Generate the first function, then all missing callees."""
        self._until = time.monotonic() + SECONDS
        self._above = instruction.above
        self._add_names()
        stub = instruction.stub or (yield from self._head(instruction))
        if instruction.comment and stub.name in self._names:  # do not redefine an existing name
            stub = stub.named(next(new for n in count(2) if (new := f"{stub.name}_{n}") not in self._names))
        yield self._queue(stub)
        while self._waiting:
            yield from self._generate(*self._waiting.popleft())
        source, undefined = combine(self._above, self._sources, None if self._is_open else self._names)
        yield Event(event="done", name=stub.name, source=source, undefined=undefined, tokens=self._tokens)

    def _generate(self, stub: Stub, caller: str, depth: int) -> Generator[Step]:
        """Generate a function, and queue its missing callees."""
        if self._sources and self._is_over:
            yield Event(event="given_up", name=stub.name, caller=caller, message=SPENT)
            return
        yield Event(event="writing", name=stub.name)
        part = yield from self._function(stub)
        source = self._sources[stub.name] = part.source if part.statements else stub.unwritten
        message = "" if part.statements else SPENT if self._is_over else NO_BODY
        kind: Kind = "given_up" if message else "finished"
        yield Event(event=kind, name=stub.name, caller=caller, source=source, message=message)
        missing: tuple[MissingFunction, ...] = ()
        with suppress(SyntaxError):  # nested too deeply for this depth of the stack
            missing = missing_functions(source, self._names | self._found)
        imports = imports_for(source, [each.name for each in missing])
        for each in missing:
            # No classes are generated.
            if self._is_open or each.name in imports or each.name.lstrip("_")[:1].isupper():
                continue
            if depth < DEPTH and len(self._found) < FUNCTIONS:
                yield self._queue(stub_for(each, source), stub.name, depth + 1)
            else:
                yield Event(event="given_up", name=each.name, caller=stub.name, message=TOO_MANY)

    def _queue(self, stub: Stub, caller: str = "", depth: int = 0) -> Event:
        self._found.add(stub.name)
        self._waiting.append((stub, caller, depth))
        return Event(event="found", name=stub.name, caller=caller, source=stub.signature)

    def _add_names(self) -> None:
        """Add the names that the code above the stub and the cells above bind, the nearest first.

        If the request lists the session's names, executed cells add none: their execution may have failed,
        and their names may have been deleted.
        """
        room = MOST_CODE
        for cell in (Cell(source=self._above), *reversed(self._request.cells)):
            room -= len(cell.source)
            is_python = cell.type == "code" and cell_language(cell.source, "python") == "python"
            if room >= 0 and is_python and not (cell.executed and self._request.names):
                self._names |= bindings_of(cell.source).all
                self._is_open = self._is_open or binds_anything(cell.source)

    # Requests ---------------------------------------------------------------------------------------------

    @property
    def _is_over(self) -> bool:
        """Whether the time or token limit is reached."""
        return self._tokens >= self._request.max_tokens or time.monotonic() >= self._until

    def _head(self, instruction: Instruction) -> Generator[Step, None, Stub]:
        """Request a name and parameters."""
        for attempt in range(TRIES):
            answer = yield from self._ask(instruction.beginning, attempt)
            if stub := stub_with_head(instruction, answer.text):
                return stub
            if self._is_over:
                break
        return Stub(UNNAMED, f"{instruction.comment}\ndef {UNNAMED}(*args, **kwargs):")

    def _function(self, stub: Stub) -> Generator[Step, None, ParsedFunction]:
        """Request a function, with retries; return the best attempt. A truncated body is continued."""
        if given := complete_part(stub.head):
            return given
        best, begun = ParsedFunction(), self._tokens
        for attempt in range(TRIES):
            text = ""
            while True:
                answer = yield from self._ask(stub.beginning + text, attempt, stub.name)
                text += answer.text
                part = with_body(stub.beginning, text)
                is_ended = answer.is_whole or part.left
                is_over = self._is_over or self._tokens - begun >= LONGEST
                if is_ended or is_over or (text and not answer.text):
                    break
                text += "\n" if "\n" in text else ""
            if is_ended and part.statements and part.whole:
                return part
            best = max(best, part, key=lambda each: each.statements)
            if is_over:
                break
        return best

    def _ask(self, beginning: str, attempt: int, name: str = "") -> Generator[Step, None, ModelQuestion]:
        """Request a text: the rest of a line, or of the function with this name."""
        above = (Cell(source=source) for source in (self._above, *self._sources.values()) if source)
        cells = [*self._request.cells, *above]
        completion = Completion(
            path=self._request.path,
            cells=[*cells, Cell(source=beginning)],
            active=len(cells),
            offset=len(beginning),
            lines="multi" if name else "single",
            max_lines=LINES,
            max_tokens=min(max(1, self._request.max_tokens - self._tokens), TOKENS),
            stream=True,
            temperature=DRAWN if attempt else 0.0,
            seed=attempt,
        )
        question = ModelQuestion(completion, name)
        yield question
        self._tokens += max(1, question.tokens)
        return question


# The combined source --------------------------------------------------------------------------------------


def combine(
    above: str, functions: Mapping[str, str], known: Iterable[str] | None
) -> tuple[str, tuple[str, ...]]:
    """Return functions in one source, each below those that it calls, and the names that it does not define.

    `functions` are in the order of their generation, `above` is the code before them, and `known` contains
    existing names; None: any name may exist. Well-known names are imported, and a comment at the top lists
    other undefined ones.
    """
    bound = {"_", *(known or ()), *functions, *bindings(above)}
    imports: dict[str, str] = {}
    undefined: dict[str, None] = {}
    # One part at a time: one long computation would block other threads.
    for part in (readable(above), *functions.values()) if known is not None else ():
        with suppress(SyntaxError):  # nested too deeply for this depth of the stack
            missing = missing_names(part, bound)
            imports |= imports_for(part, missing)
            undefined |= dict.fromkeys(missing)
    names = tuple(name for name in undefined if name not in imports)
    listed = f"Not defined here: {', '.join(names)}." if names else ""
    comment = fill(listed, WIDTH, initial_indent="# ", subsequent_indent="# ")
    code = with_imports(above, sorted(imports.values())).strip("\n")
    head = "\n".join(filter(None, (comment, code)))
    ordered = (functions[name] for name in _callees_first(functions))
    return "\n\n\n".join(filter(None, (head, *ordered))) + "\n", names


def _callees_first(functions: Mapping[str, str]) -> Iterator[str]:
    """Yield the names of functions, each after those that it uses, except in cycles."""
    seen: set[str] = set()

    def visit(names: Iterable[str]) -> Iterator[str]:
        for name in names:
            if name in functions and name not in seen:
                seen.add(name)
                with suppress(SyntaxError):  # nested too deeply for this depth of the stack
                    yield from visit(missing_names(functions[name], frozenset()))
                yield name

    return visit(functions)


def imports_for(source: str, names: Iterable[str]) -> dict[str, str]:
    """Return the import line of each well-known name.

    Other modules of the standard library are imported only if each use is one of a module: before a dot.
    """
    seen: dict[str, list[Use]] = {}
    for use in uses(source):
        seen.setdefault(use.name, []).append(use)
    found: dict[str, str] = {}
    for name in names:
        own = seen.get(name, [Use(name, "", dotted=True)])  # the uses in an f-string are not seen
        is_module = name in sys.stdlib_module_names and all(use.dotted for use in own)
        lines = filter(None, map(_CONVENTIONS.line_for, own))
        if line := next(lines, f"import {name}" if is_module else ""):
            found[name] = line
    return found
