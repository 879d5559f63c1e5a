"""The kernel context that requests for a cell may have had, derived from the code of its notebook. Pure.

A model that never saw kernel context in training loses probability when a prompt contains it. The names and
columns are those that the code uses; further columns and omissions are random, because the model has
to learn that the context may be incomplete and that most of it does not matter at the cursor.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from jupyter_turbopilot.analysis.kernel_context import KernelContext, ObjectInfo
from jupyter_turbopilot.analysis.languages import as_python
from jupyter_turbopilot.util.syntax_tree import parse

Tables = list[tuple[str, list[str]]]  # names of tables with their columns

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

    from turbopilot_research.train.corpus import TrainingDocument

BELOW_RAN = 0.15  # probability that the cells below have been run, too
MISSING_COLUMN = 0.08  # probability that a column is missing
MORE_COLUMNS = (0, 0, 2, 4, 8)  # further columns of a table
UNUSED_TABLE = 0.15  # probability of a table that the notebook does not use
_TABLES = frozenset({
    "DataFrame", "read_csv", "read_parquet", "read_excel", "read_json", "read_table", "read_feather",
    "read_sql", "read_html", "concat", "merge", "reset_index", "set_index", "dropna", "fillna",
    "query", "assign", "head", "sort_values", "drop", "to_frame", "to_pandas", "copy", "rename",
    "sample", "load_dataset", "pivot_table", "melt", "join",
})  # fmt: skip
_BY_COLUMN = frozenset({
    "groupby", "sort_values", "drop", "set_index", "pivot_table", "pivot", "query", "value_counts",
    "agg", "merge", "drop_duplicates",
})  # fmt: skip


@dataclass
class Objects:
    """The tables of a notebook, with the cell that first assigns each."""

    columns: defaultdict[str, dict[str, None]] = field(default_factory=lambda: defaultdict(dict))
    tables: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, document: TrainingDocument) -> Objects:
        """Find the objects in the code; cells that cannot be parsed are skipped."""
        found = cls()
        for number, cell in enumerate(document.cells):
            if cell.type != "code":
                continue
            try:
                tree = parse(as_python(cell.source))
            except SyntaxError:
                continue
            for node in ast.walk(tree):
                found.read(node, number)
        return found

    def read(self, node: ast.AST, cell: int) -> None:
        match node:
            case ast.Assign(targets=targets, value=value) if self._is_table(value):
                for name in (name for target in targets for name in _names(target)):
                    self.tables.setdefault(name, cell)
                    self.columns[name] |= dict.fromkeys(_keys(value))
            case ast.Subscript(value=ast.Name(id=name), slice=index):
                self.columns[name] |= dict.fromkeys(_labels(index))
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) if method in _BY_COLUMN:
                given = [*node.args, *(keyword.value for keyword in node.keywords)]
                self.columns[name] |= dict.fromkeys(label for each in given for label in _labels(each))

    def _is_table(self, value: ast.expr) -> bool:
        match value:
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)):
                return name in _TABLES
            case ast.Subscript(value=ast.Name(id=name)):
                return name in self.tables and not isinstance(value.slice, ast.Constant)
        return False

    @cached_property
    def known_columns(self) -> dict[str, list[str]]:
        """The columns of each table whose columns the code mentions."""
        return {name: [*self.columns[name]] for name in self.tables if self.columns.get(name)}

    def context(self, rng: random.Random, active: int, others: Tables) -> KernelContext:
        """Return the likely context at a cell; `others` are tables of other notebooks."""
        below = rng.random() < BELOW_RAN
        names = ((self.tables[name], name, columns) for name, columns in self.known_columns.items())
        made = [each for each in names if each[0] < active or below]
        if others and rng.random() < UNUSED_TABLE:
            name, columns = rng.choice(others)
            made.append((rng.randrange(active + 1), name, columns))
        newest_first = sorted(made, key=lambda each: -each[0])
        return KernelContext(names={name: _table(rng, columns, others) for _, name, columns in newest_first})


def _table(rng: random.Random, columns: Sequence[str], others: Tables) -> ObjectInfo:
    count = rng.choice(MORE_COLUMNS) if others else 0
    labels = [label for label in columns if rng.random() >= MISSING_COLUMN]
    labels += [rng.choice(rng.choice(others)[1]) for _ in range(count)]
    labels = [*dict.fromkeys(labels)]
    if rng.random() < 0.5:  # noqa: PLR2004 - tables are often loaded with all columns in another order
        rng.shuffle(labels)
    return ObjectInfo(type="DataFrame", module="pandas", columns=labels, all=True)


def _names(target: ast.expr) -> Iterator[str]:
    """Iterate over the names that an assignment binds."""
    match target:
        case ast.Name(id=name):
            yield name
        case ast.Tuple(elts=elements) | ast.List(elts=elements):
            for element in elements:
                yield from _names(element)


def _labels(index: ast.expr) -> list[str]:
    """Return the strings of a subscript or an argument."""
    elements = index.elts if isinstance(index, ast.List | ast.Tuple) else [index]
    return [each.value for each in elements if isinstance(each, ast.Constant) and isinstance(each.value, str)]


def _keys(value: ast.expr) -> list[str]:
    """Return the column names of a table that is made from a dictionary."""
    if isinstance(value, ast.Call) and value.args and isinstance(value.args[0], ast.Dict):
        return [label for key in value.args[0].keys if key for label in _labels(key)]
    return []
