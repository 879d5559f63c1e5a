"""Events during multi-function generation, sent as JSON lines, and the tree built from them. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from jupyter_turbopilot.protocol.contract import Error  # noqa: TC001 - the schema is made at run time

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind = Literal["found", "writing", "finished", "renamed", "reused", "given_up", "done"]
_MARKS = {"found": "○", "writing": "◐", "finished": "●", "reused": "↩", "given_up": "✗"}


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A state change of a function; the last event, `done`, contains the whole result."""

    event: Annotated[
        Kind,
        Meta(
            description="`found`: a function is to be generated; `writing`: it is being generated, or has "
            "another line; `finished`; `renamed`: calls of a name that means something else got a new name; "
            "`reused`: an existing function is called; `given_up`: it was not generated, or has no body; "
            "`done`"
        ),
    ]
    name: Annotated[str, Meta(description="name of the function")] = ""
    caller: Annotated[str, Meta(description="the function that calls it")] = ""
    depth: Annotated[int, Meta(description="number of calls between the first function and it")] = 0
    source: Annotated[
        str,
        Meta(description="its name and parameters when found; then its source; for `done`, all functions"),
    ] = ""
    former: Annotated[str, Meta(description="for `renamed`: the previous name in the calls")] = ""
    message: Annotated[str, Meta(description="a human-readable reason")] = ""
    undefined: Annotated[
        tuple[str, ...], Meta(description="for `done`: names that the result uses and nothing defines")
    ] = ()
    tokens: Annotated[int, Meta(description="for `done`: number of generated tokens")] = 0


class HelperEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a streamed response of `helpers`. The last is `done`, or has an `error`."""

    error: Error | UnsetType = UNSET


@dataclass
class Node:
    """A function, or a call of an existing one."""

    name: str
    depth: int = 0
    head: str = ""
    state: Kind = "found"
    source: str = ""
    former: str = ""  # name in the calls before they were renamed
    message: str = ""
    below: list[Node] = field(default_factory=list)

    def line(self) -> str:
        """Return one line of text for the node."""
        count = self.source.strip().count("\n") + 1
        lines = f"{count} line{'s' * (count > 1)}"
        begun = f"{lines}…" if self.source else "…"
        notes = {"writing": begun, "finished": lines, "reused": "exists", "given_up": self.message}
        note = notes.get(self.state, "")
        note += f"{', ' * bool(note)}called {self.former} at first" if self.former else ""
        return f"{'  ' * self.depth}{_MARKS[self.state]} {self.head or self.name}" + (
            f"  {note}" if note else ""
        )


class FunctionTree:
    """The functions so far, built from events, and the result at the end."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}  # in the order of their events
        self._former: dict[str, str] = {}
        self.done: Event | None = None

    @property
    def functions(self) -> dict[str, str]:
        """The generated functions, in order."""
        written = (node for node in self._nodes.values() if node.state in {"finished", "given_up"})
        return {node.name: node.source for node in written if node.source}

    def add(self, event: Event) -> Node | None:
        """Apply an event; return the displayed function that it changes."""
        if event.event == "done":
            self.done = event
            return None
        if event.event == "renamed":
            self._former[event.name] = event.former
            return None
        caller = self._nodes.get(event.caller)
        depth = caller.depth + 1 if caller else 0
        node = None if event.event == "reused" else self._nodes.get(event.name)
        if node is None:
            node = Node(event.name, depth, former=self._former.pop(event.name, ""))
            if event.event != "reused":
                self._nodes[event.name] = node
            if caller:
                caller.below.append(node)
        node.state, node.message = event.event, event.message
        if event.event == "found":
            node.head = event.source
        else:
            node.source = event.source
        return node

    def lines(self) -> list[str]:
        """Return a line for each function, callees below their caller."""
        return [node.line() for root in self._nodes.values() if not root.depth for node in _walk(root)]


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for below in node.below:
        yield from _walk(below)
