"""Replies: suggestions and their statistics, and the headers between servers. Pure."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from jupyter_turbopilot.protocol.engine_request import Token
    from jupyter_turbopilot.protocol.errors import TurbopilotError


SESSION_HEADER = "X-Session-Id"  # of a request; a router sends each session to the same replica
REPLICA_HEADER = "X-Replica-Id"  # of an answer; names the replica behind a router
LOAD_HEADER = "X-Turbopilot-Load"  # of an answer; the level of load shedding for this user


@dataclass(frozen=True)
class Item:
    """One suggestion."""

    text: str
    confidence: float
    finish_reason: str
    index: int = 0  # position among several texts
    stopped_by: str = ""  # the stop sequence that ended it
    tokens: tuple[Token, ...] = ()
    imports: tuple[str, ...] = ()  # import lines that its names need and the notebook lacks
    opens: str = ""  # the opening bracket, with a quote, that very probably follows the text
    table: str = ""  # the variable of the kernel whose column the text names at the cursor
    is_read: bool = False  # whether it was read from the kernel or a folder: it is not kept
    from_index: bool = False  # whether it is an index match: its confidence is not one of the model's scores

    @property
    def shown(self) -> str:
        """The text and what it opens, as an editor shows it."""
        return self.text + self.opens


@dataclass(frozen=True)
class Timings:
    """Time and tokens that a response took. Times are in milliseconds."""

    queue_ms: float = 0.0
    context_ms: float = 0.0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    prompt_ms: float = 0.0
    predicted_tokens: int = 0
    predicted_ms: float = 0.0
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    total_ms: float = 0.0

    @property
    def rounded(self) -> Timings:
        """The values with two decimals."""
        return Timings(*(round(value, 2) for value in astuple(self)))


@dataclass(frozen=True)
class Reply:
    """A frame of the answer; the last one is `done`."""

    id: str
    model: str = ""
    items: tuple[Item, ...] = ()
    timings: Timings = field(default_factory=Timings)
    finish_reason: str | None = None
    done: bool = False
    truncated: bool = False  # whether the context was too small for the prompt or for the whole answer
    error: TurbopilotError | None = None
    hidden_reason: str = ""  # why an automatic suggestion is not shown
    # Whether clients must not cache it: it may contain deleted text, or be outdated soon.
    uncached: bool = False


def compact(body: Any) -> bytes:
    """Encode JSON without spaces: llama.vim drops an answer with a space after the colon of `"content"`."""
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:  # a file name need not be valid UTF-8
        text = json.dumps(body, separators=(",", ":"), ensure_ascii=False, default=_builtin)
        return text.encode("utf-8", "replace")


def _builtin(part: Any) -> Any:
    """Return a schema's fields, or the value of a part that is already encoded."""
    return json.loads(bytes(part)) if isinstance(part, msgspec.Raw) else msgspec.to_builtins(part)
