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
    from collections.abc import Callable, Collection, Iterator, Mapping

    Found = tuple[list[str], str] | None  # candidates, and why a text is not one of them; None: no such place

SAMPLE, ONCE, DISTINCT, LONGEST, LABELS = 1000, 200, 100, 80, 1000
TODAY, SUBSCRIPT = "column of a table (today)", "subscript of an unknown name"
EQUAL, LABEL = "== and !=", "index label"
_SAME_ROWS = {"assign", "copy", "dropna", "head", "query", "reset_index", "sample", "sort_values", "tail"}
_OPENS = re.compile(
    r"(?:read|scan)_(?!sql|clipboard)(\w+)|open|Path|loadtxt|genfromtxt|imread|ExcelFile|load"
)
_ENDINGS = {"csv": "csv tsv txt gz", "table": "csv tsv txt gz", "excel": "xls xlsx"}
_QUERY = re.compile(r"(`[^`]+`|\w+)\s*(?:[=!]=|(?:\.isin\(| in)\s*[\[(])\s*(['\"])([^'\"]+)\2")
_UNREADABLE = {"names", "header", "skiprows", "usecols", "index_col"}


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
        fitting = self.fitting(typed) or [""]
        lowest, highest = min(fitting), max(fitting)
        same = (at for at, (one, other) in enumerate(zip(lowest, highest, strict=False)) if one != other)
        return lowest[typed : next(same, len(lowest))]


def is_a(value: Any, *names: str) -> bool:
    return any(kind.__name__ in names for kind in type(value).__mro__)


def values(column: Any, text: str) -> Found:
    """Return the candidates among a column's values."""
    rows = column.to_list() if is_a(column, "Series") else []
    sample = rows[:: max(1, len(rows) // SAMPLE)]
    found = Counter(sample)
    strings = [one for one, _ in found.most_common() if isinstance(one, str)]
    if not strings or len(found) > DISTINCT:
        return ([], f"more than {DISTINCT} values") if strings else None
    fit = [one for one in strings if len(one) <= LONGEST and one.isprintable() and not set(one) & {*"'\"\\"}]
    kept = [one for one in fit if found[one] > 1 or len(sample) <= ONCE]
    reasons = ((kept, ""), (fit, "seen once"), (strings, "unfit"), (rows, "not in the sample"))
    return kept, next((why for among, why in reasons if text in among), "absent")


def group_values(groups: Any, text: str) -> Found:
    by = groups.keys if isinstance(groups.keys, str) else groups.keys[0]
    return values(groups.obj[by], text)


def labels(table: Any, text: str) -> Found:
    """Return the candidates among a table's labels of rows."""
    index = table.index.get_level_values(0) if is_a(table, "DataFrame", "Series") else ()
    found = [one for one in dict.fromkeys(index) if isinstance(one, str)]
    if not found or len(found) > LABELS:
        return ([], f"more than {LABELS} labels") if found else None
    return found, "" if text in found else "absent"


def keys(mapping: Any, text: str) -> Found:
    """Return the keys of a dictionary or the columns of a table."""
    if not isinstance(mapping, dict) and not is_a(mapping, "_Environ", "DataFrame"):
        return None
    if isinstance(mapping, dict) and type(mapping).__name__ not in {"dict", "OrderedDict", "defaultdict"}:
        return [], "another class of dictionary"
    found = [one for one in mapping if isinstance(one, str)]
    return found, "" if text in found else "absent"


def files(folder: str, reader: str) -> list[str]:
    """Return the folders and files in a folder, without those whose ending does not fit if others do."""
    entries = sorted(
        (one for one in os.scandir(folder or ".") if one.name[0] != "."), key=lambda one: one.name
    )
    endings = tuple(f".{end}" for end in _ENDINGS.get(reader, reader).split())
    fitting = [one for one in entries if endings and one.name.endswith(endings)]
    return [one.name + "/" * one.is_dir() for one in entries if one.is_dir() or one in fitting or not fitting]


def header(file: str, separator: str) -> list[str]:
    """Return the columns in the first line of a file."""
    with Path(file).open(encoding="utf-8", errors="replace", newline="") as lines:
        return next(csv.reader(lines, delimiter=separator))


class Cell:
    """What the texts in quotes of a cell name; `above` has the columns of files that earlier cells read."""

    def __init__(self, source: str, names: Mapping[str, Any], above: Mapping[str, list[str]]) -> None:
        self.source, self.names, self.above = source, names, above
        self.reads = dict[str, list[str]]()  # no columns: options of the reader hide them
        masked = re.sub(r"(?m)^[ \t]*[%!].*|^.*\?$", lambda line: " " * len(line[0]), source)
        self.nodes = list[Any]()
        with suppress(SyntaxError, ValueError):
            self.nodes = [*ast.walk(ast.parse(masked))]
        self.parents: dict[Any, Any] = {
            child: node for node in self.nodes for child in ast.iter_child_nodes(node)
        }

    def places(self) -> Iterator[Place]:
        """Yield the places in the order of the text."""
        nodes = [one for one in self.nodes if isinstance(one, ast.Assign | ast.Attribute | ast.Constant)]
        for node in sorted(nodes, key=lambda one: (one.end_lineno, one.end_col_offset)):
            with suppress(Exception):  # unusual objects
                match node, self.parents[node]:
                    case ast.Assign(), _:
                        self._read(node)
                    case ast.Attribute(_, text), _:
                        yield from self._of_header(node, text, self._end(node) - len(text))
                    case ast.Constant(str()), ast.Call(ast.Attribute(table, "query" | "eval"), [first]) if (
                        first is node
                    ):
                        yield from self._query(table, self._begin(node), self._end(node))
                    case ast.Constant(str(text)), _:
                        opening = re.compile(r"[rR]?['\"](?!['\"]{2})").match(self.source, self._begin(node))
                        if text and opening and self.source.startswith(text, opening.end()):
                            yield from self._of_header(node, text, opening.end())
                            yield from self._at(node, text, opening.end())
        for magic in re.finditer(r"(?m)^%(?:run|load)[ \t]+(\S+)", self.source):
            yield from self._path(magic[1], magic.start(1), "py ipynb")

    def _begin(self, node: Any) -> int:
        return self._offset(node.lineno, node.col_offset)

    def _end(self, node: Any) -> int:
        return self._offset(node.end_lineno, node.end_col_offset)

    def _offset(self, number: int, column: int) -> int:
        *above, line = self.source.split("\n")[:number]
        return sum(len(one) + 1 for one in above) + len(line.encode()[:column].decode())

    def _read(self, node: ast.Assign) -> None:
        match node:
            case ast.Assign(
                [ast.Name(name)], ast.Call(ast.Attribute(_, way), [ast.Constant(str(file)), *_], words)
            ):
                given = {word.arg: getattr(word.value, "value", None) for word in words}
                if way in {"read_csv", "read_table"} and file.endswith((".csv", ".tsv", ".txt")):
                    separator = given.get("sep") or given.get("delimiter") or "\t,"[way == "read_csv"]
                    self.reads[name] = [] if _UNREADABLE & {*given} else header(file, str(separator))

    def _of_header(self, node: Any, text: str, start: int) -> Iterator[Place]:
        """Yield the place of a column of a file, in an expression with the table that it is read into."""
        within = node if isinstance(node, ast.Attribute) else self.parents[node]
        while not isinstance(within, ast.stmt | None):
            root = next((one.value for one in getattr(within, "keywords", ()) if one.arg == "data"), within)
            while isinstance(root, ast.Attribute | ast.Subscript | ast.Call):
                root = root.func if isinstance(root, ast.Call) else root.value
            for kind, tables in (("file header", self.reads), ("header, nothing run", self.above)):
                if isinstance(root, ast.Name) and (columns := tables.get(root.id)) is not None:
                    direct = (
                        isinstance(within, ast.Subscript) and node is within.slice and root is within.value
                    )
                    if text in columns or (direct and isinstance(within.ctx, ast.Load)):
                        lost = "" if text in columns else "absent" if columns else "options of the reader"
                        yield Place(kind, start, text, tuple(columns), lost)
                    return
            within = self.parents.get(within)

    def _path(self, text: str, start: int, reader: str) -> Iterator[Place]:
        """Yield the parts of a path beside the notebook."""
        missing, folder = not Path(text).exists(), ""
        for part in re.findall(r"[^/]+/?", text) if "://" not in text and text[0] not in "/~" else ():
            if part not in {"./", "../"}:
                found = () if missing else tuple(files(folder, reader))
                unknown = "the file is missing" * missing
                yield Place("file", start + len(folder), part, found, unknown=unknown)
            folder += part

    def _query(self, table: Any, begin: int, end: int) -> Iterator[Place]:
        """Yield the places of values in a query, which may be written as several literals."""
        for match in _QUERY.finditer(self.source, begin + 1, end):
            column = ast.Subscript(table, ast.Constant(match[1].strip("`")))
            yield from self._place("query", column, values, match[3], match.start(3), ())

    def _place(
        self,
        kind: str,
        node: Any,
        rule: Callable[[Any, str], Found],
        text: str,
        start: int,
        others: Collection[str],
    ) -> Iterator[Place]:
        """Yield the place of what an expression names; `others` are chosen already."""
        try:
            named = self._look(node)
        except Missing:
            if kind not in {"replace", "map", "key"} and not (
                kind == EQUAL and isinstance(node, ast.Name | ast.Call)
            ):
                yield Place(kind, start, text, unknown="unknown name")
            return
        if found := rule(named, text):
            if kind == SUBSCRIPT:
                kind = TODAY if is_a(named, "DataFrame") else LABEL if is_a(named, "Series") else "key"
            yield Place(kind, start, text, tuple(one for one in found[0] if one not in others), found[1])

    def _at(self, node: Any, text: str, start: int) -> Iterator[Place]:  # noqa: C901, PLR0912 - a table
        """Yield the place of a text in quotes, alone or in a list or the keys of a dictionary."""
        others, holder, parent = list[str](), node, self.parents[node]
        while isinstance(parent, ast.List | ast.Tuple | ast.Set | ast.Dict | ast.Slice):
            if not isinstance(parent, ast.Slice):
                elements = parent.keys if isinstance(parent, ast.Dict) else parent.elts
                is_second = isinstance(parent, ast.Tuple) and holder is not elements[0]
                if holder not in elements or (is_second and isinstance(self.parents[parent], ast.Subscript)):
                    return
                others += [getattr(one, "value", "") for one in elements[: elements.index(holder)]]
            holder, parent = parent, self.parents[parent]
        found: tuple[str, Any, Callable[[Any, str], Found]] | None = None
        match parent:
            case ast.Compare(left, [ast.Eq() | ast.NotEq() | ast.In() | ast.NotIn() as operator], [right]):
                if isinstance(operator, ast.Eq | ast.NotEq) or (holder is right and holder is not node):
                    found = EQUAL, right if holder is left else left, values
            case ast.Subscript(ast.Attribute(table, "loc" | "at")):
                found = LABEL, table, labels
            case ast.Subscript(table):
                found = SUBSCRIPT, table, lambda named, _: keys(named, text) or labels(named, text)
            case ast.keyword("index") if getattr((call := self.parents[parent]).func, "attr", "") == "drop":
                found = LABEL, call.func.value, labels
            case ast.keyword("hue_order" | "order" | "row_order" | "col_order" as word):
                given = {one.arg: one.value for one in self.parents[parent].keywords}
                names = [
                    given[one].value
                    for one in (word.removesuffix("_order"), "x", "y")
                    if one in given and one != word
                ]
                rule = lambda table, _: next(filter(None, (values(table[one], text) for one in names)), None)  # noqa: E731
                found = "hue_order and order", given["data"], rule
            case ast.Call(ast.Attribute(table, "isin" | "is_in" | "eq" | "ne"), [first]) if first is holder:
                found = "isin", table, values
            case ast.Call(ast.Attribute(table, "replace" | "map" as method), [first, *_]) if first is holder:
                found = method, table, values
            case ast.Call(ast.Attribute(table, "get_group"), [first, *_]) if first is holder:
                found = "get_group", table, group_values
            case ast.Call(ast.Attribute(table, "xs" | "drop"), [first, *_], words) if first is holder:
                if not {"axis", "level"} & {word.arg for word in words}:
                    found = LABEL, table, labels
            case ast.Call(ast.Attribute(table, "get" | "pop" | "setdefault"), [first, *_]) if first is node:
                found = "key", table, keys
            case ast.Call(ast.Attribute(_, name) | ast.Name(name), [first, *rest]) if first is node:
                writes = name == "open" and rest and str(getattr(rest[0], "value", ""))[:1] in {*"wax"}
                if (reader := _OPENS.fullmatch(name)) and not writes:
                    yield from self._path(text, start, reader[1] or "")
        if found:
            kind, expression, rule = found
            if rule is values and kind in {EQUAL, "isin"}:
                within = parent
                while not isinstance(within, ast.stmt | ast.Lambda):
                    within = self.parents[within]
                kind = "lambda" if isinstance(within, ast.Lambda) else kind
                kind = "pl.col" if ".col(" in ast.unparse(expression) else kind
            yield from self._place(kind, expression, rule, text, start, others)

    def _look(self, node: Any) -> Any:  # noqa: C901, PLR0911, PLR0912 - a table
        """Return what an expression stands for: for rows of a table, the table."""
        match node:
            case ast.Name(name):
                within = node
                while within := self.parents.get(within):
                    if isinstance(within, ast.Lambda) and name in {one.arg for one in within.args.args}:
                        call = self.parents[within]
                        call = self.parents[call] if isinstance(call, ast.keyword) else call
                        named = self._look(call.func.value)
                        return getattr(named, "obj", named)
                if name not in self.names:
                    raise Missing
                return self.names[name]
            case ast.Constant(value):
                return value
            case ast.List(elements):
                return [self._look(one) for one in elements]
            case ast.Call(ast.Attribute(_, "col"), [ast.Constant(name)]):
                within = node
                while within := self.parents.get(within):  # the table whose method takes the expression
                    with suppress(AttributeError):
                        if is_a(named := self._look(within.func.value), "DataFrame"):
                            return named[name]
            case ast.Call(ast.Attribute(value, "groupby"), [by, *_]):
                return self._look(value).groupby(self._look(by))
            case ast.Call(ast.Attribute(value, method)) if method in _SAME_ROWS:
                return self._look(value)
            case ast.Attribute(value, name):
                named = self._look(value)
                return named if name in {"loc", "iloc", "at"} else getattr(named, name)
            case ast.Subscript(value, key):
                named = self._look(value)
                if isinstance(named, list):
                    return named[0]
                if is_a(named, "DataFrame", "Series"):
                    key = key.elts[-1] if isinstance(key, ast.Tuple) else key
                    columns = named.columns if is_a(named, "DataFrame") else ()
                    is_name = (isinstance(key, ast.Constant) and key.value in columns) or isinstance(
                        key, ast.List
                    )
                    return named[self._look(key)] if is_name else named
                return named[self._look(key)]
        raise AttributeError
