"""Python source parsed without warnings, and the first function in it. Pure."""

from __future__ import annotations

import ast
import warnings

from jupyter_turbopilot.bounds import STATEMENT

Function = ast.FunctionDef | ast.AsyncFunctionDef


def parsed(source: str) -> ast.Module | None:
    """Return the tree of a source; None where it does not parse, or would take too long."""
    try:
        return tree_of(source)
    except SyntaxError:
        return None


def tree_of(source: str) -> ast.Module:
    """Return the tree of a source that can be compiled; if it cannot, SyntaxError may say in which line."""
    if len(source) > 2 * STATEMENT:  # what a person gave, and what a model wrote
        raise SyntaxError("The source is too long.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(source)
            compile(tree, "", "exec", dont_inherit=True)  # a `return` outside of functions parses
        except (ValueError, MemoryError, RecursionError) as error:
            raise SyntaxError(str(error)) from None
    return tree


def only_function(tree: ast.Module | None) -> Function | None:
    """Return the function that is all of a tree, but for what stands above it."""
    if tree is None or not tree.body or not isinstance(tree.body[-1], Function):
        return None
    return tree.body[-1]


def first_line(node: Function) -> int:
    """Return the number of the line, from 1, where a function begins, its decorators included."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def is_empty(node: ast.stmt) -> bool:
    """Tell whether a statement says nothing: `pass`, `...`, a docstring."""
    return isinstance(node, ast.Pass) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
