"""The events of a usage log: their schema, and their form as lines of JSON. Pure.

Fields; a line omits those with their default values, most of which are 0 or an empty text:

- `event`: `session`: a process begins to write to the file;
  `requested`: an editor requested a suggestion, and there is one to show; `shown`: it appears, or appears
  again; `accepted`: the user accepted it or a part of it, or, with `chars` 0, an alternative to it;
  `dismissed`: the user hid it, or the cursor left it; `typed_over`: the user typed it to its end, or typed
  something else; `executed`: the cell of an accepted suggestion was executed for the first time since then;
  `retained`: an accepted suggestion was compared with the document, some time later or at the end;
  `dropped`: earlier events were lost, because the file could not be written or they did not match the schema;
  `ended`: the process ended normally
- `t`: time of the event in seconds since 1970, to a tenth
- `schema`: name and version of the schema; `version`: version of jupyter-turbopilot
- `session`: the process that writes the log, four random characters
- `where`: a Jupyter server, or terminal IPython
- `has_text`: whether the text of suggestions is logged; `text`: of a shown suggestion
- `model`: name in the catalogue, or "other-" and a random number; `eagerness`: the setting
- `id`: the suggestion, as its session, a dot and a number
- `doc`: the document, a random number that differs in each session
- `at`: kind of cursor position; `language`: language of the cell
- `trigger`: "invoke" if the user requested the suggestion
- `ms`: milliseconds from the request to the first text
- `requests`: number of requests since the last line of the session with this field
- `written`: characters written since then, those of accepted suggestions and the growth of a cell from one
  request to the next, if at most 400; deletions are not subtracted, pasted text and added imports count
- `chars`: of a shown suggestion, its length, otherwise how many of its characters are in the document
- `score`: estimated probability that the suggestion is right
- `from_index`: whether it is a line that the user wrote before
- `after`: seconds since the suggestion was shown; if it was executed or retained, since it was accepted
- `typed`: how many of `chars` were typed since it was shown or last accepted
- `lines`: number of lost events
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from jupyter_turbopilot.completer.listeners import Where  # noqa: TC001 - the schema is made at run time
from jupyter_turbopilot.protocol.request import Outcome  # noqa: TC001 - the same
from turbopilot_research.positions import KINDS

Schema = Literal["", "https://events.jupyter.org/jupyter_turbopilot/usage_log/v1"]
SCHEMA: Schema = "https://events.jupyter.org/jupyter_turbopilot/usage_log/v1"
LANGUAGES = (
    *("python", "bash", "c", "cpp", "cython", "go", "html", "java", "javascript", "json", "julia", "latex"),
    *("markdown", "perl", "r", "ruby", "rust", "scala", "sql", "text", "toml", "typescript", "yaml", "other"),
)


def _matching(pattern: str) -> Meta:
    return Meta(pattern=rf"^({pattern})?\Z")


Count = Annotated[int, Meta(ge=0, le=2**53)]


class Event(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A line. No field allows free text, except for the text of a suggestion."""

    event: Literal["session", "requested", Outcome, "dropped", "ended"]
    t: Annotated[float, Meta(ge=-(2**53), le=2**53)]
    schema: Schema = ""
    session: Annotated[str, _matching(r"[A-Za-z0-9_-]{4}")] = ""
    version: Annotated[str, _matching(r"[0-9][0-9A-Za-z.+-]{0,39}")] = ""
    where: Where = "server"
    has_text: bool = False
    model: Annotated[str, _matching(r"[a-z0-9][a-z0-9.-]{0,39}")] = ""  # no path
    eagerness: Literal["quiet", "balanced", "eager", "always"] = "balanced"
    id: Annotated[str, _matching(r"[A-Za-z0-9_-]{4}[.][0-9]+")] = ""
    doc: Count = 0
    at: Annotated[str, _matching("|".join(map(re.escape, KINDS)))] = ""
    language: Annotated[str, _matching("|".join(LANGUAGES))] = "python"
    trigger: Literal["automatic", "invoke"] = "automatic"
    ms: Count = 0
    requests: Count = 0
    written: Count = 0
    chars: Count = 0
    score: Annotated[float, Meta(ge=0, le=1)] = 0
    from_index: bool = False
    text: str = ""
    after: Annotated[float, Meta(ge=0, le=2**53)] = 0
    typed: Count = 0
    lines: Count = 0


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Event)


def line_of(event: Event) -> bytes:
    """Return an event as a line; a ValueError names the field that does not match the schema."""
    line = _ENCODER.encode(event)
    _DECODER.decode(line)
    return line + b"\n"


def event_of(line: bytes) -> Event | None:
    """Return the event of a line, or None if the line does not match the schema."""
    try:
        return _DECODER.decode(line)
    except (ValueError, RecursionError):
        return None
