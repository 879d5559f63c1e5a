"""Conversions of a number that is added to a string, and of columns of strings. Pure.

Such columns are used as dates, or in a calculation with all columns of a table.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, TypeGuard

from jupyter_turbopilot.analysis.library_facts import MEMBERS, methods
from jupyter_turbopilot.fixes.api_changes import module_expression
from jupyter_turbopilot.fixes.attributes import missing_attribute
from jupyter_turbopilot.fixes.labels import LabelLookup
from jupyter_turbopilot.protocol.fix import MOST_TITLE
from jupyter_turbopilot.util.bounds import count_operations

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_turbopilot.analysis.parsed_cell import ParsedCell
    from jupyter_turbopilot.fixes.failed_cell import FailedCell
    from jupyter_turbopilot.protocol.fix import Fix

_NUMBER = r"(?:int|float|complex|bool|decimal\.Decimal|numpy\.(?:u?int|float|complex|bool)\w{0,8})"
_STRING_FIRST = re.compile(rf"can only concatenate str \(not \"{_NUMBER}\"\) to str\Z")
_NUMBER_FIRST = re.compile(rf"unsupported operand type\(s\) for \+: '{_NUMBER}' and 'str'\Z")
# The error of NumPy for a number or an array that is added to a string.
_NUMPY_FIRST = re.compile(
    r"ufunc 'add' did not contain a loop [^(]{1,40}\(dtype\('[a-z]+\d*'\), dtype\('<U\d+'\)\)"
)
_NO_DATES = "Can only use .dt accessor with datetimelike values"
# A string that represents a number, or contains a placeholder for one.
_MAY_BE_NUMBER = re.compile(r"\A\s*+[-+]?+[\d.,]++\s*+\Z")
_PLACEHOLDER = re.compile(r"%[-+#.\d]{0,8}[sdfgir]|\{\w{0,40}\}")
_LONGEST = 10_000  # characters of a string that is searched for placeholders
_TO_STRING = frozenset({"format", "join"})  # methods of strings
_TO_NUMBER = methods("number")
_OF_DATES = MEMBERS["pandas.Series.dt"]  # attributes for dates, but not for durations or strings
_NUMERIC = methods("numeric")
# The errors of pandas for a column of strings in a calculation; newer versions name the method.
_NO_NUMBERS = re.compile(
    r"Cannot perform reduction '(\w+)' with string dtype|dtype '(?:str|string|object)' does not support "
    r"operation '(\w+)'|agg function failed \[how->(\w+),dtype->object\]"
    r"|[Cc]ould not convert (?:string )?['\[].{0,8192} to numeric\Z|could not convert string to float: ",
    re.DOTALL,
)


def find(failure: FailedCell) -> Iterator[Fix]:
    """Find the conversion of the failed expression."""
    if failure.name == "AttributeError":
        yield from _to_dates(failure)
    elif failure.is_inside_library:
        yield from _only_numbers(failure)
    elif "str" not in failure.report.names:
        yield from _to_string(failure)


def _title(expression: str, otherwise: str) -> str:
    is_short = len(expression) <= MOST_TITLE and expression.isprintable()
    return f"Use {expression}?" if is_short else otherwise


# Numbers -------------------------------------------------------------------------------------------------


def _to_string(failure: FailedCell) -> Iterator[Fix]:
    """Convert the number in a concatenation."""
    failed = _failed_sum(failure)
    if failed is None or failure.parsed is None:
        return
    if _STRING_FIRST.match(failure.message):
        number = failed.right
    elif _NUMBER_FIRST.match(failure.message) or (
        _NUMPY_FIRST.match(failure.message) and _is_number(failure, failed.left)
    ):
        number = failed.left
    else:
        return
    operands = _operands(failure.parsed, failed, number)
    after = operands[operands.index(number) + 1 :] if number is failed.right else []
    # If another number follows, their sum may be meant.
    if (after and not _is_string(failure, after[0])) or not any(map(_is_certain_string, operands)):
        return
    first, last = failure.span(failed)
    start, end = failure.span(number)
    text = f"({failure.source[start:end]})"
    if first < start and end < last and failure.source[start - 1 : end + 1] == text:
        start, end = start - 1, end + 1
    edit = failure.edit(start, end, f"str{text}")
    yield from failure.fix(_title(edit.text, "Convert the number to a string?"), [edit], 0.9)


def _is_sum(node: ast.AST | None) -> TypeGuard[ast.BinOp]:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add)


def _failed_sum(failure: FailedCell) -> ast.BinOp | None:
    """Return the failed sum; None if it is unknown which of several failed."""
    found = [node for node in failure.nodes(ast.BinOp) if _is_sum(node)]
    if failure.position and failure.position.exact:
        found = [node for node in found if failure.span(node) == failure.position[1:3]]
    return found[0] if len(found) == 1 else None


def _operands(cell: ParsedCell, failed: ast.BinOp, number: ast.expr) -> list[ast.expr]:
    """Return the operands of the longest sum that contains the failed one; the number is one operand."""
    outer = failed
    while _is_sum(parent := cell.parents[outer]):
        outer = parent
    operands: list[ast.expr] = []
    work: list[ast.expr] = [outer]
    while work:
        node = work.pop()
        if _is_sum(node) and node is not number:
            work += [node.right, node.left]
        else:
            operands.append(node)
    return operands


def _is_certain_string(node: ast.expr) -> bool:
    """Return whether an expression is a string that represents no number."""
    match node:
        case ast.Constant(value=str(text)):
            return len(text) <= _LONGEST and not (_MAY_BE_NUMBER.match(text) or _PLACEHOLDER.search(text))
        case ast.BinOp(op=ast.Mod(), left=ast.Constant(value=str())) | ast.JoinedStr():
            return True
        case ast.BinOp(op=ast.Mult(), left=left, right=right):
            return any(isinstance(each, ast.Constant) and _is_certain_string(each) for each in (left, right))
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str()), attr=name)):
            return name in _TO_STRING
        case ast.Call(func=ast.Name(id="str")):
            return True
    return False


def _is_string(failure: FailedCell, node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=str()):
            return True
        case ast.Name(id=name):
            described = failure.report.objects.get(name)
            return described is not None and (described.module, described.type) == ("builtins", "str")
    return _is_certain_string(node)


def _is_number(failure: FailedCell, node: ast.expr) -> bool:
    """Return whether an expression is a number rather than an array."""
    match node:
        case ast.Call(func=ast.Name(id="round"), args=[number, *_]):
            return _is_number(failure, number)
        case ast.Name(id=name):
            described = failure.report.objects.get(name)
            return described is not None and described.type != "ndarray" and described.module == "numpy"
        case ast.Call(func=ast.Attribute(attr=name), args=[], keywords=[]):
            return name in _TO_NUMBER
    return False


# Dates ---------------------------------------------------------------------------------------------------


def _to_dates(failure: FailedCell) -> Iterator[Fix]:
    """Convert a column of strings wherever the following code of the cell uses it as dates."""
    error = failure.report.error
    failed = missing_attribute(failure) if failure.message.startswith(_NO_DATES) else None
    if failed is None or failure.parsed is None or not (error and error.object and error.object.strings):
        return
    pandas = module_expression(failure, "pandas")
    if not pandas and ("pd" in failure.report.names or not failure.report.all):
        return
    function = f"{pandas or 'pd'}.to_datetime"
    start, end = failure.span(failed.value)
    column = failure.source[start:end]
    spans = sorted(
        span for node in _used_as_dates(failure.parsed, failed) if (span := failure.span(node))[0] >= start
    )
    same = [(at, to) for at, to in spans if to - at == len(column) and failure.source.startswith(column, at)]
    edits = [failure.edit(at, to, f"{function}({column})") for at, to in same]
    if not edits or edits[0].start != start:
        return
    if not pandas:
        edits = failure.with_import("import pandas as pd", edits)
    yield from failure.fix(_title(f"{function}({column})", "Convert the column to dates?"), edits, 0.85)


def _used_as_dates(cell: ParsedCell, failed: ast.Attribute) -> Iterator[ast.expr]:
    """Yield the expressions whose dates are used in the scope of the failed one."""
    count_operations(len(cell.scopes.nodes))
    accessors = {
        node.value: scope
        for node, scope in cell.scopes.nodes
        if isinstance(node, ast.Attribute) and node.attr in _OF_DATES
    }
    for node, scope in accessors.items():
        if scope is accessors.get(failed) and isinstance(node, ast.Attribute) and node.attr == failed.attr:
            yield node.value


# Calculations --------------------------------------------------------------------------------------------


def _only_numbers(failure: FailedCell) -> Iterator[Fix]:
    """Omit the columns of strings from a calculation with all columns of a table."""
    found = _NO_NUMBERS.match(failure.message)
    calls = [
        (each, each.func.value, each.func.attr)
        for each in failure.nodes(ast.Call)
        if isinstance(each.func, ast.Attribute) and each.func.attr in _NUMERIC
    ]
    if not found or failure.parsed is None or len(calls) != 1:
        return
    ((call, owner, method),) = calls
    table = LabelLookup(failure.parsed, failure.described).table(owner)
    is_pandas = table and table.type == "DataFrame" and table.is_of_pandas
    is_named = not any(found.groups()) or method in found.groups()
    if not (is_pandas and is_named) or {"numeric_only", None} & {each.arg for each in call.keywords}:
        return
    _, end = failure.span(call)
    comma = ", " if call.args or call.keywords else ""
    edit = failure.edit(end - 1, end - 1, f"{comma}numeric_only=True")
    yield from failure.fix("Use only the columns with numbers?", [edit], 0.8)
