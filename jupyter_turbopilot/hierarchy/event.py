"""Events while functions are written, sent as lines of JSON, and the tree that they make. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind = Literal["found", "writing", "finished", "renamed", "reused", "given_up", "done"]
_MARKS = {"found": "○", "writing": "◐", "finished": "●", "reused": "↩", "given_up": "✗"}


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened to a function; the last event, `done`, has the whole result."""

    event: Annotated[
        Kind,
        Meta(
            description="`found`: a function is to be written; `writing`: it is being written, or has "
            "another line; `finished`; `renamed`: calls of a name that means something else got a new one; "
            "`reused`: one that exists is called; `given_up`: it was not written, or has no body; `done`"
        ),
    ]
    name: Annotated[str, Meta(description="name of the function")] = ""
    caller: Annotated[str, Meta(description="the function that calls it")] = ""
    depth: Annotated[int, Meta(description="how many calls below the first function it was found")] = 0
    source: Annotated[
        str,
        Meta(description="its name and parameters when it is found; then its text; of `done` all functions"),
    ] = ""
    former: Annotated[str, Meta(description="of `renamed`: the name that the calls had")] = ""
    message: Annotated[str, Meta(description="why, for a person")] = ""
    undefined: Annotated[
        tuple[str, ...], Meta(description="of `done`: names that the result uses and nothing defines")
    ] = ()
    tokens: Annotated[int, Meta(description="of `done`: how many tokens were written")] = 0


@dataclass
class Node:
    """A function, or the call of one that exists."""

    name: str
    depth: int = 0
    head: str = ""
    state: Kind = "found"
    source: str = ""
    former: str = ""  # what the calls said before they were renamed
    message: str = ""
    below: list[Node] = field(default_factory=list)

    def words(self) -> str:
        """Word it in a line."""
        count = self.source.strip().count("\n") + 1
        lines = f"{count} line{'s' * (count > 1)}"
        begun = f"{lines}…" if self.source else "…"
        notes = {"writing": begun, "finished": lines, "reused": "exists", "given_up": self.message}
        note = notes.get(self.state, "")
        note += f"{', ' * bool(note)}called {self.former} at first" if self.former else ""
        return f"{'  ' * self.depth}{_MARKS[self.state]} {self.head or self.name}" + (
            f"  {note}" if note else ""
        )


class Tree:
    """What happened so far, and at the end the result."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}  # the first one first
        self._former: dict[str, str] = {}
        self.done: Event | None = None

    @property
    def functions(self) -> dict[str, str]:
        """The functions that are written, the first one first."""
        written = (node for node in self._nodes.values() if node.state in {"finished", "given_up"})
        return {node.name: node.source for node in written if node.source}

    def add(self, event: Event) -> Node | None:
        """Take what happened; return the function that has changed, if it is shown."""
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
        """Word all functions, each below the one that calls it."""
        return [node.words() for root in self._nodes.values() if not root.depth for node in _walk(root)]


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for below in node.below:
        yield from _walk(below)
