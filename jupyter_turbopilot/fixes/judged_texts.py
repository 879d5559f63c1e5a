"""Texts in a cell that the kernel or its folder shows to be wrong: files, names in queries, values. Pure.

All of them need an existing text that is near: a file, a column or a value may also be a new one.
"""

from __future__ import annotations

import ast
import re
import unicodedata
from collections.abc import Iterator
from keyword import iskeyword
from posixpath import split
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from jupyter_turbopilot.analysis.library_facts import CLASSES, MEMBERS, files_read, methods, values_of
from jupyter_turbopilot.analysis.parsed_cell import chain, expression_of
from jupyter_turbopilot.analysis.texts import Readable, Texts
from jupyter_turbopilot.fixes import quiet
from jupyter_turbopilot.fixes.keys import plain_start
from jupyter_turbopilot.fixes.labels import is_mask
from jupyter_turbopilot.fixes.nearest import (
    SHORTEST,
    NameIndex,
    nearest,
    nearest_of_few,
    nearest_of_interface,
)
from jupyter_turbopilot.fixes.objects import is_reported
from jupyter_turbopilot.fixes.queries import parse_query
from jupyter_turbopilot.fixes.selections import comparisons_at
from jupyter_turbopilot.protocol.fix import as_code
from jupyter_turbopilot.util.bounds import count_operations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jupyter_turbopilot.analysis.notebook import Notebook
    from jupyter_turbopilot.analysis.parsed_cell import ParsedCell
    from jupyter_turbopilot.analysis.report import KernelReport
    from jupyter_turbopilot.fixes.evaluation import Evaluation
    from jupyter_turbopilot.fixes.queries import Part
    from jupyter_turbopilot.fixes.selections import Comparison
    from jupyter_turbopilot.protocol.fix import Source

MOST_READ = 8  # columns and folders, as a kernel answers no more at once
_SURE = 0.9  # the confidence of a near value: another one may be missing in these rows alone
_SAME = methods("group", "part", "same", "window")
_WITH_COLUMNS = methods("condition", "formula")
_BY_NAME, _AGGREGATING, _AGGREGATIONS = values_of("by_name"), methods("aggregates"), methods("aggregation")
_TABLES = frozenset({"DataFrame", "DataFrameGroupBy", "SeriesGroupBy"})
_OF_TABLES = MEMBERS["pandas.DataFrame"]
# Parameters of `agg` that are no new columns.
_OPTIONS = frozenset({"axis", "engine", "engine_kwargs", "func", None})
# Classes with the names of all aggregations, of which no object has all.
_AGGREGATED = tuple(
    f"import {name}"
    for name in (
        "pandas.DataFrame",
        "pandas.Series",
        "pandas.core.groupby.DataFrameGroupBy",
        "pandas.core.groupby.SeriesGroupBy",
        "numpy",
    )
)
_OF_PANDAS = re.compile(r"index|columns|[ic]level_\d+|True|False|None|list|tuple|datetime|Timestamp|[iI]nf")
_WORD = re.compile(r"\w+")
_NOT_PLAIN = frozenset("~:\\*?[")  # in a path: a home, an address, another folder, a pattern
_UNWRITABLE = frozenset("`'\"\\\n")


class Wrong(NamedTuple):
    """A part of the source that is wrong, and the text for it."""

    span: tuple[int, int]
    message: str
    near: tuple[str, float]
    text: str = ""  # instead of the near name
    source: Source = "kernel"


_Found: TypeAlias = Iterator[Wrong]


def described_for(parsed: ParsedCell) -> Iterator[str]:
    """Yield the classes that the judgement of a cell needs."""
    count_operations(len(parsed.nodes))
    for node in parsed.nodes:
        match node:
            case ast.Attribute(value=ast.Attribute(attr=name)) if name in CLASSES:
                yield f"import {CLASSES[name]}"
            case ast.Call(func=ast.Attribute(attr=name)) if name in _BY_NAME and any(_functions(node, name)):
                yield from _AGGREGATED


def readings_for(parsed: ParsedCell) -> list[Readable]:
    """Return what the judgement of a cell has to read."""
    found: dict[Readable, None] = {}
    for node in parsed.nodes:
        found |= dict.fromkeys(each.values for each in comparisons_at(parsed, node))
        match node:
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)):
                library = next((each for each in ("builtins", "pandas", "polars", "numpy", "matplotlib")
                                if files_read(f"{each}.{name}")), "")  # fmt: skip
                path = quiet.reads_file(node, f"{library}.{name}") if library else None
                if isinstance(path, ast.Constant) and (folder := _folder(path.value)):
                    found[folder] = None
    return [*found][:MOST_READ]


class TextJudge:
    """The judgement of the texts at the nodes of a cell."""

    def __init__(
        self,
        evaluation: Evaluation,
        notebook: Notebook,
        parsed: ParsedCell,
        report: KernelReport,
        texts: Mapping[Readable, Texts],
    ) -> None:
        self._evaluation, self._notebook, self._parsed = evaluation, notebook, parsed
        self._report, self._texts = report, texts

    def judge(self, node: ast.AST) -> _Found:
        """Yield the wrong texts at a node whose parts have been evaluated."""
        if isinstance(node, ast.Call):
            yield from self._check_files(node)
            yield from self._check_aggregations(node)
            yield from self._names_in_query(node)
        if isinstance(node, ast.Compare | ast.Call):
            for each in comparisons_at(self._parsed, node):
                yield from self._check_values(each)
        if isinstance(node, ast.Attribute):
            yield from self._check_attributes(node)

    # Files --------------------------------------------------------------------------------------------------

    def _check_files(self, node: ast.Call) -> _Found:
        objects = self._evaluation.objects
        path = quiet.reads_file(node, objects.value(node.func).function)
        if not isinstance(path, ast.Constant) or objects.has_any_file:
            return
        folder, start = _folder(path.value), plain_start(self._parsed.source, self._parsed.span(path), path)
        found = self._texts.get(folder) if folder else None
        if start is None or found is None or not found.all or not self._is_only_here(str(path.value)):
            return
        whole = str(path.value)
        name = split(whole)[1]
        names = [each for each in found.texts if not each.endswith("/")]
        # A disk may ignore the case, and a library may add the ending of a compressed file.
        existing, plain = (_plain(each.rstrip("/")) for each in found.texts), _plain(name)
        if any(each == plain or each.startswith(f"{plain}.") for each in existing):
            return
        if near := nearest(name, names, kind="file"):
            end = start + len(whole)
            message = f"There is no file {as_code(whole)}."
            yield Wrong((end - len(name), end), message, near, source="files")

    def _is_only_here(self, text: str) -> bool:
        """Return whether a text is nowhere else in the notebook, which may create what it names."""
        return self._count(_mention_of(split(text)[1])) == 1

    def _is_elsewhere(self, name: str) -> bool:
        """Return whether a name is in another cell."""
        mention = _mention_of(name)
        return self._count(mention) > len(mention.findall(self._parsed.source))

    def _count(self, pattern: re.Pattern[str]) -> int:
        """Return how often a pattern is found in the notebook."""
        sources = [cell.source or "" for cell in self._notebook]
        count_operations(sum(map(len, sources)) // 32)
        return sum(len(pattern.findall(each)) for each in sources)

    # Values -------------------------------------------------------------------------------------------------

    def _check_values(self, comparison: Comparison) -> _Found:
        objects, owner, label = self._evaluation.objects, comparison.owner, comparison.label
        value, found = objects.value(owner), self._texts.get(comparison.values)
        if found is None or not (found.all and found.whole) or objects.has_any_value:
            return
        described = objects.described(owner)
        if described is None or value.expression != expression_of(owner) or self._may_be_reloaded(owner):
            return
        is_column = described.type == "Series" if label is None else label in (described.labels or ())
        if not is_column or objects.has_any_label or label in objects.added or self._is_assigned(owner):
            return
        if any(map(self._is_elsewhere, comparison.names)):
            return  # another cell may count the rows
        index = NameIndex(found.texts)
        shown = as_code(label or comparison.values.code)
        for start, end, text in comparison.texts:
            near = None if text in found.texts or not text else index.nearest(text, "key")
            if near is None or near[1] < _SURE or not _differ_in_words(text, near[0]):
                continue
            is_tidied = _plain(text.strip()) == _plain(near[0].strip()) and self._is_filled(label)
            # A cell that contains the nearest value, too, may use both spellings on purpose.
            if near[0] not in self._parsed.source and self._is_only_here(text) and not is_tidied:
                yield Wrong((start, end), f"{shown} has no value {as_code(text)}.", near)

    def _is_filled(self, label: str | None) -> bool:
        """Return whether the notebook assigns to a column, as after `.str.title()`."""
        return self._count(re.compile(rf"\b{re.escape(label or '')}\b['\"]?\]?\s*+=(?!=)")) > 0

    def _is_assigned(self, owner: ast.expr) -> bool:
        """Return whether the cell assigns to an object or a part of it, before or after a comparison."""
        count_operations(len(self._parsed.nodes))
        name = getattr(chain(owner)[-1], "id", "")
        targets = (
            node for node in self._parsed.nodes if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
        )
        return any(getattr(chain(each)[-1], "id", "") == name for each in targets)

    # Queries ------------------------------------------------------------------------------------------------

    def _names_in_query(self, node: ast.Call) -> _Found:
        given = {each.arg or "": each.value for each in node.keywords}
        text = node.args[0] if len(node.args) == 1 else given.get("expr")
        if not isinstance(node.func, ast.Attribute) or node.func.attr not in _WITH_COLUMNS:
            return
        if not isinstance(text, ast.Constant) or not given.keys() <= {"expr", "inplace"}:
            return
        owner, objects = node.func.value, self._evaluation.objects
        table = self._evaluation.labels.table(owner)
        if table is None or table.type != "DataFrame" or not table.is_of_pandas:
            return
        if self._may_be_reloaded(owner):
            return
        start = plain_start(self._parsed.source, self._parsed.span(text), text)
        query = parse_query(str(text.value)) if start is not None else None
        function = objects.value(node.func)  # that of the user has no name in a library
        if query is None or start is None or not (function.is_inert or function.function):
            return
        known = objects.added.union(table.labels or (), table.levels)
        is_known = table.labels and not objects.has_any_label and not self._evaluation.adds_columns(owner)
        index = NameIndex([*(table.labels or ()), *table.levels])
        for part in query.columns if is_known else ():
            is_right = part.text in known or _OF_PANDAS.fullmatch(part.text)
            near = None if is_right else index.nearest(part.text, "key")
            if near and _UNWRITABLE.isdisjoint(near[0]):
                is_name = near[0].isidentifier() and not iskeyword(near[0])
                message = f"{shown(owner)} has no column {as_code(part.text)}."
                yield _in_text(start, part, message, near, near[0] if is_name else f"`{near[0]}`")
        for part in query.variables:
            if near := self._undefined(part.text):
                yield _in_text(start, part, f"{as_code(part.text)} is not defined.", near)

    def _undefined(self, name: str) -> tuple[str, float] | None:
        """Return the nearest name if a variable is certainly not defined."""
        objects = self._evaluation.objects
        known = objects.existing | objects.bound_names()
        if (
            _OF_PANDAS.fullmatch(name)
            or name in known
            or name in objects.added
            or not is_reported(name)
            or self._notebook.may_bind(name)
        ):
            return None
        # A comprehension around the query may bind it.
        is_used = any(isinstance(each, ast.Name) and each.id == name for each in self._parsed.nodes)
        return None if is_used else nearest(name, known)

    # Attributes and aggregations ----------------------------------------------------------------------------

    def _check_attributes(self, node: ast.Attribute) -> _Found:
        """Yield a wrong attribute behind `.dt`, `.str` or `.cat` of a column of pandas."""
        if not isinstance(node.value, ast.Attribute) or node.value.attr not in CLASSES:
            return
        described = self._report.objects.get(f"import {CLASSES[node.value.attr]}")
        column, name = node.value.value, node.attr
        if self._report.extended or described is None or not described.attributes or not is_reported(name):
            return
        if self._may_be_reloaded(column):
            return
        _, end = self._parsed.span(node)
        is_written = self._parsed.source.endswith(name, 0, end)
        if (
            name in self._evaluation.objects.added.union(described.attributes)
            or not is_written
            or not self._is_column(column)
        ):
            return
        if near := nearest_of_interface(name, described.attributes):
            message = f"{as_code('.' + node.value.attr)} has no attribute {as_code(name)}."
            yield Wrong((end - len(name), end), message, near)

    def _check_aggregations(self, node: ast.Call) -> _Found:
        """Yield the wrong names of functions in `agg("mean")` and the like."""
        function = node.func
        if not isinstance(function, ast.Attribute) or function.attr not in _BY_NAME or self._report.extended:
            return
        owner, named = function.value, [*_functions(node, function.attr)]
        known = self._aggregation_names() if named else frozenset()
        if not known or self._may_be_reloaded(owner) or not (self._is_column(owner) or self._is_table(owner)):
            return
        table = self._evaluation.labels.table(owner)
        known = known.union(self._evaluation.objects.added, (table.labels or ()) if table else ())
        for each in named:
            name, start = str(each.value), plain_start(self._parsed.source, self._parsed.span(each), each)
            near = None if name in known or start is None else nearest_of_few(name, _AGGREGATIONS)
            if near and start is not None:
                message = f"pandas has no aggregation {as_code(name)}."
                yield Wrong((start, start + len(name)), message, near)

    def _aggregation_names(self) -> frozenset[object]:
        """Return all names that an object of pandas may accept; empty if they are unknown."""
        found = [self._report.objects.get(name) for name in _AGGREGATED]
        names = [each.attributes for each in found if each and each.attributes]
        return MEMBERS["numpy"].union(*names) if len(names) == len(_AGGREGATED) else frozenset()

    def _is_column(self, node: ast.expr) -> bool:
        """Return whether an expression is surely a column of pandas, a part of it, or groups of one."""
        while True:
            count_operations(1)
            found = self._evaluation.objects.described(node)
            if found and found.type == "Series":
                return found.is_of_pandas
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Attribute(value=inner, attr=name))) if (
                    name in CLASSES
                ):
                    node = inner  # the result of a method such as `.str.strip()`
                case ast.Call(func=ast.Attribute(value=inner, attr=name)) if name in _SAME:
                    node = inner
                case ast.Subscript(value=inner, slice=index) if is_mask(index):
                    node = inner
                case ast.Subscript(value=inner, slice=ast.Constant(value=str())):
                    return self._is_table(inner)
                case ast.Attribute(value=inner, attr=label):
                    table = self._evaluation.labels.table(inner)
                    is_label = table is not None and label in (table.labels or ())
                    return is_label and label not in _OF_TABLES and self._is_table(inner)
                case _:
                    return False

    def _is_table(self, node: ast.expr) -> bool:
        """Return whether an expression is surely a table of pandas, or groups of one."""
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.List):
            node = node.value
        found = self._evaluation.labels.table(node) or self._evaluation.objects.described(node)
        return found is not None and found.is_of_pandas and found.type in _TABLES

    def _may_be_reloaded(self, node: ast.expr) -> bool:
        return self._report.reloads and not self._evaluation.objects.value(chain(node)[-1]).is_inert


def _functions(node: ast.Call, method: str) -> Iterator[ast.Constant]:
    """Yield the strings in a call that name functions, as in `agg("mean")` and `agg({"price": ["min"]})`."""
    at = _BY_NAME[method]
    given = [*node.args[:1]] if "0" in at else []
    given += [each.value for each in node.keywords if each.arg in at]
    if not given and method in _AGGREGATING:
        for each in node.keywords:
            match each.value:
                case _ if each.arg in _OPTIONS:
                    pass
                case ast.Tuple(elts=[_, function]) | function:
                    given.append(function)
    while given:
        match given.pop():
            case ast.Constant(value=str()) as text:
                yield text
            case ast.List(elts=parts) | ast.Dict(values=parts):
                given += parts


def _folder(path: object) -> Readable | None:
    """Return the folder of a plain relative path."""
    if not isinstance(path, str) or not path.isprintable():
        return None
    folder, name = split(path)
    is_plain = _NOT_PLAIN.isdisjoint(path) and not path.startswith("/") and "//" not in path
    is_file = is_plain and name and not name.startswith(".")
    return Readable("files", "" if folder in {"", "."} else f"{folder}/") if is_file else None


def _mention_of(text: str) -> re.Pattern[str]:
    """Return the pattern of a text between other characters than those of words."""
    return re.compile(rf"(?<!\w){re.escape(text)}(?!\w)")


def _plain(name: str) -> str:
    """Return the name of a file as a disk may compare it."""
    return unicodedata.normalize("NFC", name).casefold()


def _differ_in_words(one: str, other: str) -> bool:
    """Return whether two texts differ in no short word, such as a number of Romans or a code."""
    words, others = (_WORD.findall(each.casefold()) for each in (one, other))
    pairs = zip(words, others, strict=False)
    return all(here == there or len(here) >= SHORTEST for here, there in pairs)


def _in_text(start: int, part: Part, message: str, near: tuple[str, float], text: str = "") -> Wrong:
    return Wrong((start + part.start, start + part.end), message, near, text)


def shown(node: ast.expr) -> str:
    """Return an expression, or the variable that it begins with, for a message."""
    first = chain(node)[-1]
    return as_code(expression_of(node) or (first.id if isinstance(first, ast.Name) else "object"))
