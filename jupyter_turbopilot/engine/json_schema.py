"""JSON schemas become grammars whose every text fits the schema; other schemas are refused. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

DEEPEST = 32  # schemas within schemas
LARGEST = 1024  # rules of one grammar
LONGEST = 65536  # characters of one grammar
MOST = 256  # properties of one object, values of one list, items that are counted

_WORDS = frozenset(
    {"$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated"}
)
_TYPES = {
    "object": frozenset({"properties", "required", "additionalProperties"}),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "string": frozenset({"minLength", "maxLength"}),
    "number": frozenset[str](),
    "integer": frozenset[str](),
    "boolean": frozenset[str](),
    "null": frozenset[str](),
}
_ANYWHERE = _WORDS | {"$defs", "definitions"}
# Space is bounded, since a model that is unsure would write it without end, and none stands behind a value.
_COMMON = {
    "space": r'| " " | "\n" [ \t]{0,20}',
    "char": r"""[^"\\\x00-\x1F\x7F] | "\\" ["\\/bfnrt]""",
    "string": r'"\"" char* "\""',
    "integer": r'"-"? ("0" | [1-9] [0-9]{0,15})',
    "number": r'integer ("." [0-9]{1,16})? ([eE] [-+]? [0-9]{1,2})?',
    "boolean": r'"true" | "false"',
    "null": r'"null"',
    "value": "object | array | string | number | boolean | null",
    "pair": r'string space ":" space value',
    "object": r'"{" space (pair (space "," space pair)* space)? "}"',
    "array": r'"[" space (value (space "," space value)* space)? "]"',
}


def grammar_of(schema: dict[str, Any]) -> str:
    """Return the grammar of a schema; ValueError names the part that is not supported."""
    grammar = _Grammar(schema).text()
    if len(grammar) > LONGEST:
        raise ValueError("The schema is too large. Send a grammar instead.")
    return grammar


class _Grammar:
    """The rules of one schema."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema
        self._rules: dict[str, str] = {}
        self._named: dict[str, str] = {}  # of each reference, the rule
        # An empty schema means any object, as in llama.cpp's server.
        self._rules["root"] = self._visit(schema or {"type": "object"}, 0)

    def text(self) -> str:
        """Write the rules, with those that they have in common."""
        return "\n".join(f"{name} ::= {rule}" for name, rule in (_COMMON | self._rules).items())

    def _add(self, rule: str) -> str:
        if len(self._rules) >= LARGEST:
            raise ValueError("The schema is too large. Send a grammar instead.")
        name = f"r{len(self._rules)}"
        self._rules[name] = rule
        return name

    def _visit(self, schema: Any, depth: int) -> str:
        """Return the expression of what fits a schema; it needs no brackets."""
        if depth > DEEPEST:
            raise ValueError(f"The schema has more than {DEEPEST} schemas within each other.")
        if schema is True or schema == {}:
            return "value"
        if not isinstance(schema, dict):
            raise ValueError("A schema must be an object.")  # noqa: TRY004 - what was sent is wrong, not the program
        given = schema.keys() - _ANYWHERE
        for name, visit in (("$ref", self._reference), ("anyOf", self._any_of)):
            if name in given:
                self._refuse(given - {name})
                return visit(schema[name], depth + 1)
        if names := given & {"const", "enum"}:
            self._refuse(given - names - {"type"})
            return self._values(schema)
        if not given & {"type", "properties"}:
            self._refuse(given)
            return "value"
        kinds = _kinds(schema.get("type", "object"))
        self._refuse(given - {"type"} - frozenset[str]().union(*(_TYPES[kind] for kind in kinds)))
        return self._either([self._kind(kind, schema, depth + 1) for kind in kinds])

    def _kind(self, kind: str, schema: dict[str, Any], depth: int) -> str:
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, depth)
        return self._string(schema) if kind == "string" else kind

    @staticmethod
    def _refuse(names: Any) -> None:
        if names:
            raise ValueError(f"{min(names)[:80]} in a schema is not supported. Send a grammar instead.")

    def _either(self, ways: Sequence[str]) -> str:
        distinct = list(dict.fromkeys(ways))
        return distinct[0] if len(distinct) == 1 else self._add(" | ".join(distinct))

    def _reference(self, name: Any, depth: int) -> str:
        if not isinstance(name, str) or not (name == "#" or name.startswith("#/")):
            raise ValueError("A $ref must name a part of the same schema, such as #/$defs/name.")
        if name not in self._named:
            part: Any = self._schema
            for step in name.split("/")[1:]:
                key = step.replace("~1", "/").replace("~0", "~")
                part = part.get(key) if isinstance(part, dict) else None
                if part is None:
                    break
            if part is None:
                raise ValueError(f"The schema has no part {name[:80]}.")
            self._named[name] = rule = self._add("")
            self._rules[rule] = self._visit(part, depth)
            if self._rules[rule] == rule:
                raise ValueError(f"{name[:80]} refers to itself.")
        return self._named[name]

    def _any_of(self, ways: Any, depth: int) -> str:
        return self._either([self._visit(way, depth) for way in self._list(ways, "anyOf")])

    def _values(self, schema: dict[str, Any]) -> str:
        values = self._list(schema["enum"], "enum") if "enum" in schema else [schema["const"]]
        kinds = set(_kinds(schema.get("type", list(_TYPES))))
        fit = [json.dumps(value, ensure_ascii=False) for value in values if _kinds_of(value) & kinds]
        if "const" in schema:
            only = json.dumps(schema["const"], ensure_ascii=False)
            fit = [text for text in fit if text == only]
        if not fit:
            raise ValueError("No value of an enum or const fits its schema.")
        return self._either([self._add(_literal(text)) for text in fit])

    @staticmethod
    def _list(values: Any, name: str) -> list[Any]:
        if not isinstance(values, list) or not 0 < len(values) <= MOST:
            raise ValueError(f"{name} must be a list of 1 to {MOST} values.")
        return values

    def _string(self, schema: dict[str, Any]) -> str:
        if not {"minLength", "maxLength"} & schema.keys():
            return "string"
        return self._add(rf'"\"" char{_times(schema, "minLength", "maxLength")} "\""')

    def _array(self, schema: dict[str, Any], depth: int) -> str:
        if not {"items", "minItems", "maxItems"} & schema.keys():
            return "array"
        item = self._visit(schema.get("items", True), depth)
        least, most = _bounds(schema, "minItems", "maxItems")
        if most == 0:
            return self._add('"[" space "]"')
        more = f'(space "," space {item})' + _count(max(0, least - 1), most - 1 if most is not None else None)
        items = f"({item} {more} space)" + ("" if least else "?")
        return self._add(f'"[" space {items} "]"')

    def _object(self, schema: dict[str, Any], depth: int) -> str:
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        others = schema.get("additionalProperties", not properties)
        if not isinstance(properties, dict) or not isinstance(required, list):
            raise ValueError("properties must be an object, and required a list of names.")  # noqa: TRY004
        if len(properties) > MOST or not all(isinstance(name, str) for name in required):
            raise ValueError(f"An object may have {MOST} properties, and required names some of them.")
        required = set(required)
        if missing := required - properties.keys():
            raise ValueError(f"{min(missing)[:80]} is required but not among the properties.")
        if properties and others not in (False, True):
            raise ValueError("additionalProperties beside properties is not supported. Set it to false.")
        if not properties:
            return "object" if others is True else self._map(others, depth)
        # In the order in which the schema has them; what may be left out is, more are never written.
        first, rest = '""', ""  # what may follow before anything is written, and behind something
        for name in reversed(properties):
            key = _literal(json.dumps(name, ensure_ascii=False))
            pair = self._add(f'{key} space ":" space {self._visit(properties[name], depth)}')
            needed = name in required
            first = self._add(f"{pair} {rest}" + ("" if needed else f" | {first}"))
            rest = self._add(f'(space "," space {pair}){"" if needed else "?"} {rest}')
        return self._add(f'"{{" space {first} space "}}"')

    def _map(self, others: Any, depth: int) -> str:
        if others is False:
            return self._add('"{" space "}"')
        pair = self._add(f'string space ":" space {self._visit(others, depth)}')
        return self._add(f'"{{" space ({pair} (space "," space {pair})* space)? "}}"')


def _kinds(given: Any) -> list[str]:
    """Return the types that a schema names, each once."""
    names = given if isinstance(given, list) else [given]
    if not 0 < len(names) <= len(_TYPES) or not all(
        isinstance(name, str) and name in _TYPES for name in names
    ):
        raise ValueError("type must be one of " + ", ".join(_TYPES) + ", or a list of them.")
    return list(dict.fromkeys(names))


def _kinds_of(value: Any) -> set[str]:
    """Return the types that a value is of."""
    kinds = {dict: "object", list: "array", str: "string", bool: "boolean", int: "number", float: "number"}
    return {kinds.get(type(value), "null")} | ({"integer"} if type(value) is int else set())


def _bounds(schema: dict[str, Any], least: str, most: str) -> tuple[int, int | None]:
    """Return two counts that a schema names."""
    low, high = schema.get(least, 0), schema.get(most)
    for value in (low, high):
        if value is not None and (type(value) is not int or not 0 <= value <= MOST):
            raise ValueError(f"{least} and {most} must be whole numbers from 0 to {MOST}.")
    if high is not None and high < low:
        raise ValueError(f"{most} is less than {least}.")
    return low, high


def _times(schema: dict[str, Any], least: str, most: str) -> str:
    return _count(*_bounds(schema, least, most))


def _count(low: int, high: int | None) -> str:
    return f"{{{low},{'' if high is None else high}}}"


def _literal(text: str) -> str:
    """Write a text as the grammar's own literal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return f'"{escaped}"'
