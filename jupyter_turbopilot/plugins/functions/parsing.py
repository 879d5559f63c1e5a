"""Parses Python source without warnings; finds its last function and the body of a stub. Pure."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_turbopilot.context.languages import as_python
from jupyter_turbopilot.suggestion.scopes import Scopes
from jupyter_turbopilot.util.bounds import STATEMENT
from jupyter_turbopilot.util.syntax_tree import all_arguments, error_at, parse, parts_of

if TYPE_CHECKING:
    from jupyter_turbopilot.plugins.functions.stub import Stub

Function = ast.FunctionDef | ast.AsyncFunctionDef
DEEPEST = 250  # nested statements and expressions of a function
PARSED = 12  # prefixes of a body that are parsed at most
FAILURES = (SyntaxError, ValueError, MemoryError, RecursionError)  # raised for source that is too complex


def syntax_of(source: str) -> ast.Module:
    """Return the tree of a source that `tree_of` has accepted, with or without the comments above it."""
    return parse(source, bounded=False)


def readable(source: str) -> str:
    """Return the source as Python: without magics and shell commands if it does not parse."""
    return source if parsed(source) else as_python(source)


def defined(source: str) -> set[str]:
    """Return the names that a source binds for other code, including `global` names of its functions."""
    return Scopes(source).bound


def parsed(source: str) -> ast.Module | None:
    """Return the tree of a source; None if `tree_of` raises an error."""
    try:
        return tree_of(source)
    except SyntaxError:
        return None


def tree_of(source: str) -> ast.Module:
    """Return the tree of a source that can be compiled and unparsed.

    Otherwise, raise SyntaxError, which may contain the line number.
    """
    if len(source) > 2 * STATEMENT:  # the user's source, and the model's
        raise SyntaxError("The source is too long.")
    tree = Scopes(source).tree
    _check(tree)
    return tree


def _check(tree: ast.Module) -> None:
    """Raise SyntaxError for errors of models that only the compiler reports, which may take too long.

    These are: a jump outside of a loop or a function, `await` outside of a coroutine, a name given twice, and
    deep nesting.
    """
    # In the order of the text: each node, its depth, the kind of the innermost function, and whether it is in
    # a loop.
    work: list[tuple[ast.AST, int, str, bool]] = [(tree, 0, "", False)]
    while work:
        node, depth, function, in_loop = work.pop()
        if depth > DEEPEST:
            raise error_at(node, "the source is nested too deeply")
        _check_node(node, function, in_loop=in_loop)
        body, inner = getattr(node, "body", []), (function, in_loop)
        match node:
            case ast.For() | ast.AsyncFor() | ast.While():
                inner = function, True
            case ast.FunctionDef() | ast.Lambda():
                inner = "def", False
            case ast.AsyncFunctionDef():
                inner = "async", False
            case ast.ClassDef():
                inner = "", False
            case ast.GeneratorExp():
                function = "async"
        inside = {id(part) for part in (body if isinstance(body, list) else [body])}
        work += [
            (part, depth + 1, *(inner if id(part) in inside else (function, in_loop)))
            for part in parts_of(node)[::-1]
        ]


def _check_node(node: ast.AST, function: str, *, in_loop: bool) -> None:
    match node:
        case ast.Return() | ast.Yield() | ast.YieldFrom() if not function:
            raise error_at(node, f"'{type(node).__name__.lower()}' outside function")
        case ast.Break() | ast.Continue() if not in_loop:
            raise error_at(node, f"'{type(node).__name__.lower()}' outside loop")
        case ast.Await() | ast.AsyncFor() | ast.AsyncWith() if function != "async":
            raise error_at(node, "'await' or 'async' outside async function")
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
            _refuse_repeated(node, [each.arg for each in all_arguments(node.args)])
        case ast.Call():
            _refuse_repeated(node, [each.arg for each in node.keywords if each.arg])


def _refuse_repeated(node: ast.AST, names: list[str]) -> None:
    if len({*names}) < len(names):
        raise error_at(node, "a name is given twice")


def only_function(tree: ast.Module | None) -> Function | None:
    """Return the function at the end of a tree."""
    if tree is None or not tree.body or not isinstance(tree.body[-1], Function):
        return None
    return tree.body[-1]


def is_empty(node: ast.stmt) -> bool:
    """Return whether a statement has no effect: `pass`, `...`, a docstring, `raise NotImplementedError`."""
    match node:
        case ast.Pass() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Raise(exc=ast.Name(id=name) | ast.Call(func=ast.Name(id=name))):
            return name == "NotImplementedError"
    return False


@dataclass(frozen=True)
class ParsedFunction:
    """A function with the usable part of its body."""

    source: str = ""
    statements: int = 0  # without empty ones such as `pass`
    whole: bool = False  # whether no part of the body was dropped
    left: bool = False  # whether text follows the end of the function


def with_body(stub: Stub, text: str) -> ParsedFunction:
    """Return the function with the longest prefix of a body that parses.

    Long bodies are shortened in growing steps, so that few prefixes are parsed.
    """
    lines = text.rstrip().split("\n")
    above = stub.beginning.count("\n")
    count, step = len(lines), 1
    for _ in range(PARSED):
        if count <= 0:
            break
        source = stub.beginning + "\n".join(lines[:count])
        try:
            tree = tree_of(source)
        except SyntaxError as error:
            # The lines before the error may parse; with it, nothing does.
            wrong = (error.lineno or 0) - above
            if 0 < wrong < count:
                count = wrong - 1
            else:
                count, step = count - step, 2 * step
            while count and _is_unfinished(lines[count - 1]):
                count -= 1
            continue
        node = next(each for each in tree.body if isinstance(each, Function))
        kept = _reached(node)
        left = (
            node is not tree.body[-1]
            or len(kept) < len(node.body)
            or (count < len(lines) and not lines[count][:1].isspace())
        )
        return ParsedFunction(
            "\n".join(source.split("\n")[: kept[-1].end_lineno]),
            sum(not is_empty(each) for each in kept),
            left or count == len(lines),
            left,
        )
    return ParsedFunction()


def complete_part(stub: Stub) -> ParsedFunction | None:
    """Return a stub as a whole function if statements after it would never run."""
    node = only_function(parsed(stub.beginning))
    return ParsedFunction(stub.head, len(node.body), whole=True) if node and _is_end(node.body[-1]) else None


def _reached(node: Function) -> list[ast.stmt]:
    """Return the statements of a body up to the one that ends it.

    Later statements never run, but they make the names that they bind local, and a `yield` among them makes
    the function a generator.
    """
    end = next((at for at, each in enumerate(node.body, 1) if _is_end(each)), len(node.body))
    after = [inner for each in node.body[end:] for inner in ast.walk(each)]
    yields = any(isinstance(inner, ast.Yield | ast.YieldFrom) for inner in after)
    return node.body if yields else node.body[:end]


def _is_end(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Return | ast.Raise)


def _is_unfinished(line: str) -> bool:
    """Return whether a function cannot end with this line: a decorator, a comment, an open bracket."""
    text = line.strip()
    return not text or text[0] in "@#" or text[-1] in ":,([{\\"
