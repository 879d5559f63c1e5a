"""What the lines of a study log say: a schema for each event, as Jupyter's event system has them. Pure."""

from __future__ import annotations

from typing import Any

from jupyter_turbopilot.suggestion.position import KINDS

VERSION = "1"
_LOGS = "https://events.jupyter.org/jupyter_turbopilot/study/v"  # of any version
LOG = f"{_LOGS}{VERSION}"  # what each file begins with
FAMILY = f'{{"schema":"{_LOGS}'.encode()  # what one of any version begins with
MAGIC = f'{{"schema":"{LOG}"'.encode()

OTHER = "other"
LANGUAGES = (
    *("python", "bash", "c", "cpp", "cython", "go", "html", "java", "javascript", "json", "julia", "latex"),
    *("markdown", "perl", "r", "ruby", "rust", "scala", "sql", "text", "toml", "typescript", "yaml"),
)

Properties = dict[str, dict[str, Any]]

_COUNT = {"type": "integer", "minimum": 0}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_SECONDS = {"type": "number", "minimum": 0}

_COMMON: Properties = {
    "t": {"type": "number", "description": "when it happened, in seconds since 1970, to a tenth"},
    "event": {"type": "string", "description": "which event it is"},
}
_SESSION = {
    "type": "string",
    "pattern": "^[A-Za-z0-9_-]{4}$",
    "description": "the process that writes: four random characters",
}
_ID = {
    "type": "string",
    "pattern": "^[A-Za-z0-9_-]{4}[.][0-9]+$",
    "description": "the suggestion: its session and a number",
}
_CHARS = _COUNT | {"description": "how many of its characters stand in the document, typed or taken"}
_OF = _COUNT | {"description": "how many it had by then; missing: as many as were shown last"}
_AFTER = _SECONDS | {"description": "seconds since it was shown"}
_SINCE: Properties = {
    "requests": _COUNT | {"description": "requests since the session's last line with this field"},
    "written": _COUNT
    | {
        "description": "characters written meanwhile: those of suggestions that were taken, and those by "
        "which a cell grew from one request to the next, if they are at most 400"
    },
}
_END: Properties = {"id": _ID, "chars": _CHARS, "of": _OF, "after": _AFTER}

# By event: what it means, its fields beside the common ones, and which of these may be missing.
EVENTS: dict[str, tuple[str, Properties, frozenset[str]]] = {
    "session": (
        "A process begins to write to this file, or its model, eagerness or time zone is another one now.",
        {
            "schema": {"const": LOG, "description": "which schema the lines have, with its version"},
            "session": _SESSION,
            "version": {
                "type": "string",
                "pattern": r"^([0-9][0-9A-Za-z.+-]{0,39}|unknown)$",
                "description": "the version of jupyter-turbopilot",
            },
            "where": {"enum": ["server", "terminal"], "description": "a server, or terminal IPython"},
            "zone": {"type": "integer", "description": "minutes that local time is ahead of UTC"},
            "text": {"type": "boolean", "description": "whether the text of suggestions is logged"},
            "model": {
                "type": "string",
                "pattern": r"^[a-z0-9][a-z0-9.-]{0,39}$",  # no path, whatever else goes wrong
                "description": "the model's name in the catalogue; of any other, `other-` and a number drawn "
                "for the session; `unknown`: none has answered yet",
            },
            "eagerness": {
                "enum": ["quiet", "balanced", "eager", "always"],
                "description": "how sure a suggestion has to be to appear by itself",
            },
        },
        frozenset(),
    ),
    "requested": (
        "An editor asked, and there is something to show.",
        {
            "id": _ID,
            "doc": _COUNT
            | {"description": "the document: a number drawn at random, another one in each session"},
            "at": {"enum": [*KINDS], "description": "the kind of place that the cursor is at"},
            "ms": _COUNT | {"description": "milliseconds from the request to the first text"},
            **_SINCE,
            "trigger": {
                "const": "invoke",
                "description": "the person asked for it; missing: it came by itself",
            },
            "language": {
                "enum": [*LANGUAGES, OTHER],
                "description": "the cell's language; missing: Python",
            },
        },
        frozenset({"trigger", "language"}),
    ),
    "shown": (
        "It appears, or appears again.",
        {
            "id": _ID,
            "chars": _COUNT | {"description": "how many characters it has"},
            "score": _SHARE | {"description": "how likely it is to be right, as far as the model knows"},
            "memory": {
                "const": True,
                "description": "it is a line that the person wrote before; missing: it is the model's",
            },
            "text": {
                "type": "string",
                "description": "its text, if `c.Turbopilot.study_text` is on and nothing suggests a secret",
            },
        },
        frozenset({"memory", "text"}),
    ),
    "taken": (
        "All of it or a part is taken; none of it (`chars` is 0): an alternative to it is.",
        {
            **_END,
            "typed": _COUNT
            | {"description": "how many of these were typed since it was shown or last taken; missing: 0"},
        },
        frozenset({"of", "typed"}),
    ),
    "dismissed": ("It was hidden, or the cursor left it.", _END, frozenset({"of"})),
    "typed_over": ("It was typed to its end, or something else was typed.", _END, frozenset({"of"})),
    "retained": (
        "What is left of it, some time after it was taken, or when the page is closed or the input run.",
        {
            "id": _ID,
            "chars": _CHARS,
            "after": _SECONDS | {"description": "seconds since it was taken"},
        },
        frozenset(),
    ),
    "typing": (
        "Two hundred requests without anything to show, and the session goes on.",
        {"session": _SESSION, **_SINCE},
        frozenset(),
    ),
    "dropped": (
        "Lines were lost before this one: the file could not be written for too long, or they fit no schema.",
        {"session": _SESSION, "lines": _COUNT | {"description": "how many"}},
        frozenset(),
    ),
    "ended": (
        "The process shuts down normally.",
        {"session": _SESSION, **_SINCE},
        frozenset(),
    ),
}


def schema_id(event: str) -> str:
    """Return the name of an event's schema."""
    return f"https://events.jupyter.org/jupyter_turbopilot/study_{event}/v{VERSION}"


def schema_of(event: str) -> dict[str, Any]:
    """Return an event's schema, as Jupyter's event system registers it."""
    description, fields, optional = EVENTS[event]
    properties = {**_COMMON, "event": {**_COMMON["event"], "const": event}, **fields}
    return {
        "$id": schema_id(event),
        "version": VERSION,
        "title": f"Turbopilot study log: {event}",
        "description": description,
        "personal-data": True,
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }
