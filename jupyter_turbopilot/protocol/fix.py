"""A fix: edits of cells, or a cell to insert. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_TITLE = 60  # characters of a text in a title
REPEATS = ("access", "argument", "attribute", "block", "call", "expression", "literal")  # kinds
Source = Literal["kernel", "notebook", "imports", "files", "syntax", "api"]


class Edit(msgspec.Struct, frozen=True, kw_only=True):
    """A replacement in a cell, in code points."""

    cell: Annotated[int, Meta(ge=0, description="index of the cell in the request")]
    start: Annotated[int, Meta(ge=0, description="start of the replaced text, in code points")]
    end: Annotated[int, Meta(ge=0, description="end of the replaced text, in code points")]
    old: Annotated[str, Meta(description="the replaced text; do not apply the edit if the cell differs")]
    text: Annotated[str, Meta(description="the new text")]


def apply(source: str, edits: Iterable[Edit]) -> str:
    """Return the source of a cell after edits of it."""
    parts, at = [], 0
    for edit in sorted(edits, key=lambda edit: edit.start):
        parts += [source[at : edit.start], edit.text]
        at = edit.end
    return "".join([*parts, source[at:]])


def quoted(text: str) -> str:
    """Return a text for a title: shortened, with escapes for control and formatting characters."""
    return repr(shortened(text))


def as_code(text: str) -> str:
    """Return a text between backticks, shortened, with escapes for control and formatting characters."""
    escaped = (each if each.isprintable() else repr(each)[1:-1] for each in shortened(text))
    return f"`{''.join(escaped)}`"


def shortened(text: str) -> str:
    """Return a text without its middle part if it is too long for a title."""
    half = MOST_TITLE // 2
    return text if len(text) <= MOST_TITLE else f"{text[:half]}…{text[1 - half :]}"


class InsertedCell(msgspec.Struct, frozen=True, kw_only=True):
    """A code cell to insert. It is not executed."""

    before: Annotated[
        int, Meta(ge=0, description="index of the cell in the request above which to insert it")
    ]
    source: str


class Fix(msgspec.Struct, frozen=True, kw_only=True):
    """A fix for an error."""

    title: Annotated[str, Meta(description="the question to the user, such as `Did you mean 'revenue_eur'?`")]
    source: Annotated[Source, Meta(description="where the fix was found")]
    confidence: Annotated[
        float, Meta(ge=0.0, le=1.0, description="estimated probability that the fix is right")
    ]
    edits: list[Edit] = []
    insert: Annotated[InsertedCell | None, Meta(description="a cell to insert")] = None
    run: Annotated[
        list[int], Meta(description="indices of the cells that *Apply and Run* executes, in this order")
    ] = []
