"""Parse Python source without warnings; find its last function and the body of a stub. Pure."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_turbopilot.bounds import STATEMENT
from jupyter_turbopilot.context.languages import as_python
from jupyter_turbopilot.hierarchy.compilable import check
from jupyter_turbopilot.suggestion.scopes import Scopes
from jupyter_turbopilot.syntax_tree import parse

if TYPE_CHECKING:
    from jupyter_turbopilot.hierarchy.stub import Stub

Function = ast.FunctionDef | ast.AsyncFunctionDef
DEEPEST = 250  # nested statements and expressions of a function
PARSED = 12  # beginnings of a body that are parsed at most
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


@dataclass(frozen=True)
class Part:
    """A function with what of its body can stand."""

    source: str = ""
    statements: int = 0  # that say something
    whole: bool = False  # whether nothing of the body had to be left out
    left: bool = False  # whether the text goes on behind the function, or where it ends


def with_body(stub: Stub, text: str) -> Part:
    """Return the function with the longest part of a body with which it parses, and nothing behind it.

    Long bodies are cut in growing steps, so that few parts are parsed.
    """
    lines = text.rstrip().split("\n")
    above = stub.beginning.count("\n")
    count, step = len(lines), 1
    for _ in range(PARSED):
        if count <= 0:
            break
        source = stub.beginning + "\n".join(lines[:count])
        try:
            tree = accepted(source)
        except SyntaxError as error:
            # The lines above the one that is wrong may parse; with it nothing does.
            wrong = (error.lineno or 0) - above
            if 0 < wrong < count:
                count = wrong - 1
            else:
                count, step = count - step, 2 * step
            while count and _goes_on(lines[count - 1]):
                count -= 1
            continue
        node = next(each for each in tree.body if isinstance(each, Function))
        kept = _reached(node)
        left = (
            node is not tree.body[-1]
            or len(kept) < len(node.body)
            or (count < len(lines) and not lines[count][:1].isspace())
        )
        return Part(
            "\n".join(source.split("\n")[: kept[-1].end_lineno]),
            sum(not is_empty(each) for each in kept),
            left or count == len(lines),
            left,
        )
    return Part()


def complete_part(stub: Stub) -> Part | None:
    """Return a stub as it stands if nothing that is written below it would ever be run."""
    node = only_function(parsed(stub.beginning))
    return Part(stub.head, len(node.body), whole=True) if node and _is_end(node.body[-1]) else None


def _reached(node: Function) -> list[ast.stmt]:
    """Return the statements of a body up to the one that ends it.

    What stands behind is never run, but makes the names local that it binds. With a `yield` there it is
    a generator.
    """
    end = next((at for at, each in enumerate(node.body, 1) if _is_end(each)), len(node.body))
    behind = [inner for each in node.body[end:] for inner in ast.walk(each)]
    yields = any(isinstance(inner, ast.Yield | ast.YieldFrom) for inner in behind)
    return node.body if yields else node.body[:end]


def _is_end(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Return | ast.Raise)


def _goes_on(line: str) -> bool:
    """Tell whether no function ends with a line: a decorator, a comment, something that is opened."""
    text = line.strip()
    return not text or text[0] in "@#" or text[-1] in ":,([{\\"
