"""Checks for errors that Python's compiler reports and its parser does not, without the compiler. Pure.

Errors about names, such as a `nonlocal` without a binding, are found by `suggestion.scopes`.
"""

from __future__ import annotations

import ast
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_turbopilot.util.syntax_tree import all_arguments, error_at, parts_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BLOCKS = 20  # nested loops, `with` and `try` statements: Python's limit up to 3.12
_Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
_Block = ast.For | ast.AsyncFor | ast.While | ast.With | ast.AsyncWith | ast.Try | ast.TryStar
_TakesStars = ast.Tuple | ast.List | ast.Set | ast.Call | ast.ClassDef | ast.arg
_IN_GROUP = "in an except* block"
_UNREACHABLE = "a pattern that matches anything makes remaining patterns unreachable"


class _Surroundings(NamedTuple):
    """The surroundings of a node."""

    function: ast.AST | None = None  # the innermost one; None directly inside a class
    awaits: bool = False  # whether `await` is allowed
    comprehension: bool = False
    iterable: bool = False  # of a comprehension
    generates: bool = False  # whether the function is an asynchronous generator
    no_break: str = "outside loop"  # why `break` is not allowed
    no_return: str = "outside function"
    blocks: int = 0


def check(tree: ast.Module) -> None:
    """Raise SyntaxError for a tree that cannot be compiled, such as one with a `return` outside functions."""
    # Without recursion, in the order of the text.
    work: list[tuple[ast.AST, _Surroundings]] = [(tree, _Surroundings())]
    while work:
        node, place = work.pop()
        if isinstance(node, ast.Name):
            continue
        parts = parts_of(node)
        _check(node, place, parts)
        work += [*_placed(node, place, parts)][::-1]


def _placed(
    node: ast.AST, place: _Surroundings, parts: list[ast.AST]
) -> Iterator[tuple[ast.AST, _Surroundings]]:
    """Yield the parts of a node with their surroundings."""
    if isinstance(node, _Comprehension):
        yield from _parts_of_comprehension(node, place)
        return
    if isinstance(node, _Block):
        place = place._replace(blocks=place.blocks + 1)
    inside: list[Any] = []
    inner = place
    match node:
        case ast.FunctionDef() | ast.Lambda():
            inner = _Surroundings(node, iterable=place.iterable, no_return="")
            inside = node.body if isinstance(node.body, list) else [node.body]
        case ast.AsyncFunctionDef():
            inner = _Surroundings(node, awaits=True, generates=_generates(node), no_return="")
            inside = node.body
        case ast.ClassDef():
            inner, inside = _Surroundings(), node.body
        case ast.For() | ast.AsyncFor() | ast.While():
            inner, inside = place._replace(no_break=""), node.body
        case ast.TryStar():
            inner, inside = place._replace(no_break=_IN_GROUP, no_return=_IN_GROUP), node.handlers
    within = {id(part) for part in inside}
    yield from ((part, inner if id(part) in within else place) for part in parts)


def _parts_of_comprehension(
    node: _Comprehension, place: _Surroundings
) -> Iterator[tuple[ast.AST, _Surroundings]]:
    inner = place._replace(comprehension=True, awaits=place.awaits or isinstance(node, ast.GeneratorExp))
    for number, each in enumerate(node.generators):
        yield each.iter, (inner if number else place)._replace(iterable=True)
        yield from ((part, inner) for part in (each.target, *each.ifs))
    results = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
    yield from ((part, inner) for part in results)


def _check(node: ast.AST, place: _Surroundings, parts: list[ast.AST]) -> None:
    """Raise SyntaxError for a node that is not allowed at its place."""
    if place.blocks >= BLOCKS and isinstance(node, _Block):
        raise error_at(node, "too many statically nested blocks")
    _check_stars(node, parts)
    _check_jump(node, place)
    _check_coroutine(node, place)
    match node:
        case ast.NamedExpr() if place.iterable:
            raise error_at(
                node, "assignment expression cannot be used in a comprehension iterable expression"
            )
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda() if name := _repeated(
            each.arg for each in all_arguments(node.args)
        ):
            raise error_at(node, f"duplicate argument '{name}' in function definition")
        case ast.Call() | ast.ClassDef() if name := _repeated(each.arg for each in node.keywords):
            raise error_at(node, f"keyword argument repeated: {name}")
        case ast.Try() | ast.TryStar():
            for handler in node.handlers[:-1]:
                if not handler.type:
                    raise error_at(handler, "default 'except:' must be last")
        case ast.Match():
            _check_cases(node.cases)


def _check_stars(node: ast.AST, parts: list[ast.AST]) -> None:
    stars = [part for part in parts if isinstance(part, ast.Starred)]
    if stars and not isinstance(node, _TakesStars):
        raise error_at(stars[0], "can't use starred expression here")
    if len(stars) > 1 and isinstance(getattr(node, "ctx", None), ast.Store):
        raise error_at(node, "multiple starred expressions in assignment")


def _check_jump(node: ast.AST, place: _Surroundings) -> None:
    match node:
        case ast.Return() if place.no_return:
            raise error_at(node, f"'return' {place.no_return}")
        case ast.Break() | ast.Continue() if place.no_break:
            raise error_at(node, f"'{type(node).__name__.lower()}' {place.no_break}")
        case ast.Return(value=ast.AST()) if place.generates:
            raise error_at(node, "'return' with value in async generator")


def _check_coroutine(node: ast.AST, place: _Surroundings) -> None:
    is_async = isinstance(place.function, ast.AsyncFunctionDef)
    match node:
        case ast.Yield() | ast.YieldFrom() if place.comprehension or not place.function:
            where = "inside comprehension" if place.comprehension else "outside function"
            raise error_at(node, f"'yield' {where}")
        case ast.YieldFrom() if is_async:
            raise error_at(node, "'yield from' inside async function")
        case ast.Await() if not place.awaits:
            raise error_at(node, "'await' outside async function")
        case ast.AsyncFor() | ast.AsyncWith() if not is_async:
            raise error_at(node, "'async' outside async function")
        case ast.ListComp() | ast.SetComp() | ast.DictComp() if not place.awaits and any(
            each.is_async for each in node.generators
        ):
            raise error_at(node, "asynchronous comprehension outside of an asynchronous function")


def _repeated(names: Iterable[str | None]) -> str:
    """Return a name that occurs twice, or ""."""
    return next((name for name, count in Counter(names).items() if name and count > 1), "")


def _generates(node: ast.AsyncFunctionDef) -> bool:
    """Return whether a function has a `yield` outside of nested functions."""
    own: list[ast.AST] = [*node.body]
    while own:
        each = own.pop()
        if isinstance(each, ast.Yield):
            return True
        if not isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            own += ast.iter_child_nodes(each)
    return False


# Patterns -----------------------------------------------------------------------------------------------


def _check_cases(cases: list[ast.match_case]) -> None:
    for each in cases:
        _names_in(each.pattern)
    for each in cases[:-1]:
        if _is_irrefutable(each.pattern) and not each.guard:
            raise error_at(each.pattern, _UNREACHABLE)


def _is_irrefutable(pattern: ast.pattern) -> bool:
    while isinstance(pattern, ast.MatchAs) and pattern.pattern:
        pattern = pattern.pattern
    if isinstance(pattern, ast.MatchOr):
        return any(map(_is_irrefutable, pattern.patterns))
    return isinstance(pattern, ast.MatchAs)


def _names_in(pattern: ast.pattern) -> set[str]:
    """Return the names that a pattern binds; raise SyntaxError for an invalid pattern."""
    parts = [each for each in ast.iter_child_nodes(pattern) if isinstance(each, ast.pattern)]
    bound = [_names_in(each) for each in parts]
    if isinstance(pattern, ast.MatchOr):
        if any(map(_is_irrefutable, pattern.patterns[:-1])):
            raise error_at(pattern, _UNREACHABLE)
        if any(each != bound[0] for each in bound):
            raise error_at(pattern, "alternative patterns bind different names")
        return bound[0]
    if sum(isinstance(each, ast.MatchStar) for each in parts) > 1:
        raise error_at(pattern, "multiple starred expressions in sequence pattern")
    if isinstance(pattern, ast.MatchMapping):
        keys = [key.value for key in pattern.keys if isinstance(key, ast.Constant)]
        if len({*keys}) < len(keys):
            raise error_at(pattern, "mapping pattern checks duplicate key")
    attributes = pattern.kwd_attrs if isinstance(pattern, ast.MatchClass) else []
    own = getattr(pattern, "name", None) or getattr(pattern, "rest", None)
    names = [*([own] if own else []), *(name for each in bound for name in each)]
    if repeated := _repeated(attributes) or _repeated(names):
        raise error_at(pattern, f"'{repeated}' occurs twice in a pattern")
    return {*names}
