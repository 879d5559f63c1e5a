"""Write the front end's types and the table of routes from the routes' schemas; `cog` runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from jupyter_turbopilot.jupyter.routes.openapi import document
from jupyter_turbopilot.jupyter.routes.table import loaded
from jupyter_turbopilot.protocol import contract
from jupyter_turbopilot.protocol.fix import Edit, Fix, InsertedCell
from jupyter_turbopilot.protocol.phase import Phase
from jupyter_turbopilot.protocol.reply import Timings
from jupyter_turbopilot.protocol.request import (
    Cell,
    CheckRequest,
    Completion,
    Document,
    EditedCell,
    EditRequest,
    ErrorOutput,
    Feedback,
    FixCell,
    FixRequest,
    NotebookRequest,
    Pull,
    RenameRequest,
    RepeatRequest,
    Select,
)

# The front end's names of the schemas it uses.
INTERFACES: dict[str, Any] = {
    "ICell": Cell,
    "IOtherDocument": Document,
    "INotebookRequest": NotebookRequest,
    "IRequest": Completion,
    "ISuggestion": contract.Suggestion,
    "ITimings": Timings,
    "IAnswer": contract.Answer,
    "IError": contract.Error,
    "IFrame": contract.Frame,
    "IFixCell": FixCell,
    "IErrorOutput": ErrorOutput,
    "IEditRequest": EditRequest,
    "IFixRequest": FixRequest,
    "IEdit": Edit,
    "IInsertedCell": InsertedCell,
    "IFix": Fix,
    "IFixes": contract.Fixes,
    "ICheckRequest": CheckRequest,
    "IFinding": contract.Finding,
    "IFindings": contract.Findings,
    "IRenameRequest": RenameRequest,
    "IRenameEdits": contract.RenameEdits,
    "IEditedCell": EditedCell,
    "IRepeatRequest": RepeatRequest,
    "IRepeatEdits": contract.RepeatEdits,
    "IFeedback": Feedback,
    "INotebookIndex": contract.NotebookIndex,
    "IWeek": contract.Week,
    "IUsageLog": contract.UsageLog,
    "IHealth": contract.Health,
    "ISelect": Select,
    "IPull": Pull,
    "IProgress": contract.Progress,
    "IAdapter": contract.Adapter,
    "IModel": contract.Model,
    "IRemoved": contract.Removed,
}
ENUMERATIONS: dict[str, type[StrEnum]] = {"Phase": Phase}
WIDTH = 110  # prettier's line length

if TYPE_CHECKING:
    from collections.abc import Iterable
    from enum import StrEnum

Schema = dict[str, Any]


def schemas(*kinds: Any) -> dict[str, Schema]:
    """Return the JSON schemas of types and of all types they refer to, by name."""
    return msgspec.json.schema_components(kinds, ref_template="{name}")[1]


def typescript() -> str:
    """Return the front end's types."""
    types: dict[str, Any] = {**INTERFACES, **ENUMERATIONS}
    names = {kind.__name__: name for name, kind in types.items()}
    known = schemas(*INTERFACES.values())
    unions = [_declaration(f"export type {name} =", _literals(kind)) for name, kind in ENUMERATIONS.items()]
    interfaces = [_interface(name, kind, known, names) for name, kind in INTERFACES.items()]
    return "\n\n".join(unions + interfaces)


def _interface(name: str, kind: Any, known: dict[str, Schema], names: dict[str, str]) -> str:
    schema, base = known[kind.__name__], kind.__base__.__name__
    inherited = known[base]["properties"] if base in names else {}
    head = f"{name} extends {names[base]}" if base in names else name
    lines = [f"/** {schema['description']} */", f"export interface {head} {{"]
    for field, part in schema["properties"].items():
        if field in inherited:
            continue
        if "description" in part:
            lines.append(f"  /** {part['description']} */")
        # Fields with a default other than null are always sent: the front end has its own defaults.
        optional = field not in schema["required"] and part.get("default") is None
        lines.append(_declaration(f"  {field}{'?' * optional}:", _union(part, names)))
    return "\n".join([*lines, "}"])


def _literals(values: Iterable[str]) -> list[str]:
    return ["'" + value + "'" for value in values]


def _declaration(head: str, alternatives: list[str]) -> str:
    """Write a union on one line, on the line below, or one alternative per line, like Prettier."""
    union = f"{' | '.join(alternatives)};"
    indent = " " * (len(head) - len(head.lstrip()) + 2)
    for line in (f"{head} {union}", f"{head}\n{indent}{union}"):
        if max(map(len, line.splitlines())) <= WIDTH:
            return line
    return "\n".join([head, *(f"{indent}| {one}" for one in alternatives)]) + ";"


def _union(part: Schema, names: dict[str, str]) -> list[str]:
    """Return the alternatives of a type in TypeScript."""
    if "$ref" in part:
        return [names[part["$ref"]]]
    if "anyOf" in part:
        return [one for alternative in part["anyOf"] for one in _union(alternative, names)]
    if "enum" in part:
        return _literals(part["enum"])
    if part["type"] == "array":
        items = " | ".join(_union(part["items"], names))
        return [f"({items})[]" if "|" in items else f"{items}[]"]
    return [str(part["type"]).replace("integer", "number")]


def routes() -> str:
    """Return the table of all routes, from the OpenAPI document."""
    rows: dict[tuple[str, ...], list[str]] = {}
    for path, methods in document(loaded())["paths"].items():
        for method, operation in methods.items():
            takes = operation.get("requestBody", {"content": {}})["content"]
            gives = next(each for status, each in operation["responses"].items() if status.startswith("2"))
            cells = (_bodies(takes), _bodies(gives.get("content", {})), operation["summary"])
            rows.setdefault((operation["description"], method.upper(), *cells), []).append(f"`{path[1:]}`")
    lines = ["| route | takes | gives | does |", "| --- | --- | --- | --- |"]
    for (_, method, *others), paths in rows.items():
        lines.append(f"| {method} {', '.join(paths)} | {' | '.join(others)} |")
    return "\n".join(lines)


def _bodies(content: dict[str, Schema]) -> str:
    """Return the names of the schemas of a body's media types."""
    lines = {"application/x-ndjson": "lines of "}
    names = ((media, part["schema"]["$ref"].rpartition("/")[2]) for media, part in content.items())
    return " or ".join(f"{lines.get(media, '')}`{name}`" for media, name in names)
