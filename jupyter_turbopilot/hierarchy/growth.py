"""Writes a function, then those that it calls and that do not exist, then those that these call.

`grow` asks nobody itself: it yields events and questions, and is sent what was written. `follow` and
`follow_async` ask.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from jupyter_turbopilot.context.facts import NONE
from jupyter_turbopilot.errors import BadRequestError
from jupyter_turbopilot.hierarchy.author import Author, Continuation, Question, Spending
from jupyter_turbopilot.hierarchy.event import Event
from jupyter_turbopilot.hierarchy.existing import Existing, existing_for
from jupyter_turbopilot.hierarchy.parsing import FAILURES, accepted
from jupyter_turbopilot.hierarchy.result import imports_for, result_of
from jupyter_turbopilot.hierarchy.stub import Stub, read_asked, stub_for
from jupyter_turbopilot.suggestion.calls import missing_functions, renamed, takes
from jupyter_turbopilot.suggestion.resolve import EVERYWHERE

if TYPE_CHECKING:
    from collections.abc import Callable

    from jupyter_turbopilot.context.facts import Facts
    from jupyter_turbopilot.hierarchy.parsing import Part
    from jupyter_turbopilot.hierarchy.stub import Asked
    from jupyter_turbopilot.request import Hierarchy
    from jupyter_turbopilot.suggestion.calls import Call

NO_BODY = "the model wrote no body that parses"
TOO_MANY = "left out: so many functions, or calls so deep, were not asked for"
NO_CLASS = "exists and does not take this call; by its name a class, so none is written"
NO_TIME = "the time or the tokens were used up before the model wrote a body"

Growth = Generator[Event | Question, Continuation | None, None]


@dataclass(frozen=True)
class Found:
    """A function that is to be written, and where it was found."""

    stub: Stub
    caller: str = ""
    depth: int = 0


def grow(
    request: Hierarchy,
    facts: Facts = NONE,
    clock: Callable[[], float] = time.monotonic,
    proceed: Callable[[], None] = lambda: None,
) -> Growth:
    """Yield what happens, at last `done` with the result, and a `Question` for what has to be written.

    `proceed` is called again and again; it raises an exception to stop the work.
    """
    if request.language != "python":
        raise BadRequestError(
            f"Functions are written with those they call in Python alone, not in {request.language}. "
            "Ask for a completion instead.",
            field="language",
        )
    return _Growing(request, facts, clock, proceed).run(read_asked(request.source))


class _Growing:
    """The functions so far, and what is left to be spent."""

    def __init__(
        self, request: Hierarchy, facts: Facts, clock: Callable[[], float], proceed: Callable[[], None]
    ) -> None:
        self._request = request
        self._proceed = proceed
        self._facts = facts
        self._existing = Existing()
        self._spending = Spending(clock, math.inf, request.max_tokens)
        self._author = Author(request, self._spending, lambda: (self._above, *self._sources.values()))
        self._above = ""
        self._stubs: dict[str, Stub] = {}  # of all functions that were found
        self._sources: dict[str, str] = {}  # of those that were written, in that order
        self._waiting: deque[Found] = deque()
        self._unfit: set[str] = set()  # names that exist, do not take their calls, and are not written

    def run(self, asked: Asked) -> Growth:
        """Write the first function, then all that are found."""
        self._spending.until = self._spending.clock() + self._request.seconds
        self._above = asked.above
        self._existing = existing_for(self._request, self._facts, asked.above, self._proceed)
        stub = asked.stub or (yield from self._author.head(asked))
        if asked.comment and stub.name in EVERYWHERE | self._existing.names:
            stub = stub.named(self._free(stub.name))  # what exists is not defined again
        yield self._found(Found(stub))
        while self._waiting:
            place = self._waiting.popleft()
            if self._sources and (message := self._spending.refusal(self._sources.values())):
                del self._stubs[place.stub.name]
                yield Event(
                    event="given_up",
                    name=place.stub.name,
                    caller=place.caller,
                    depth=place.depth,
                    message=message,
                )
                continue
            yield Event(event="writing", name=place.stub.name)
            part = yield from self._author.function(place.stub)
            yield from self._settle(place, part)
        names = self._existing.names
        result = result_of(
            self._above,
            self._sources,
            names - self._sources.keys(),
            unfit=self._unfit,
            open_=self._existing.open,
        )
        yield Event(
            event="done",
            name=stub.name,
            source=result.source,
            undefined=result.undefined,
            tokens=self._spending.tokens,
        )

    def _found(self, place: Found) -> Event:
        self._stubs[place.stub.name] = place.stub
        self._waiting.append(place)
        return Event(
            event="found",
            name=place.stub.name,
            caller=place.caller,
            depth=place.depth,
            source=place.stub.signature,
        )

    # What a function calls ----------------------------------------------------------------------------------

    def _settle(self, place: Found, part: Part) -> Generator[Event]:
        """See what a function calls: what exists is used where it takes the call, the rest is written."""
        name, source = place.stub.name, part.source
        message = "" if part.statements else NO_TIME if self._spending.is_over else NO_BODY
        uses: list[Event] = []
        if part.statements:
            self._sources[name] = source
            try:
                source = self._using_what_exists(name, source, uses)
            except FAILURES:  # how deeply it is nested is measured with the callers on the stack
                message = NO_BODY
        if message:
            source = place.stub.unwritten
        self._sources[name] = source
        yield Event(
            event="given_up" if message else "finished",
            name=name,
            caller=place.caller,
            depth=place.depth,
            source=source,
            message=message,
        )
        yield from uses
        with suppress(*FAILURES):
            yield from self._find_callees(place, source)

    def _using_what_exists(self, name: str, source: str, uses: list[Event]) -> str:
        """Return the source with other names for calls that what exists does not take; add what it uses."""
        names: dict[str, str] = {}
        for missing in missing_functions(source, frozenset()):
            self._proceed()
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
            accepted(source)
        return source

    def _find_callees(self, place: Found, source: str) -> Generator[Event]:
        """Find the functions that have to be written next."""
        known, depth = self._existing.names | self._stubs.keys(), place.depth + 1
        if self._existing.open:
            return  # what a star import brings is not written again
        found = missing_functions(source, known)
        imports = imports_for([source], [each.name for each in found])
        for missing in found:
            if missing.name in imports or _is_class(missing.name):
                continue
            if place.depth < self._request.depth and len(self._stubs) < self._request.functions:
                yield self._found(Found(stub_for(missing, source), place.stub.name, depth))
            else:
                caller = place.stub.name
                yield Event(event="given_up", name=missing.name, caller=caller, depth=depth, message=TOO_MANY)

    def _takes(self, name: str, calls: tuple[Call, ...]) -> bool:
        if name in self._stubs:
            return takes(f"{self._stubs[name].beginning}pass", calls)
        return self._existing.takes(name, calls)

    def _free(self, name: str) -> str:
        """Return the name with the first number behind it that makes it new."""
        taken = EVERYWHERE | self._existing.names | self._stubs.keys()
        texts = "\n".join(self._sources.values())
        names = (f"{name}_{number}" if number > 1 else name for number in count(1))
        return next(each for each in names if each not in taken and each not in texts)


def _is_class(name: str) -> bool:
    """Tell whether a name is that of a class, by Python's convention."""
    return name.lstrip("_")[:1].isupper()
