"""Untrusted bytes become a `Completion`, or a `BadRequestError` that names the field. Pure."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from jupyter_turbopilot.errors import BadRequestError

MAX_BODY = 1024 * 1024
MAX_CELLS = 4096
MAX_CONTAINERS = 1 << 15

Name = Annotated[str, Meta(max_length=4096)]
Spec = Annotated[
    str, Meta(min_length=1, max_length=2048, description="a name of the catalogue, a path or an address")
]
Trigger = Literal["automatic", "invoke", "warm", "ahead"]


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of the notebook, or the whole of a file."""

    id: Annotated[str, Meta(max_length=256)] = ""
    type: Literal["code", "markdown", "raw"] = "code"
    source: str = ""
    executed: Annotated[bool | None, Meta(description="whether it has run; null: unknown")] = None
    error: Annotated[
        Annotated[str, Meta(max_length=8192)] | None,
        Meta(description="the last line of its traceback; of the active cell alone"),
    ] = None


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """Another open document, or a terminal's history."""

    path: Name = ""
    language: Annotated[str, Meta(max_length=64)] = "python"
    source: str = ""


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks: complete at `offset` code points into cell `active`."""

    path: Annotated[Name, Meta(description="of the notebook or the file, as the server knows it")] = ""
    language: Annotated[str, Meta(max_length=64)] = "python"
    kernel_id: Annotated[
        Annotated[str, Meta(max_length=128)] | None,
        Meta(description="the notebook's kernel, whose names are used if the caller may run code in it"),
    ] = None
    cells: Annotated[list[Cell], Meta(min_length=1, max_length=MAX_CELLS)]
    active: Annotated[int, Meta(ge=0, description="the cell that the cursor is in")] = 0
    offset: Annotated[int, Meta(ge=0, description="the cursor, in code points of the active cell")]
    extra: Annotated[
        list[Document], Meta(max_length=64, description="other open documents, or a terminal's history")
    ] = []
    trigger: Annotated[
        Trigger,
        Meta(description="typing, an explicit request, only reading, or writing what follows a suggestion"),
    ] = "invoke"
    lines: Annotated[
        Literal["auto", "single", "multi"], Meta(description="how many lines a suggestion may have")
    ] = "auto"
    eagerness: Annotated[
        Literal["quiet", "balanced", "eager", "always"] | None,
        Meta(description="how sure an automatic suggestion has to be; null: server default"),
    ] = None
    stream: bool = False
    client: Annotated[
        str, Meta(max_length=128, description="names the editor, whose newer request replaces the older")
    ] = ""
    n: Annotated[int, Meta(ge=1, le=8, description="how many suggestions")] = 1
    max_tokens: Annotated[
        Annotated[int, Meta(ge=1, le=2048)] | None, Meta(description="null: server default")
    ] = None
    temperature: Annotated[float, Meta(ge=0.0, le=2.0)] = 0.0

    @property
    def prefix(self) -> str:
        """The active cell up to the cursor."""
        return self.cells[self.active].source[: self.offset]

    @property
    def suffix(self) -> str:
        """The active cell after the cursor."""
        return self.cells[self.active].source[self.offset :]


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a suggestion: counters only, no text."""

    id: Annotated[str, Meta(max_length=64, description="of the answer")]
    event: Literal["shown", "accepted", "dismissed"]
    chars: Annotated[int, Meta(ge=0, le=1_000_000, description="how many characters")] = 0


class Select(msgspec.Struct, frozen=True, kw_only=True):
    """Which model to load; `tuned` says whether with the adapters that are set for it."""

    model: Spec
    tuned: Annotated[bool | None, Meta(description="null: as before")] = None


class Pull(msgspec.Struct, frozen=True, kw_only=True):
    """Which model to fetch; `mirrors` is the person's yes to sources other than its publisher."""

    model: Spec
    mirrors: Annotated[bool, Meta(description="whether mirrors of its publisher's may be used")] = False
    select: Annotated[bool, Meta(description="whether to load it afterwards")] = True


T = TypeVar("T")
_AT = re.compile(r" - at `\$\.?(?P<path>[^`]*)`")


def containers(body: bytes) -> int:
    """Count the lists and objects of a JSON text; 0 where there cannot be too many."""
    if body.count(b"[") + body.count(b"{") <= MAX_CONTAINERS:
        return 0
    # Brackets in strings do not count.
    unescaped = body.replace(rb"\\", b"").replace(rb"\"", b"")
    outside = b"".join(unescaped.split(b'"')[::2])
    return outside.count(b"[") + outside.count(b"{")


def decode(body: bytes, kind: type[T]) -> T:
    """Read JSON bytes as `kind`, or say which field is wrong."""
    if containers(body) > MAX_CONTAINERS:
        # A third of a million of them take a tenth of a second, in which nobody else is served.
        raise BadRequestError(f"The body may hold {MAX_CONTAINERS} lists and objects.")
    try:
        body.decode()  # fields that nobody reads are UTF-8, too
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise _wrong(error) from None
    except msgspec.DecodeError as error:
        raise BadRequestError(f"The body is not JSON: {error}") from None
    except UnicodeDecodeError:
        raise BadRequestError("The body is not UTF-8.") from None
    except RecursionError:
        raise BadRequestError("The body is nested too deeply.") from None


def _wrong(error: msgspec.ValidationError) -> BadRequestError:
    text = str(error)
    place = _AT.search(text)
    field = place["path"] if place else None
    if field is None and (missing := re.search(r"missing required field `(\w+)`", text)):
        field = missing[1]
    return BadRequestError(_AT.sub("", text), field=field or None)


def parse_completion(body: bytes) -> Completion:
    """Read and check a completion request."""
    request = decode(body, Completion)
    if request.active >= len(request.cells):
        raise BadRequestError(f"There are {len(request.cells)} cells.", field="active")
    length = len(request.cells[request.active].source)
    if request.offset > length:
        raise BadRequestError(f"The active cell has {length} characters.", field="offset")
    if request.stream and request.n > 1:
        raise BadRequestError("A stream carries one suggestion.", field="n")
    return request
