"""Texts in quotes that name a value, label, key, file or column that exists, with their candidates."""

from __future__ import annotations

import ast
import csv
import os
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    Found = tuple[tuple[str, ...], str]  # candidates, and the reason why a text is not one of them

SAMPLE, ONCE, DISTINCT, LONGEST, LABELS = 1000, 200, 100, 80, 1000
TODAY = "column of a table (today)"
_SAME_ROWS = frozenset("assign copy dropna head loc iloc query reset_index sample sort_values tail".split())
_OPENS = re.compile(
    r"(?:read|scan)_(?!sql|clipboard)(\w+)|open|Path|loadtxt|genfromtxt|imread|ExcelFile|load"
)
_ENDINGS = {"csv": "csv tsv txt gz", "table": "csv tsv txt gz", "excel": "xls xlsx", "parquet": "parquet"}
_QUERY = re.compile(r"(`[^`]+`|\w+)\s*(?:[=!]=|(?:\.isin\(| in)\s*[\[(])\s*(['\"])([^'\"]+)\2")
_UNREADABLE = frozenset({"names", "header", "skiprows", "usecols", "index_col"})


class Missing(Exception):  # noqa: N818 - the state of a name, no error
    """An expression starts with a name that does not exist yet."""


@dataclass(frozen=True)
class Place:
    """A text in quotes; its candidates are unknown if `unknown` gives a reason."""

    kind: str
    start: int  # characters before it in the cell
    text: str
    candidates: tuple[str, ...] = ()
    lost: str = ""  # why the text is not among the candidates
    unknown: str = ""

    def fitting(self, typed: int) -> list[str]:
        return [one for one in self.candidates if one.startswith(self.text[:typed])]

    def common(self, typed: int) -> str:
        """Return what all the candidates that fit continue with."""
        return os.path.commonprefix(self.fitting(typed))[typed:]


def values(rows: list[Any], text: str) -> Found | None:
    """Return the candidates among a column's rows, or None for a column without strings."""
    sample = rows[:: max(1, len(rows) // SAMPLE)]
    found = Counter(sample)
    strings = [one for one, _ in found.most_common() if isinstance(one, str)]
    if not strings:
        return None
    if len(found) > DISTINCT:
        return (), f"more than {DISTINCT} values"
    fit = [one for one in strings if len(one) <= LONGEST and one.isprintable() and not set(one) & {*"'\"\\"}]
    kept = tuple(one for one in fit if found[one] > 1 or len(sample) <= ONCE)
    reasons = ((kept, ""), (fit, "seen once"), (strings, "unfit"), (rows, "not in the sample"))
    return kept, next((why for among, why in reasons if text in among), "absent")


def labels(index: Any, text: str) -> Found | None:
    """Return the candidates among an index's labels, or None for an index without strings."""
    found = [*dict.fromkeys(index.get_level_values(0))]
    if not found or not isinstance(found[0], str):
        return None
    if len(found) > LABELS:
        return (), f"more than {LABELS} labels"
    return tuple(map(str, found)), "" if text in found else "absent"


def files(folder: str, reader: str) -> tuple[str, ...]:
    """Return the folders and files in a folder, without those whose ending does not fit if others do."""
    entries = sorted(
        (one for one in os.scandir(folder or ".") if one.name[0] != "."), key=lambda one: one.name
    )
    endings = tuple(f".{end}" for end in _ENDINGS.get(reader, reader).split())
    fitting = [one for one in entries if endings and one.name.endswith(endings)]
    chosen = [one for one in entries if one.is_dir() or not fitting or one in fitting]
    return tuple(one.name + "/" * one.is_dir() for one in chosen)


def header(file: str, separator: str) -> tuple[str, ...]:
    """Return the columns in the first line of a file."""
    with Path(file).open(encoding="utf-8", errors="replace", newline="") as lines:
        return tuple(next(csv.reader(lines, delimiter=separator)))


def is_a(value: Any, *names: str) -> bool:
    return any(kind.__name__ in names for kind in type(value).__mro__)


class Cell:
    """What the texts in quotes of a cell name; `above` has the files that earlier cells read into tables."""

    def __init__(self, source: str, names: Mapping[str, Any], above: Mapping[str, tuple[str, ...]]) -> None:
        self.names, self.above, self.reads = names, above, dict[str, tuple[str, ...]]()
        masked = re.sub(r"(?m)^([ \t]*)[%!].*|^.*\?$", lambda line: " " * len(line[0]), source)
        self.lines, self.nodes = source.split("\n"), list[ast.AST]()
        with suppress(SyntaxError, ValueError):
            self.nodes = [*ast.walk(ast.parse(masked))]
        self.parents = {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}

    def places(self) -> Iterator[Place]:
        """Yield the places in the order of the text."""
        texts = [one for one in self.nodes if isinstance(one, ast.Assign | ast.Attribute | ast.Constant)]
        for node in sorted(texts, key=lambda one: (one.end_lineno or 0, one.end_col_offset or 0)):
            with suppress(Exception):  # unusual objects
                if isinstance(node, ast.Assign):
                    self._assign(node)
                elif (
                    isinstance(call := self.parents[node], ast.Call)
                    and node in call.args[:1]
                    and self._queries(call.func)
                ):
                    yield from self._query(call.func.value, node)
                elif (start := self._start(node)) is not None:
                    text = node.attr if isinstance(node, ast.Attribute) else node.value
                    yield from self._of_header(node, text, start)
                    if isinstance(node, ast.Constant):
                        yield from self._at(node, start)
        source = "\n".join(self.lines)
        for magic in re.finditer(r"(?m)^%(?:run|load)[ \t]+(\S+)", source):
            yield from self._path(magic[1], magic.start(1), "py ipynb")

    def _assign(self, node: ast.Assign) -> None:
        match node:
            case ast.Assign(
                [ast.Name(name)], ast.Call(ast.Attribute(_, way), [ast.Constant(file), *_], words)
            ):
                given = {word.arg: getattr(word.value, "value", None) for word in words}
                if way in {"read_csv", "read_table"} and str(file).endswith((".csv", ".tsv", ".txt")):
                    separator = given.get("sep") or given.get("delimiter") or "\t,"[way == "read_csv"]
                    self.reads[name] = () if _UNREADABLE & {*given} else header(str(file), str(separator))

    def _queries(self, method: ast.AST) -> bool:
        return isinstance(method, ast.Attribute) and method.attr in {"query", "eval"}

    def _query(self, table: ast.AST, node: ast.Constant) -> Iterator[Place]:
        """Yield the places of values in a query, which may be written as several literals."""
        begin, end = (
            self._offset(node.lineno, node.col_offset),
            self._offset(node.end_lineno, node.end_col_offset),
        )
        for found in _QUERY.finditer("\n".join(self.lines), begin + 1, end):
            place = Place("query", found.start(3), found[3], unknown="unknown name")
            with suppress(Missing):
                column = self._look(table)[found[1].strip("`")]
                yield from self._values(place.kind, column, place.text, place.start, [])
                continue
            yield place

    def _offset(self, number: int | None, column: int | None) -> int:
        """Return the characters before a position of the syntax tree."""
        before, line = self.lines[: (number or 1) - 1], self.lines[(number or 1) - 1]
        return sum(len(one) + 1 for one in before) + len(line.encode()[:column].decode())

    def _start(self, node: ast.Attribute | ast.Constant) -> int | None:
        """Return where an attribute or a text in quotes starts, unless it spans lines or has escapes."""
        source = "\n".join(self.lines)
        if isinstance(node, ast.Attribute):
            return self._offset(node.end_lineno, node.end_col_offset) - len(node.attr)
        at = self._offset(node.lineno, node.col_offset)
        opening = re.compile(r"[rR]?['\"](?!['\"]{2})").match(source, at)
        if not opening or not node.value or not isinstance(node.value, str):
            return None
        return opening.end() if source.startswith(node.value, opening.end()) else None

    def _look(self, node: ast.AST) -> Any:
        """Return what an expression stands for: for rows of a table, the table."""
        match node:
            case ast.Name(name):
                within: ast.AST | None = node
                while within := self.parents.get(within):
                    if isinstance(within, ast.Lambda) and name in {one.arg for one in within.args.args}:
                        call = self.parents[within]
                        call = call if isinstance(call, ast.Call) else self.parents[call]
                        found = self._look(call.func.value)  # type: ignore[attr-defined]
                        return getattr(found, "obj", found)
                if name not in self.names:
                    raise Missing
                return self.names[name]
            case ast.Constant(value):
                return value
            case ast.List(elements):
                return [self._look(one) for one in elements]
            case ast.Call(ast.Attribute(_, "col"), [ast.Constant(name)]):
                within = node
                while within := self.parents.get(within):
                    if isinstance(within, ast.Call) and isinstance(within.func, ast.Attribute):
                        with suppress(AttributeError):
                            if is_a(found := self._look(within.func.value), "DataFrame"):
                                return found[name]
            case ast.Attribute(value, name):
                found = self._look(value)
                return found if name in {"loc", "iloc", "at"} else getattr(found, name)
            case ast.Subscript(value, key):
                found = self._look(value)
                if isinstance(found, list):
                    return found[0]
                if is_a(found, "DataFrame", "Series"):
                    key = key.elts[-1] if isinstance(key, ast.Tuple) else key
                    known = isinstance(key, ast.Constant) and key.value in found or isinstance(key, ast.List)
                    return found[self._look(key)] if known and is_a(found, "DataFrame") else found
                return found[self._look(key)]
            case ast.Call(ast.Attribute(value, method)) if method in _SAME_ROWS:
                return self._look(value)
            case ast.Call(ast.Attribute(value, "groupby"), [by, *_]):
                return self._look(value).groupby(self._look(by))
        raise AttributeError

    def _of_header(self, node: ast.AST, text: str, start: int) -> Iterator[Place]:
        """Yield the place of a column of a file, in an expression with the table that it is read into."""
        within: Any = node
        while not isinstance(within := self.parents.get(within), ast.stmt | None):
            root = next((one.value for one in getattr(within, "keywords", ()) if one.arg == "data"), within)
            while isinstance(root, ast.Attribute | ast.Subscript | ast.Call):
                root = root.func if isinstance(root, ast.Call) else root.value
            if isinstance(root, ast.Name) and root is not node:
                for kind, tables in (("file header", self.reads), ("header, nothing run", self.above)):
                    if (columns := tables.get(root.id)) is not None:
                        direct = (
                            isinstance(within, ast.Subscript)
                            and self.parents[node] is within
                            and within.value is root
                        )
                        if text in columns or (direct and isinstance(within.ctx, ast.Load)):
                            lost = "" if text in columns else "absent" if columns else "options of the reader"
                            yield Place(kind, start, text, columns, lost)
                        return
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            for kind, tables in (("file header", self.reads), ("header, nothing run", self.above)):
                if text in tables.get(node.value.id, ()):
                    yield Place(kind, start, text, tables[node.value.id])
                    return

    def _path(self, text: str, start: int, reader: str) -> Iterator[Place]:
        """Yield the parts of a path beside the notebook."""
        if "://" in text or text.startswith(("/", "~")):
            return
        folder, parts = "", re.findall(r"[^/]+/?", text)
        for part in parts:
            if part not in {"./", "../"}:
                missing = not os.path.exists(text)
                found = () if missing else files(folder, reader)
                yield Place("file", start + len(folder), part, found, unknown="the file is missing" * missing)
            folder += part

    def _values(self, kind: str, column: Any, text: str, start: int, others: list[str]) -> Iterator[Place]:
        """Yield the place of a value of a column."""
        if is_a(column, "Series") and (found := values(column.to_list(), text)):
            yield Place(kind, start, text, tuple(one for one in found[0] if one not in others), found[1])

    def _labels(self, table: Any, text: str, start: int, others: list[str]) -> Iterator[Place]:
        if is_a(table, "DataFrame", "Series") and (found := labels(table.index, text)):
            yield Place(
                "index label", start, text, tuple(one for one in found[0] if one not in others), found[1]
            )

    def _keys(self, found: Any, text: str, start: int) -> Iterator[Place]:
        if isinstance(found, dict) or is_a(found, "_Environ"):
            plain = type(found).__name__ in {"dict", "OrderedDict", "defaultdict", "_Environ"}
            keys = tuple(one for one in found if isinstance(one, str)) if plain else ()
            lost = "" if text in keys else "absent" if plain else "another class of dictionary"
            yield Place("key", start, text, keys, lost)

    def _at(self, node: ast.Constant, start: int) -> Iterator[Place]:
        text, others, holder = node.value, list[str](), node
        parent: Any = self.parents[node]
        while isinstance(parent, ast.List | ast.Tuple | ast.Set | ast.Dict | ast.Slice):
            above = self.parents[parent]
            if not isinstance(parent, ast.Slice):
                elements = parent.keys if isinstance(parent, ast.Dict) else parent.elts
                if holder not in elements or (
                    isinstance(above, ast.Subscript)
                    and holder is not elements[0]
                    and isinstance(parent, ast.Tuple)
                ):
                    return
                others += [
                    one.value for one in elements[: elements.index(holder)] if isinstance(one, ast.Constant)
                ]
            holder, parent = parent, above
        kind = ""
        try:
            match parent:
                case ast.Compare(
                    left, [ast.Eq() | ast.NotEq() | ast.In() | ast.NotIn() as operator], [right]
                ):
                    column = right if holder is left else left
                    if isinstance(operator, ast.In | ast.NotIn) and (holder is node or column is right):
                        return
                    kind = "== and !=" if isinstance(column, ast.Subscript | ast.Attribute) else ""
                    within: Any = parent
                    while not isinstance(within := self.parents[within], ast.stmt | ast.Lambda):
                        pass
                    shown = "lambda" if isinstance(within, ast.Lambda) else "== and !="
                    kind = "pl.col" if ".col(" in ast.unparse(column) else shown if kind else ""
                    yield from self._values(kind or shown, self._look(column), text, start, others)
                case ast.Subscript(ast.Attribute(table, "loc" | "at")):
                    kind = "index label"
                    yield from self._labels(self._look(table), text, start, others)
                case ast.Subscript(table):
                    kind = "subscript of an unknown name"
                    found = self._look(table)
                    if is_a(found, "DataFrame"):
                        columns = tuple(
                            one for one in found.columns if isinstance(one, str) and one not in others
                        )
                        yield Place(TODAY, start, text, columns, "" if text in columns else "absent")
                    else:
                        yield from self._labels(found, text, start, others)
                        yield from self._keys(found, text, start)
                case ast.keyword(word) if word in {"hue_order", "order", "row_order", "col_order"}:
                    given = {one.arg: one.value for one in self.parents[parent].keywords}
                    kind, table = "hue_order and order", self._look(given["data"])
                    for name in (word.removesuffix("_order"), "x", "y"):
                        if name in given and (
                            found := [*self._values(kind, table[given[name].value], text, start, others)]
                        ):
                            yield found[0]
                            break
                case ast.keyword("index"):
                    call = self.parents[parent]
                    if call.func.attr == "drop":
                        yield from self._labels(self._look(call.func.value), text, start, others)
                case ast.Call(ast.Attribute(table, "isin" | "is_in" | "eq" | "ne"), [first]) if (
                    first is holder
                ):
                    kind = "pl.col" if ".col(" in ast.unparse(table) else "isin"
                    yield from self._values(kind, self._look(table), text, start, others)
                case ast.Call(ast.Attribute(table, "replace" | "map" as method), [first, *_]) if (
                    first is holder
                ):
                    yield from self._values(method, self._look(table), text, start, others)
                case ast.Call(ast.Attribute(table, "get_group"), [first, *_]) if first is holder:
                    kind, groups = "get_group", self._look(table)
                    by = groups.keys if isinstance(groups.keys, str) else groups.keys[0]
                    yield from self._values(kind, groups.obj[by], text, start, others)
                case ast.Call(ast.Attribute(table, "xs" | "drop"), [first, *_], words) if first is holder:
                    if not any(
                        word.arg in {"axis", "level"} and getattr(word.value, "value", 0) in {1, "columns"}
                        for word in words
                    ):
                        yield from self._labels(self._look(table), text, start, others)
                case ast.Call(ast.Attribute(table, "get" | "pop" | "setdefault"), [first, *_]) if (
                    first is node
                ):
                    yield from self._keys(self._look(table), text, start)
                case ast.Call(ast.Attribute(_, name) | ast.Name(name), [first, *rest]) if first is node:
                    writes = rest and str(getattr(rest[0], "value", "")).startswith(("w", "a", "x"))
                    if (reader := _OPENS.fullmatch(name)) and not (name == "open" and writes):
                        yield from self._path(text, start, reader[1] or "")
        except Missing:
            if kind:
                yield Place(kind, start, text, unknown="unknown name")
