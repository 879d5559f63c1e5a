"""Parses Python source; finds its last function and the usable part of a generated body. Pure."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from jupyter_turbopilot.analysis.languages import as_python
from jupyter_turbopilot.analysis.scopes import Scopes
from jupyter_turbopilot.util.syntax_tree import all_arguments, error_at, parts_of

Function = ast.FunctionDef | ast.AsyncFunctionDef
PARSED = 12  # prefixes of a body that are parsed at most


def parsed(source: str) -> ast.Module | None:
    """Return the tree of a source; None if it does not compile, or is too long."""
    try:
        return _tree_of(source)
    except SyntaxError:
        return None


def _tree_of(source: str) -> ast.Module:
    """Return the tree of a source that compiles; the compiler itself may take too long."""
    tree = Scopes(source).tree
    # In the order of the text: each node, the kind of the innermost function, and whether it is in a loop.
    work: list[tuple[ast.AST, str, bool]] = [(tree, "", False)]
    while work:
        node, function, in_loop = work.pop()
        _check(node, function, in_loop=in_loop)
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
            (part, *(inner if id(part) in inside else (function, in_loop))) for part in parts_of(node)[::-1]
        ]
    return tree


def _check(node: ast.AST, function: str, *, in_loop: bool) -> None:
    """Raise SyntaxError for errors of models that only the compiler reports."""
    match node:
        case ast.Return() | ast.Yield() | ast.YieldFrom() if not function:
            raise error_at(node, f"'{type(node).__name__.lower()}' outside function")
        case ast.Break() | ast.Continue() if not in_loop:
            raise error_at(node, f"'{type(node).__name__.lower()}' outside loop")
        case ast.Await() | ast.AsyncFor() | ast.AsyncWith() | ast.comprehension(is_async=1) if (
            function != "async"
        ):
            raise error_at(node, "'await' or 'async' outside async function")
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
            _refuse_repeated(node, [each.arg for each in all_arguments(node.args)])
        case ast.Call():
            _refuse_repeated(node, [each.arg for each in node.keywords if each.arg])


def _refuse_repeated(node: ast.AST, names: list[str]) -> None:
    if len({*names}) < len(names):
        raise error_at(node, "a name is given twice")


def readable(source: str) -> str:
    """Return the source as Python: without magics and shell commands if it does not parse."""
    return source if parsed(source) else as_python(source)


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


def with_body(beginning: str, text: str) -> ParsedFunction:
    """Return the function with this beginning and the longest prefix of a body that compiles.

    Long bodies are shortened in growing steps, so that few prefixes are parsed.
    """
    lines = text.rstrip().split("\n")
    above = beginning.count("\n")
    count, step = len(lines), 1
    for _ in range(PARSED):
        if count <= 0:
            break
        source = beginning + "\n".join(lines[:count])
        try:
            tree = _tree_of(source)
        except SyntaxError as error:
            # The lines before the error may compile; with it, nothing does.
            wrong = (error.lineno or 0) - above
            if 0 < wrong < count:
                count = wrong - 1
            else:
                count, step = count - step, 2 * step
            while count > 0 and _is_unfinished(lines[count - 1]):
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


def complete_part(head: str) -> ParsedFunction | None:
    """Return the head of a function as a whole function if statements after it would never run."""
    node = only_function(parsed(head))
    return ParsedFunction(head, len(node.body), whole=True) if node and _is_end(node.body[-1]) else None


def _reached(node: Function) -> list[ast.stmt]:
    """Return the statements up to the one that ends a body; all if a `yield` after it makes a generator."""
    end = next((at for at, each in enumerate(node.body, 1) if _is_end(each)), len(node.body))
    after = (inner for each in node.body[end:] for inner in ast.walk(each))
    return node.body[: None if any(isinstance(inner, ast.Yield | ast.YieldFrom) for inner in after) else end]


def _is_end(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Return | ast.Raise)


def _is_unfinished(line: str) -> bool:
    """Return whether a function cannot end with this line: a decorator, a comment, an open bracket."""
    text = line.strip()
    return not text or text[0] in "@#" or text[-1] in ":,([{\\"
