"""The events of a usage log: their schemas, and their form as lines of JSON. Pure.

Fields:

- `t`: time of the event in seconds since 1970, to a tenth
- `schema`: name and version of the schema; `version`: version of jupyter-turbopilot
- `session`: the process that writes the log, four random characters
- `where`: a Jupyter server, or terminal IPython; `zone`: offset of the local time from UTC in minutes
- `text`: in Session, whether the text of suggestions is logged; in Shown, the text
- `model`: name in the catalogue, "other-" and a random number, or "unknown" before the first answer
- `eagerness`: the setting
- `id`: the suggestion, as its session, a dot and a number
- `doc`: the document, a random number that differs in each session
- `at`: kind of cursor position; `language`: language of the cell
- `trigger`: "invoke" if the user requested the suggestion
- `ms`: milliseconds from the request to the first text
- `requests`: number of requests since the last line of the session with this field
- `written`: characters written since then, those of accepted suggestions and the growth of a cell from one
  request to the next, if at most 400; deletions are not subtracted, pasted text and added imports count
- `chars`: in Shown, the length of the suggestion, otherwise how many of its characters are in the document
- `score`: estimated probability that the suggestion is right
- `from_index`: whether it is a line that the user wrote before
- `after`: seconds since the suggestion was shown; in Executed and Retained, since it was accepted
- `of`: final length of the suggestion; 0: as in the last Shown
- `typed`: how many of `chars` were typed since it was shown or last accepted
- `lines`: number of lost events
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from jupyter_turbopilot.completer.listeners import Where  # noqa: TC001 - the schema is made at run time
from jupyter_turbopilot.suggestion.features import KINDS

Schema = Literal["https://events.jupyter.org/jupyter_turbopilot/usage_log/v1"]
SCHEMA: Schema = "https://events.jupyter.org/jupyter_turbopilot/usage_log/v1"
LANGUAGES = (
    *("python", "bash", "c", "cpp", "cython", "go", "html", "java", "javascript", "json", "julia", "latex"),
    *("markdown", "perl", "r", "ruby", "rust", "scala", "sql", "text", "toml", "typescript", "yaml", "other"),
)


def _one_of(values: tuple[str, ...]) -> Meta:
    return Meta(pattern=rf"^({'|'.join(map(re.escape, values))})\Z")


Time = Annotated[float, Meta(ge=-(2**53), le=2**53)]
Seconds = Annotated[float, Meta(ge=0, le=2**53)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Probability = Annotated[float, Meta(ge=0, le=1)]
SessionName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{4}\Z")]
SuggestionId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{4}[.][0-9]+\Z")]


class _Event(
    Struct, frozen=True, tag_field="event", tag=str.lower, forbid_unknown_fields=True, omit_defaults=True
):
    t: Time


class Session(_Event, frozen=True):
    """A process begins to write to the file, or its model, eagerness or time zone has changed."""

    schema: Schema
    session: SessionName
    version: Annotated[str, Meta(pattern=r"^[0-9][0-9A-Za-z.+-]{0,39}\Z")]
    where: Where
    zone: Annotated[int, Meta(ge=-1440, le=1440)]
    text: bool
    model: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.-]{0,39}\Z")]  # no path
    eagerness: Literal["quiet", "balanced", "eager", "always"]


class Requested(_Event, frozen=True):
    """An editor requested a suggestion, and there is one to show."""

    id: SuggestionId
    doc: Count
    at: Annotated[str, _one_of(KINDS)]
    ms: Count
    requests: Count
    written: Count
    trigger: Literal["automatic", "invoke"] = "automatic"
    language: Annotated[str, _one_of(LANGUAGES)] = LANGUAGES[0]


class Shown(_Event, frozen=True):
    """The suggestion appears, or appears again."""

    id: SuggestionId
    chars: Count
    score: Probability
    from_index: bool = False
    text: str = ""


class _Outcome(_Event, frozen=True):
    id: SuggestionId
    chars: Count
    after: Seconds


class Accepted(_Outcome, frozen=True):
    """The user accepted the suggestion or a part of it, or, with `chars` 0, an alternative to it."""

    of: Count = 0
    typed: Count = 0


class Dismissed(_Outcome, frozen=True):
    """The user hid the suggestion, or the cursor left it."""

    of: Count = 0


class TypedOver(_Outcome, frozen=True, tag="typed_over"):
    """The user typed the suggestion to its end, or typed something else."""

    of: Count = 0


class Executed(_Outcome, frozen=True):
    """The cell or input of an accepted suggestion was executed for the first time since then."""


class Retained(_Outcome, frozen=True):
    """An accepted suggestion was compared with the document, some time later or at the end."""


class Typing(_Event, frozen=True):
    """The last 200 requests had nothing to show."""

    session: SessionName
    requests: Count
    written: Count


class Dropped(_Event, frozen=True):
    """Earlier events were lost: the file could not be written, or they matched no schema."""

    session: SessionName
    lines: Count


class Ended(_Event, frozen=True):
    """The process ended normally."""

    session: SessionName
    requests: Count
    written: Count


Event = (
    Session
    | Requested
    | Shown
    | Accepted
    | Dismissed
    | TypedOver
    | Executed
    | Retained
    | Typing
    | Dropped
    | Ended
)
_ENCODER = msgspec.json.Encoder()
_DECODER: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def line_of(event: Event) -> bytes:
    """Return an event as a line; a ValueError names the field that does not match the schema."""
    line = _ENCODER.encode(event)
    _DECODER.decode(line)
    return line + b"\n"


def event_of(line: bytes) -> Event | None:
    """Return the event of a line, or None if the line does not match a schema."""
    try:
        return _DECODER.decode(line)
    except (ValueError, RecursionError):
        return None
