"""The objects of a notebook as the kernel reported them, and what quiet code has done to them since. Pure."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NamedTuple

from msgspec import structs

from jupyter_turbopilot.analysis.library_facts import methods
from jupyter_turbopilot.analysis.resolve import EVERYWHERE
from jupyter_turbopilot.fixes.labels import is_mask

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jupyter_turbopilot.analysis.parsed_cell import ParsedCell
    from jupyter_turbopilot.analysis.report import KernelReport, ObjectDescription, Record
    from jupyter_turbopilot.analysis.scopes import LexicalScope


_LOCATORS = methods("locates")
LONGEST_NAME = 120  # the kernel reports no longer ones


def is_reported(name: str) -> bool:
    """Return whether the kernel reports such a name if it exists."""
    return not name.startswith("_") and len(name) <= LONGEST_NAME


class OpaqueError(Exception):
    """The evaluation has reached a node that may run any code."""


class Value(NamedTuple):
    """The knowledge about an object."""

    is_inert: bool = False  # whether it runs no code of the user, whatever is done with it
    number: int | None = None  # the same for the names of one object; negative: created by a cell
    expression: str = ""  # under which the kernel has described the object
    record: Record | None = None
    size: int = -1  # number of objects that an iteration yields; -1: unknown
    table: ObjectDescription | None = None  # of a new table: one that has its columns
    owner: Value | None = None  # the object of a method
    method: str = ""

    @property
    def kind(self) -> str:
        """The kind in the record, or an empty string."""
        return self.record.kind if self.record else ""

    @property
    def function(self) -> str:
        """The full name of a function or class of a known library, or an empty string."""
        return self.record.function if self.record else ""

    @property
    def root(self) -> Value:
        """The object that a chain of attributes begins with."""
        value = self
        while value.owner:
            value = value.owner
        return value


UNKNOWN, INERT = Value(), Value(is_inert=True)


class Objects:
    """The objects of names and expressions, in cells that are evaluated one after the other."""

    def __init__(self, report: KernelReport) -> None:
        # Whether any object may have new labels, keys of dictionaries, attributes or rows.
        self.has_any_label = self.has_any_key = self.has_any_attribute = self.has_any_row = False
        self.may_be_empty = False  # whether any container may have lost its items
        # Whether a step may have written files or changed the folder, or have changed values in a table.
        self.has_any_file = self.has_any_value = False
        self._report, self.existing = report, EVERYWHERE.union(report.names)  # names before the cells
        self.is_extended, self.commands = report.extended, report.commands
        self._names: dict[tuple[LexicalScope | None, str], Value] = {}
        # Labels and attributes that any object may have now: an object and its `__dict__` share theirs.
        self.added: set[object] = set()
        self._changed: set[int] = set()  # objects that may have any labels and attributes now
        self._created = -1

    def open(self, parsed: ParsedCell, *, may_be_skipped: bool) -> None:
        """Begin with a cell. `may_be_skipped`: the user may run the cells after it instead."""
        self.may_be_skipped = may_be_skipped
        self._scopes, self.free = dict(parsed.scopes.nodes), frozenset(parsed.scopes.free)
        self.values: dict[ast.AST, Value] = {}  # of evaluated nodes

    # Look-up ------------------------------------------------------------------------------------------------

    def value(self, node: ast.AST | None) -> Value:
        """Return the value of an evaluated node; of none, a constant."""
        return self.values.get(node, UNKNOWN) if node else INERT

    def require(self, *nodes: ast.AST | None) -> None:
        """End the evaluation unless all objects are inert."""
        if not self.are_inert(nodes):
            raise OpaqueError

    def are_inert(self, nodes: Iterable[ast.AST | None]) -> bool:
        """Return whether no object runs code of the user."""
        return all(self.value(node).is_inert for node in nodes)

    def described(self, node: ast.AST) -> ObjectDescription | None:
        """Return the kernel's description of an evaluated expression, unless its object may have changed."""
        value = self.value(node)
        if value.number in self._changed:
            return None
        return value.table or self._report.objects.get(value.expression)

    def has_items(self, node: ast.AST) -> bool:
        """Return whether an iteration over an object certainly yields something."""
        value = self.value(node)
        return value.size > 0 and not self.may_be_empty and value.number not in self._changed

    def part(self, owner: Value, suffix: str, label: str) -> Value | None:
        """Return the attribute or item of an object as the kernel reported it, unless it may be replaced."""
        is_known = owner.expression and owner.number not in self._changed
        found = self.recorded(owner.expression + suffix) if is_known else None
        if found is None or not found.is_inert or found.kind == "member":
            return found
        may_be_other = {"dict": self.has_any_label, "other": self.has_any_attribute}
        return INERT if label in self.added or may_be_other.get(owner.kind) else found

    def recorded(self, expression: str) -> Value | None:
        """Return the object of an expression as the kernel reported it."""
        record = self._report.records.get(expression)
        if record is None:
            return None
        number = None if record.number < 0 else record.number
        return Value(record.is_inert, number, expression, record, record.size)

    def has_label(self, owner: Value, name: str) -> bool:
        """Return whether the kernel reported a column under a name."""
        found = self._report.objects.get(owner.expression)
        return found is not None and name in (found.labels or ())

    def bound_names(self) -> set[str]:
        """Return the names that the evaluated nodes have bound."""
        return {name for scope, name in self._names if scope is None}

    def name(self, node: ast.Name) -> Value:
        """Return the object of a name."""
        key = self._key(node, node.id)
        if key in self._names:
            return self._names[key]
        if key[0] is not None:
            return UNKNOWN
        # An undefined name is an error, after which no code runs.
        is_missing = node in self.free and node.id not in self.existing and is_reported(node.id)
        return self.recorded(node.id) or (INERT if is_missing else UNKNOWN)

    def is_of_class(self, node: ast.Name) -> bool:
        """Return whether the body of a class around a name has bound it."""
        key = self._key(node, node.id)
        return key[0] is not None and key[0].kind == "class" and key in self._names

    def _key(self, node: ast.AST, name: str) -> tuple[LexicalScope | None, str]:
        scope = self._scopes[node].owner(name)
        return (scope if scope.outer else None), name

    # Changes ------------------------------------------------------------------------------------------------

    def new(self, *, is_inert: bool = True, size: int = -1, table: ObjectDescription | None = None) -> Value:
        """Return an object that the cell creates."""
        self._created -= 1
        return Value(is_inert, self._created, size=size, table=table)

    def new_rows(self, table: ObjectDescription, *, module: str | None = None) -> Value:
        """Return a new object with the columns of a table. `module`: None for a row, which is no table."""
        return self.new(table=structs.replace(table, module=module, attributes=None, rows=None, closed=False))

    def bind(self, node: ast.AST, name: str, value: Value, *, is_certain: bool) -> None:
        """Bind a name; if that is uncertain, the name has its old or its new object."""
        key = self._key(node, name)
        if value.number is None:  # an iterator may be exhausted when the name is used
            value = value._replace(size=-1)
        may_exist = name in self.existing or not is_reported(name)
        if not is_certain or (self.may_be_skipped and key[0] is None and may_exist):
            old = self._names.get(key) or (None if key[0] else self.recorded(name))
            if old and old.number is not None and old.number == value.number:
                value = old
            else:
                value = Value(is_inert=value.is_inert and (old is None or old.is_inert))
        self._names[key] = value

    def forget(self, nodes: Iterable[ast.AST]) -> None:
        """Forget the objects of names that a loop binds: they differ from one iteration to the next."""
        for node in nodes:
            if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
                key = self._key(node, node.id)
                if key in self._names:
                    self._names[key] = Value(is_inert=self._names[key].is_inert)

    def change(self, value: Value, label: object = None) -> None:
        """Record that an object gets a label or an attribute; None: any."""
        if label is not None:
            self.added.add(label)
            return
        # Its attributes may be the keys of a dictionary, and another object may share its labels.
        self.has_any_attribute = True
        is_known = value.kind in {"dict", "table"} or (value.number or 0) < 0
        self.has_any_label = self.has_any_label or not is_known
        self._changed.update(() if value.number is None else (value.number,))

    def set_attribute(self, owner: ast.expr, name: str) -> None:
        """Record an assignment to an attribute."""
        self.has_any_value = True
        value = self.value(owner)
        is_of_table = value.root.kind == "table" or value.root.table
        if name == "backend" and not is_of_table:
            raise OpaqueError  # a library imports the module of this name
        if not is_of_table and name in {"columns", "index", "name", "names"}:
            self.has_any_label = True  # the object may be a table or an index
        self.change(value.root if is_of_table else value, None if is_of_table else name)

    def set_item(self, owner: ast.expr, index: ast.expr) -> None:
        """Record an assignment to an item."""
        self.has_any_value = True
        value = self.value(owner)
        if value.owner and value.method in _LOCATORS:
            value, self.has_any_row = value.owner, True
        elif value.owner and (value.root.kind == "table" or value.root.table):
            self.has_any_key = True  # as of its `attrs`
            return self.change(value.root)
        index = index.elts[-1] if isinstance(index, ast.Tuple) and index.elts else index
        for label in index.elts if isinstance(index, ast.List) else [index]:
            if isinstance(label, ast.Constant):
                if label.value == "backend" and value.kind != "dict":
                    raise OpaqueError  # a library imports the module of this name
                self.change(value, label.value)
            elif not is_mask(label):
                self.may_be_empty = True  # it may be a slice
                if not isinstance(label, ast.Slice):
                    self.change(value)
        return None
