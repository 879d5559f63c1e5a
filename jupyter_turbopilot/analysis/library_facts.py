"""Facts about functions, methods and parameters of libraries, as `library_facts.toml` lists them. Pure."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias

Fact: TypeAlias = Literal[
    "element", "expression", "group", "more", "new", "number", "part", "rows", "same", "size", "tuples",
    "window",  # the results end here, and the effects begin
    "accessor", "aggregates", "aggregation", "axis", "by_name", "calls", "changes", "code", "compares",
    "condition", "consumes", "empties", "errors", "formula", "groups", "joins", "keeps", "label", "lacks",
    "levels", "locates", "named", "numeric", "of_levels", "of_rows", "of_values", "others", "passes",
    "positions", "pure", "reads", "strict", "text",
]  # fmt: skip
Meaning: TypeAlias = Literal[
    "changes", "code", "column", "elsewhere", "layout", "level", "order", "path", "table", "text",
]  # fmt: skip


class Row(NamedTuple):
    """The facts about a function or a method."""

    name: str
    libraries: tuple[str, ...]
    columns: tuple[str, ...]
    keys: tuple[str, ...]
    facts: dict[str, tuple[str, ...]]  # with the values of those that have some

    def is_of(self, library: str) -> bool:
        """Return whether the row holds for a library; an empty name: any."""
        return not library or any(
            each.partition("<")[0].partition(">")[0] == library for each in self.libraries
        )


def _cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in row.split("|")] for row in text.split("\n") if row.strip()]


def _row(name: str, libraries: str, result: str, columns: str, keys: str, effects: str) -> Row:
    given = [part.partition("=") for part in f"{result} {effects}".split()]
    facts = {fact: tuple(values.split(",")) if values else () for fact, _, values in given}
    return Row(name, tuple(libraries.split()), tuple(columns.split()), tuple(keys.split()), facts)


_DATA: dict[str, Any] = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
ROWS = [_row(*cells) for cells in _cells(_DATA["functions"])]
PARAMETERS = {name: (function, meaning.split()) for name, function, meaning in _cells(_DATA["parameters"])}
FILES = {name: tuple(endings.split()) for names, endings in _cells(_DATA["files"]) for name in names.split()}
MEMBERS = {owner: frozenset(names.split()) for owner, names in _DATA["members"].items()}
CLASSES: dict[str, str] = _DATA["classes"]  # behind attributes of a column of pandas
_BY_NAME: dict[str, list[Row]] = {}
for _each in ROWS:
    _BY_NAME.setdefault(_each.name, []).append(_each)


def names_columns(
    method: str, argument: str, *, is_dict: bool = False, of_other: bool = False, library: str = ""
) -> bool:
    """Return whether an argument, by position or name, names columns of the table.

    `is_dict`: by the keys of a dictionary. `of_other`: of another table.
    """
    rows = (row for row in _BY_NAME.get(method, ()) if row.is_of(library))
    return any(
        argument in (row.keys if is_dict else row.facts.get("others", ()) if of_other else row.columns)
        for row in rows
    )


def functions(*facts: Fact) -> frozenset[str]:
    """Return the full names with one of the facts."""
    return frozenset(row.name for row in ROWS if "." in row.name and not row.facts.keys().isdisjoint(facts))


def methods(*facts: Fact, library: str = "") -> frozenset[str]:
    """Return the methods, attributes and functions with one of the facts, without their modules."""
    rows = (row for row in ROWS if row.is_of(library) and not row.facts.keys().isdisjoint(facts))
    return frozenset(row.name.rpartition(".")[2] for row in rows)


def values_of(fact: Fact) -> dict[str, tuple[str, ...]]:
    """Return the values of a fact by method."""
    return {row.name.rpartition(".")[2]: row.facts[fact] for row in ROWS if fact in row.facts}


def files_read(function: str) -> tuple[str, ...]:
    """Return the arguments, by position or name, in which a function gets the paths of files that must exist.

    `function`: its full name in a library.
    """
    library, name = function.partition(".")[0], function.rpartition(".")[2]
    rows = (*_BY_NAME.get(function, ()), *(row for row in _BY_NAME.get(name, ()) if row.is_of(library)))
    return next((row.facts["reads"] for row in rows if "reads" in row.facts), ())


def parameters(*meanings: Meaning) -> frozenset[str]:
    """Return the parameters with one of the meanings, in whatever function."""
    return frozenset(name for name, (_, given) in PARAMETERS.items() if not {*given}.isdisjoint(meanings))
