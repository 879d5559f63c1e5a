"""Names that a source uses without binding them, with their positions. Pure.

This walks the tree itself: the running time of `symtable` grows with the product of names and nested scopes,
and it blocks all other threads.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_left
from itertools import accumulate
from typing import TYPE_CHECKING, TypeAlias

from jupyter_turbopilot.util.bounds import count_operations
from jupyter_turbopilot.util.syntax_tree import all_arguments, error_at, parse, parts_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLASS_NAME = 200  # characters of a class name kept in private names
_COUNTED = 32  # nodes, each of which takes about two operations
Located: TypeAlias = (
    "ast.expr | ast.stmt | ast.arg | ast.keyword | ast.alias | ast.excepthandler | ast.pattern"
)
_LINE_END = re.compile(r"\r\n|\r|\n")


class Scopes:
    """A parsed source, and the names that it uses without binding them.

    A name bound anywhere in a scope counts as bound in all of it, regardless of order and `del`.
    """

    def __init__(self, source: str, tree: ast.Module | None = None) -> None:
        """Raise SyntaxError for source that does not parse, or is too long. `tree`: if it is known."""
        self.tree = tree or parse(source)
        module = _module_scope(self.tree)
        self.source = source
        self._lines = [0, *(end.end() for end in _LINE_END.finditer(source)), len(source)]
        # For lines with non-ASCII characters: where each character ends, in bytes.
        self._bytes: dict[int, list[int]] = {}
        free = (name for scope in module.scopes for name in scope.free())
        self.free = sorted(free, key=lambda name: (name.lineno, name.col_offset))
        self.bound = module.bound  # for other code, including `global` names of functions
        self.nodes = module.nodes  # all nodes in the order of the text, with their scopes

    @property
    def open(self) -> bool:
        """Whether a star import may bind any name."""
        imports = (node for node in ast.walk(self.tree) if isinstance(node, ast.ImportFrom))
        return any(alias.name == "*" for node in imports for alias in node.names)

    def span(self, node: Located) -> tuple[int, int]:
        """Return the start and end of a node, in characters."""
        start = self._offset(node.lineno, node.col_offset)
        return start, self._offset(node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)

    def text(self, node: Located) -> str:
        """Return the source text of a node."""
        return self.source[slice(*self.span(node))]

    def _offset(self, line: int, column: int) -> int:
        begin = self._lines[line - 1]
        if self.source.isascii():
            return begin + column
        if line not in self._bytes:
            text = self.source[begin : self._lines[line]]
            self._bytes[line] = [*accumulate(len(character.encode()) for character in text)]
        return begin + bisect_left(self._bytes[line], column) + (column > 0)


class LexicalScope:
    """The names of a module, a class, a function, a comprehension, or of type parameters ("types")."""

    def __init__(self, kind: str, outer: LexicalScope | None = None, class_name: str = "") -> None:
        self.class_name: str = class_name or (outer.class_name if outer else "")
        self.kind = kind
        self.outer = outer
        self.module: LexicalScope = outer.module if outer else self
        self.depth: int = outer.depth + 1 if outer else 0
        self.scopes: list[LexicalScope] = []  # of a module: itself and all nested ones
        self.nodes: list[tuple[ast.AST, LexicalScope]] = []  # of a module: all nodes
        self.module.scopes.append(self)
        self.bound: set[str] = set()
        self.assigned: set[str] = set()  # names that a later statement here may not declare
        self.used: dict[str, list[ast.Name]] = {}
        self.declared: dict[str, str] = {}  # names in `global` and `nonlocal` statements, with the keyword
        self._nonlocals: list[tuple[ast.Nonlocal, str]] = []

    def look_up_or_bind(self, node: ast.Name) -> None:
        """Add a name; a use of a mangled name is ignored, as it is spelled differently outside the class."""
        if not isinstance(node.ctx, ast.Load):
            self.bind(node.id)
        elif self._mangled(node.id) == node.id:
            self.used.setdefault(node.id, []).append(node)

    def bind(self, name: str, *, imports: bool = False) -> None:
        """Bind a name here, or in the scope that it is declared in."""
        if name == "__debug__":
            raise SyntaxError("cannot assign to __debug__")
        name = self._mangled(name)
        if name not in self.declared:
            self.bound.add(name)
            if not imports:
                self.assigned.add(name)
        elif self.declared[name] == "global":
            self.module.bound.add(name)

    def bind_around_comprehensions(self, node: ast.NamedExpr) -> None:
        """Bind the target of a `:=`."""
        scope, name = self, node.target.id
        while scope.kind == "comprehension" and scope.outer:
            if name in scope.bound:
                raise error_at(node, f"assignment expression cannot rebind iteration variable '{name}'")
            scope = scope.outer
        if scope is not self and scope.kind == "class":
            raise error_at(node, "assignment expression within a comprehension in a class body")
        scope.bind(name)

    def declare(self, node: ast.Global | ast.Nonlocal) -> None:
        """Declare names global or nonlocal."""
        word = "global" if isinstance(node, ast.Global) else "nonlocal"
        if word == "nonlocal" and self is self.module:
            raise error_at(node, "nonlocal declaration not allowed at module level")
        for name in map(self._mangled, node.names):
            if name in self.used or name in self.assigned or self.declared.get(name, word) != word:
                raise error_at(node, f"name '{name}' is used or declared before its {word} declaration")
            self.declared[name] = word
            if name in self.bound:  # by an import, after which Python accepts a declaration
                self.bound.discard(name)
                self.bind(name)
            if isinstance(node, ast.Nonlocal):
                self._nonlocals.append((node, name))

    def check(self) -> None:
        """Raise SyntaxError for a nonlocal name without a binding in an enclosing function."""
        for node, name in self._nonlocals:
            if not (self.outer and self.outer.finds(name, direct=self.kind == "types")):
                raise error_at(node, f"no binding for nonlocal '{name}' found")

    def finds(self, name: str, *, direct: bool = True) -> bool:
        """Return whether this scope or an enclosing one, other than the module, binds a name.

        Only code directly inside a class sees the names of that class.
        """
        scope: LexicalScope | None = self
        while scope and scope is not self.module:
            if direct or scope.kind != "class":
                if name in scope.declared:
                    return scope.declared[name] == "nonlocal"
                if name in scope.bound:
                    return True
            elif name == "__class__":
                return True
            direct, scope = scope.kind == "types", scope.outer
        return False

    def owner(self, name: str) -> LexicalScope:
        """Return the scope that binds a name as seen from here; the module if no other one does."""
        count_operations(1 + self.depth // 4)
        scope, direct = self, True
        while scope.outer:
            if direct or scope.kind != "class":
                if scope.declared.get(name) == "global":
                    return scope.module
                if name in scope.bound:
                    return scope
            direct, scope = scope.kind == "types", scope.outer
        return scope

    def is_same_scope(self, other: LexicalScope) -> bool:
        """Return whether this is the other scope; all cells share the scope of the module."""
        return self is other or not (self.outer or other.outer)

    def free(self) -> Iterator[ast.Name]:
        """Yield the names that are used here without any binding."""
        count_operations(len(self.used) * self.depth // 4)
        for name, nodes in self.used.items():
            if name not in self.module.bound and not self.finds(name):
                yield from nodes

    def _mangled(self, name: str) -> str:
        """Return a private name as mangled by the innermost class."""
        # A prefix suffices to distinguish classes; a long name would be copied into each private name.
        class_name = self.class_name.lstrip("_")[:_CLASS_NAME]
        private = class_name and name.startswith("__") and not name.endswith("__")
        return f"_{class_name}{name}" if private else name


def _module_scope(tree: ast.Module) -> LexicalScope:
    """Return the scope of a module; raise SyntaxError for invalid uses of names."""
    module = LexicalScope("module")
    # Without recursion, in the order of the text.
    work: list[tuple[ast.AST, LexicalScope]] = [(tree, module)]
    while work:
        if len(module.nodes) % _COUNTED == 0:
            count_operations(2 * _COUNTED)
        node, scope = work.pop()
        module.nodes.append((node, scope))
        if isinstance(node, ast.Name):
            scope.look_up_or_bind(node)
            continue
        _bind(node, scope)
        work += [*_parts(node, scope)][::-1]
    for scope in module.scopes:
        scope.check()
    return module


def _bind(node: ast.AST, scope: LexicalScope) -> None:
    """Record the names that a node uses, binds or declares itself."""
    match node:
        case ast.MatchMapping(rest=str(name)):
            scope.bind(name)
        case ast.alias(asname=str(name)):
            scope.bind(name, imports=True)
        case ast.alias(name="*"):
            if scope is not scope.module:
                raise error_at(node, "import * only allowed at module level")
        case ast.alias(name=name):
            scope.bind(name.partition(".")[0], imports=True)
        case ast.Global() | ast.Nonlocal():
            scope.declare(node)
        case ast.NamedExpr():
            scope.bind_around_comprehensions(node)
        case _ if isinstance(named := getattr(node, "name", None), str):
            scope.bind(named)  # a function, a class, `except … as`, a capture, a type parameter


def _parts(node: ast.AST, scope: LexicalScope) -> Iterator[tuple[ast.AST, LexicalScope]]:
    """Yield the parts of a node with their scopes."""
    parameters = getattr(node, "type_params", ())  # from Python 3.12 on
    types = LexicalScope("types", scope) if parameters else scope
    outer: list[ast.AST | None] = []
    typed: list[ast.AST | None] = [*parameters]  # parts that see the type parameters
    inner: list[ast.AST | None] = []
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            body, inner = _function(node.args, types), [*node.body]
            outer = [*node.decorator_list, *node.args.defaults, *node.args.kw_defaults]
            typed += [*(each.annotation for each in all_arguments(node.args)), node.returns]
        case ast.Lambda():
            body, inner = _function(node.args, scope), [node.body]
            outer = [*node.args.defaults, *node.args.kw_defaults]
        case ast.ClassDef():
            body, inner = LexicalScope("class", types, node.name), [*node.body]
            outer = [*node.decorator_list]
            typed += [*node.bases, *node.keywords]
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            body = LexicalScope("comprehension", scope)
            first, *others = node.generators
            results = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
            outer, inner = [first.iter], [first.target, *first.ifs, *others, *results]
        case ast.NamedExpr():
            body, inner = scope, [node.value]
        case _ if parameters:  # a `type` statement
            body, outer, inner = types, [getattr(node, "name")], [getattr(node, "value")]  # noqa: B009
        case _:
            body, inner = scope, [*parts_of(node)]
    for parts, each in ((outer, scope), (typed, types), (inner, body)):
        yield from ((part, each) for part in parts if part)


def _function(given: ast.arguments, outer: LexicalScope) -> LexicalScope:
    scope = LexicalScope("function", outer)
    for each in all_arguments(given):
        scope.bind(each.arg)
        scope.module.nodes.append((each, scope))
    return scope
