"""Python source parsed without warnings: what can be worked on, what it binds, its last function. Pure."""

from __future__ import annotations

import ast

from jupyter_turbopilot.bounds import STATEMENT
from jupyter_turbopilot.context.languages import as_python
from jupyter_turbopilot.hierarchy.compilable import check
from jupyter_turbopilot.suggestion.scopes import Scopes
from jupyter_turbopilot.syntax_tree import parse

Function = ast.FunctionDef | ast.AsyncFunctionDef
DEEPEST = 250  # nested statements and expressions of a function
FAILURES = (SyntaxError, ValueError, MemoryError, RecursionError)  # of source that cannot be worked on


def syntax_of(source: str) -> ast.Module:
    """Return the tree of a source that was accepted before, perhaps without the comments above it."""
    return parse(source, bounded=False)


def accepted(source: str) -> ast.Module:
    """Return the tree of a source that is not nested too deeply to be compiled and written again by `ast`."""
    tree = tree_of(source)
    level: list[ast.AST] = [tree]
    for _ in range(DEEPEST):
        level = [part for node in level for part in ast.iter_child_nodes(node)]
    if level:
        raise SyntaxError("The source is nested too deeply.")
    return tree


def readable(source: str) -> str:
    """Return a source as Python reads it: if it does not parse, without magics and shell commands."""
    return source if parsed(source) else as_python(source)


def defined(source: str) -> set[str]:
    """Return the names that a source binds for other code: of those in its functions, the global ones."""
    return Scopes(source).bound


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
    tree = Scopes(source).tree
    check(tree)
    return tree


def functions_in(source: str) -> set[str]:
    """Return the names of the functions and classes that a source defines at its outermost level."""
    tree = parsed(source)
    return {node.name for node in tree.body if isinstance(node, Function | ast.ClassDef)} if tree else set()


def only_function(tree: ast.Module | None) -> Function | None:
    """Return the function that is all of a tree, but for what stands above it."""
    if tree is None or not tree.body or not isinstance(tree.body[-1], Function):
        return None
    return tree.body[-1]


def is_empty(node: ast.stmt) -> bool:
    """Tell whether a statement says nothing: `pass`, `...`, a docstring, that nothing is implemented."""
    match node:
        case ast.Pass() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Raise(exc=ast.Name(id=name) | ast.Call(func=ast.Name(id=name))):
            return name == "NotImplementedError"
    return False
