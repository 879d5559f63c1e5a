"""Parsing and validation of requests; an invalid one raises BadRequestError with its field. Pure."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.util.bounds import (
    MOST_SUGGESTIONS,
    MOST_TEMPERATURE,
    MOST_TOKENS,
)

MAX_BODY = 1024 * 1024
MAX_CELLS = 4096
MAX_CONTAINERS = 1 << 15

Name = Annotated[str, Meta(max_length=4096)]
Stop = Annotated[str, Meta(max_length=1024)]  # compared with the text after each token
Spec = Annotated[str, Meta(min_length=1, max_length=2048, description="name from the catalogue, path or URL")]
Trigger = Literal["automatic", "invoke", "warmup", "prefetch"]
Outcome = Literal["shown", "accepted", "dismissed", "typed_over", "executed", "retained"]  # of a suggestion
OnlyPython = Annotated[str, Meta(max_length=64, description="only Python is supported")]


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """A cell of the notebook, or a whole file."""

    id: Annotated[str, Meta(max_length=256)] = ""
    type: Literal["code", "markdown", "raw"] = "code"
    source: str = ""
    executed: Annotated[bool | None, Meta(description="whether the cell has been run; null if unknown")] = (
        None
    )
    error: Annotated[
        Annotated[str, Meta(max_length=8192)] | None,
        Meta(description="last line of its traceback; used for the active cell only"),
    ] = None


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """Another open document, or the history of a terminal."""

    path: Name = ""
    language: Annotated[str, Meta(max_length=64)] = "python"
    source: str = ""


class NotebookRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a notebook."""

    path: Annotated[Name, Meta(description="path of the notebook or file on the server")] = ""
    kernel_id: Annotated[
        Annotated[str, Meta(max_length=128)] | None,
        Meta(
            description="kernel of the notebook; its variables are used if the caller may execute code in it"
        ),
    ] = None
    enabled: Annotated[
        bool | None,
        Meta(
            description="whether the metadata of the notebook allow suggestions; null: the server reads the "
            "saved notebook"
        ),
    ] = None


class Completion(NotebookRequest, frozen=True, kw_only=True):
    """A completion request: complete cell `active` at `offset`."""

    language: Annotated[str, Meta(max_length=64)] = "python"
    cells: Annotated[list[Cell], Meta(min_length=1, max_length=MAX_CELLS)]
    active: Annotated[int, Meta(ge=0, description="index of the cell with the cursor")] = 0
    offset: Annotated[int, Meta(ge=0, description="cursor position in the active cell, in code points")]
    documents: Annotated[
        list[Document], Meta(max_length=64, description="other open documents, or the history of a terminal")
    ] = []
    notebook_index: Annotated[
        bool, Meta(description="whether to use the index of the user's other notebooks and files")
    ] = True
    trigger: Annotated[
        Trigger,
        Meta(
            description="`automatic` while typing, `invoke` on request, `warmup` only to evaluate the "
            "notebook, `prefetch` to prefetch the completion after a suggestion"
        ),
    ] = "invoke"
    lines: Annotated[
        Literal["auto", "single", "multi"], Meta(description="whether suggestions may have several lines")
    ] = "auto"
    eagerness: Annotated[
        Literal["quiet", "balanced", "eager", "always"] | None,
        Meta(description="how readily automatic suggestions are shown; null for the server's default"),
    ] = None
    stream: Annotated[bool, Meta(description="whether to stream the response as JSON lines")] = False
    client: Annotated[
        str,
        Meta(
            max_length=128,
            description="identifies the editor; a newer request cancels an older one of the same editor",
        ),
    ] = ""
    sequence: Annotated[
        int,
        Meta(
            ge=0,
            lt=2**53,
            description="number of the request, if the editor counts its requests; while a newer request is "
            "being answered, an older one that arrives late is superseded",
        ),
    ] = 0
    n: Annotated[int, Meta(ge=1, le=MOST_SUGGESTIONS, description="number of suggestions")] = 1
    max_tokens: Annotated[
        Annotated[int, Meta(ge=1, le=MOST_TOKENS)] | None,
        Meta(description="maximum length in tokens; null for the server's default"),
    ] = None
    max_lines: Annotated[
        Annotated[int, Meta(ge=1, le=200)] | None,
        Meta(description="maximum length in lines; null for 8"),
    ] = None
    temperature: Annotated[
        float, Meta(ge=0.0, le=MOST_TEMPERATURE, description="0 for the likeliest text")
    ] = 0.0
    seed: Annotated[
        Annotated[int, Meta(ge=0, lt=2**31)] | None,
        Meta(description="random seed for a temperature above 0; null for 0"),
    ] = None

    @property
    def is_awaited(self) -> bool:
        """Whether a user waits for the answer."""
        return self.trigger not in {"warmup", "prefetch"}

    @property
    def prefix(self) -> str:
        """The active cell up to the cursor."""
        return self.cells[self.active].source[: self.offset]

    @property
    def suffix(self) -> str:
        """The active cell after the cursor."""
        return self.cells[self.active].source[self.offset :]


class FixCell(msgspec.Struct, frozen=True, kw_only=True):
    """A cell in a request for fixes, a rename or a check."""

    id: Annotated[str, Meta(max_length=256)] = ""
    type: Literal["code", "markdown", "raw"] = "code"
    source: Annotated[
        str | None, Meta(description="null if the cell does not fit into the request; it keeps its position")
    ] = None
    execution_count: Annotated[
        int | None, Meta(description="number of its last execution; null if it has not been run")
    ] = None
    changed: Annotated[
        bool | None,
        Meta(description="whether it has been edited since its last execution; null if unknown"),
    ] = False


class ErrorOutput(msgspec.Struct, frozen=True, kw_only=True):
    """The error output of a cell, without ANSI escape sequences and HTML."""

    name: Annotated[str, Meta(max_length=512, description="class of the exception")]
    message: Annotated[str, Meta(max_length=8192)] = ""
    traceback: Annotated[
        list[Annotated[str, Meta(max_length=4096)]],
        Meta(max_length=2048, description="its lines; at most 64 KiB in all"),
    ] = []


class EditRequest(NotebookRequest, frozen=True, kw_only=True):
    """A request for edits of a notebook."""

    language: OnlyPython = "python"
    cells: Annotated[list[FixCell], Meta(min_length=1, max_length=MAX_CELLS, description="all cells")]
    client: Annotated[str, Meta(max_length=128, description="identifies the notebook's view")] = ""


class FixRequest(EditRequest, frozen=True, kw_only=True):
    """A request for fixes for the error of a cell."""

    failed: Annotated[int, Meta(ge=0, description="index of the failed cell")]
    error: ErrorOutput


class CheckRequest(EditRequest, frozen=True, kw_only=True):
    """A request for the names in a cell that the kernel shows not to exist."""

    active: Annotated[int, Meta(ge=0, description="index of the cell to check")]


class RenameRequest(EditRequest, frozen=True, kw_only=True):
    """A request for the other uses of a name that the user has changed at its binding."""

    active: Annotated[int, Meta(ge=0, description="index of the edited cell")]
    before: Annotated[str, Meta(description="source of the edited cell before the edit")]


class EditedCell(msgspec.Struct, frozen=True, kw_only=True):
    """An earlier edit of a cell."""

    cell: Annotated[int, Meta(ge=0, description="index of the cell")]
    before: Annotated[str, Meta(description="its source before the edit")]
    after: Annotated[str, Meta(description="its source after the edit; it may have changed since")]


class RepeatRequest(RenameRequest, frozen=True, kw_only=True):
    """A request for the other occurrences of the code that the user's last edits changed."""

    earlier: Annotated[
        EditedCell | None,
        Meta(
            description="an earlier edit like the last one; null: the kernel must show that the old code "
            "is wrong"
        ),
    ] = None


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a suggestion, a fix, a rename or a repeated edit, without text."""

    id: Annotated[str, Meta(max_length=64, description="`id` of the response")]
    event: Annotated[
        Literal[Outcome, "applied", "undone"],
        Meta(
            description="`accepted`: all of it or a part was accepted; `dismissed`: it was hidden, or the "
            "cursor left it; `typed_over`: the user typed it, or something else; `executed`: how much of it "
            "remains when its cell is executed next; `retained`: how much of it remains after half a minute "
            "of typing, again after five minutes, or when the page is closed; `applied`: the user applied a "
            "fix, a rename or a repeated edit; `undone`: and then undid it. The server only counts `shown`, "
            "`applied`, `dismissed` and `undone` of these"
        ),
    ]
    chars: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="number of its characters in the document, typed or accepted; of `shown`: its length",
        ),
    ] = 0
    length: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="its length at that time, as more may have been on its way; 0: all that was sent",
        ),
    ] = 0
    before: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="of `accepted`: number of its characters in the document before",
        ),
    ] = 0
    seconds: Annotated[
        float,
        Meta(
            ge=0.0,
            le=1e6,
            description="seconds since it was shown; of `executed` and `retained`: since it was accepted. "
            "Only listeners use it, such as the usage log",
        ),
    ] = 0.0


class Select(msgspec.Struct, frozen=True, kw_only=True):
    """The model that a request refers to."""

    model: Spec
    adapters_enabled: Annotated[
        bool | None, Meta(description="whether to use its adapters; null to keep the current choice")
    ] = None


class Pull(msgspec.Struct, frozen=True, kw_only=True):
    """A request to download a model."""

    model: Spec
    mirrors: Annotated[bool, Meta(description="whether sources other than the publisher may be used")] = False
    select: Annotated[bool, Meta(description="whether to load the model afterwards")] = True


T = TypeVar("T")
_AT = re.compile(r" - at `\$\.?(?P<path>[^`]*)`")


def containers(body: bytes) -> int:
    """Return an upper bound of the number of lists and objects in a JSON text; 0 if it is small enough."""
    if body.count(b"[") + body.count(b"{") <= MAX_CONTAINERS:
        return 0
    # Brackets in strings do not count.
    unescaped = body.replace(rb"\\", b"").replace(rb"\"", b"")
    outside = b"".join(unescaped.split(b'"')[::2])
    return outside.count(b"[") + outside.count(b"{")


def decode(body: bytes, kind: type[T]) -> T:
    """Decode JSON bytes as `kind`; raise an error that names the invalid field."""
    if containers(body) > MAX_CONTAINERS:
        # Decoding a third of a million of them takes 0.1 seconds, in which the server is blocked.
        raise BadRequestError(f"The body may contain at most {MAX_CONTAINERS} lists and objects.")
    try:
        body.decode()  # ignored fields must be valid UTF-8, too
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise _wrong(error) from None
    except msgspec.DecodeError as error:
        raise BadRequestError(f"The body is not valid JSON: {error}") from None
    except UnicodeDecodeError:
        raise BadRequestError("The body is not valid UTF-8.") from None
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
    """Parse and check a completion request."""
    request = decode(body, Completion)
    _check_index(request.active, "active", len(request.cells))
    length = len(request.cells[request.active].source)
    if request.offset > length:
        raise BadRequestError(
            f"offset must be at most {length}, the length of the active cell.", field="offset"
        )
    if request.stream and request.n > 1:
        raise BadRequestError(
            "A stream carries a single suggestion. Set n to 1, or stream to false.", field="n"
        )
    return request


def parse_fix(body: bytes) -> FixRequest:
    """Parse and check a request for fixes."""
    request = decode(body, FixRequest)
    _check_index(request.failed, "failed", len(request.cells))
    return request


def parse_check(body: bytes) -> CheckRequest:
    """Parse and check a request for a check."""
    request = decode(body, CheckRequest)
    _check_index(request.active, "active", len(request.cells))
    return request


def parse_rename(body: bytes) -> RenameRequest:
    """Parse and check a request for a rename."""
    request = decode(body, RenameRequest)
    _check_index(request.active, "active", len(request.cells))
    return request


def parse_repeat(body: bytes) -> RepeatRequest:
    """Parse and check a request for the other occurrences of edited code."""
    request = decode(body, RepeatRequest)
    _check_index(request.active, "active", len(request.cells))
    if request.earlier:
        _check_index(request.earlier.cell, "earlier.cell", len(request.cells))
    return request


def _check_index(index: int, field: str, count: int) -> None:
    if index >= count:
        raise BadRequestError(f"{field} must be less than the number of cells, {count}.", field=field)
