"""Generates a function, then the missing functions that it calls, then those that these call.

`generate_functions` does no I/O: it yields events and questions, and receives the answers.
`model_requests.py` runs it with a model.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from jupyter_turbopilot.context.kernel_context import NONE
from jupyter_turbopilot.plugins.functions.existing import ExistingNames, existing_names_for
from jupyter_turbopilot.plugins.functions.model_requests import Author
from jupyter_turbopilot.plugins.functions.parsing import FAILURES, tree_of
from jupyter_turbopilot.plugins.functions.request import Event
from jupyter_turbopilot.plugins.functions.result import combine, imports_for
from jupyter_turbopilot.plugins.functions.stub import Stub, parse_instruction, stub_for
from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.suggestion.calls import missing_functions, renamed, takes
from jupyter_turbopilot.suggestion.resolve import EVERYWHERE
from jupyter_turbopilot.util.bounds import count_operations

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from jupyter_turbopilot.context.kernel_context import KernelContext
    from jupyter_turbopilot.plugins.functions.model_requests import ModelQuestion, ModelResponse
    from jupyter_turbopilot.plugins.functions.parsing import ParsedFunction
    from jupyter_turbopilot.plugins.functions.request import FunctionRequest, Kind
    from jupyter_turbopilot.plugins.functions.stub import Instruction
    from jupyter_turbopilot.suggestion.calls import Call

    GenerationSteps = Generator[Event | ModelQuestion, ModelResponse | None, None]

PARSED = 20  # operations to parse the head of a function
NO_BODY = "the model generated no body that parses"
TOO_MANY = "left out: the limit of functions or of nested calls is reached"
NO_CLASS = "exists and does not accept this call; as the name of a class, it is not generated"
NO_TIME = "the time or token limit was reached before the model generated a body"


@dataclass(frozen=True)
class QueuedFunction:
    """A function to generate, and where it was found."""

    stub: Stub
    caller: str = ""
    depth: int = 0

    def event(self, kind: Kind, source: str = "", message: str = "") -> Event:
        """Return an event of the function."""
        return Event(
            event=kind,
            name=self.stub.name,
            caller=self.caller,
            depth=self.depth,
            source=source,
            message=message,
        )


def generate_functions(
    request: FunctionRequest,
    kernel_context: KernelContext = NONE,
    clock: Callable[[], float] = time.monotonic,
) -> GenerationSteps:
    """Yield events, the last one `done` with the result, and a `ModelQuestion` for each request."""
    if request.language != "python":
        raise BadRequestError(
            f"Helper functions can be generated for Python only, not for {request.language}. "
            "Request a completion instead.",
            field="language",
        )
    return _FunctionGenerator(request, kernel_context, clock).run(parse_instruction(request.source))


class _FunctionGenerator:
    """State of one generation."""

    def __init__(
        self,
        request: FunctionRequest,
        kernel_context: KernelContext,
        clock: Callable[[], float],
    ) -> None:
        self._request = request
        self._kernel_context = kernel_context
        self._existing = ExistingNames()
        self._author = Author(request, clock, lambda: (self._above, *self._sources.values()))
        self._above = ""
        self._stubs: dict[str, Stub] = {}  # of all functions found
        self._sources: dict[str, str] = {}  # of the generated functions, in order
        self._waiting: deque[QueuedFunction] = deque()
        self._unfit: set[str] = set()  # existing names that do not accept their calls and are not generated

    def run(self, instruction: Instruction) -> GenerationSteps:
        """Generate the first function, then all missing callees."""
        self._author.start()
        self._above = instruction.above
        self._existing = existing_names_for(self._request, self._kernel_context, instruction.above)
        stub = instruction.stub or (yield from self._author.head(instruction))
        if instruction.comment and stub.name in EVERYWHERE | self._existing.names:
            stub = stub.named(self._free(stub.name))  # do not redefine an existing name
        yield self._queue(QueuedFunction(stub))
        while self._waiting:
            place = self._waiting.popleft()
            if self._sources and (message := self._author.refusal(self._sources.values())):
                del self._stubs[place.stub.name]
                yield place.event("given_up", message=message)
                continue
            yield Event(event="writing", name=place.stub.name)
            part = yield from self._author.function(place.stub)
            yield from self._process(place, part)
        known = self._existing.names - self._sources.keys()
        result = combine(self._above, self._sources, known, unfit=self._unfit, open_=self._existing.open)
        yield Event(
            event="done",
            name=stub.name,
            source=result.source,
            undefined=result.undefined,
            tokens=self._author.tokens,
        )

    def _queue(self, place: QueuedFunction) -> Event:
        self._stubs[place.stub.name] = place.stub
        self._waiting.append(place)
        return place.event("found", place.stub.signature)

    # Callees ------------------------------------------------------------------------------------------------

    def _process(self, place: QueuedFunction, part: ParsedFunction) -> Generator[Event]:
        """Process a generated function: reuse existing callees, queue the missing ones."""
        name, source = place.stub.name, part.source
        message = "" if part.statements else NO_TIME if self._author.is_over else NO_BODY
        uses: list[Event] = []
        if part.statements:
            self._sources[name] = source
            try:
                source = self._using_what_exists(name, source, uses)
            except FAILURES:  # the nesting limit depends on the current stack depth
                message = NO_BODY
        if message:
            source = place.stub.unwritten
        self._sources[name] = source
        yield place.event("given_up" if message else "finished", source, message)
        yield from uses
        with suppress(*FAILURES):
            yield from self._find_callees(place, source)

    def _using_what_exists(self, name: str, source: str, uses: list[Event]) -> str:
        """Return the source with calls renamed that existing functions do not accept; collect the events."""
        names: dict[str, str] = {}
        for missing in missing_functions(source, frozenset()):
            count_operations(PARSED)
            if missing.name == name or missing.name not in self._stubs.keys() | self._existing.names:
                continue
            if self._takes(missing.name, missing.calls):
                uses.append(Event(event="reused", name=missing.name, caller=name))
            elif _is_class(missing.name) and missing.name not in self._stubs:
                self._unfit.add(missing.name)
                uses.append(Event(event="given_up", name=missing.name, caller=name, message=NO_CLASS))
            else:
                names[missing.name] = new = self._free(missing.name)
                uses.append(Event(event="renamed", name=new, caller=name, former=missing.name))
        if names:
            source = self._sources[name] = renamed(source, names)
            tree_of(source)
        return source

    def _find_callees(self, place: QueuedFunction, source: str) -> Generator[Event]:
        """Queue the missing callees of a function."""
        known, depth = self._existing.names | self._stubs.keys(), place.depth + 1
        if self._existing.open:
            return  # the star import may define them
        found = missing_functions(source, known)
        imports = imports_for([source], [each.name for each in found])
        for missing in found:
            if missing.name in imports or _is_class(missing.name):
                continue
            if place.depth < self._request.depth and len(self._stubs) < self._request.functions:
                yield self._queue(QueuedFunction(stub_for(missing, source), place.stub.name, depth))
            else:
                caller = place.stub.name
                yield Event(event="given_up", name=missing.name, caller=caller, depth=depth, message=TOO_MANY)

    def _takes(self, name: str, calls: tuple[Call, ...]) -> bool:
        if name in self._stubs:
            return takes(f"{self._stubs[name].beginning}pass", calls)
        return self._existing.takes(name, calls)

    def _free(self, name: str) -> str:
        """Return the name, with the smallest number appended that makes it unique."""
        taken = EVERYWHERE | self._existing.names | self._stubs.keys()
        texts = "\n".join(self._sources.values())
        names = (f"{name}_{number}" if number > 1 else name for number in count(1))
        return next(each for each in names if each not in taken and each not in texts)


def _is_class(name: str) -> bool:
    """Return whether a name is a class name by Python's convention."""
    return name.lstrip("_")[:1].isupper()
