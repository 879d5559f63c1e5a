"""Renaming the other uses of a variable, function, parameter or import alias after an edit. Pure."""

from __future__ import annotations

import ast
import builtins
import keyword
import re
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from jupyter_turbopilot.analysis.calls import name_of
from jupyter_turbopilot.analysis.languages import cell_language
from jupyter_turbopilot.analysis.library_facts import methods, parameters
from jupyter_turbopilot.analysis.notebook import Notebook
from jupyter_turbopilot.analysis.parsed_cell import identifiers_in, word_pattern
from jupyter_turbopilot.protocol.fix import Edit, quoted
from jupyter_turbopilot.util.bounds import changed_region, count_operations
from jupyter_turbopilot.util.syntax_tree import LONGEST, all_arguments, walk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jupyter_turbopilot.analysis.parsed_cell import Mention, ParsedCell
    from jupyter_turbopilot.analysis.scopes import LexicalScope
    from jupyter_turbopilot.protocol.request import RenameRequest

# IPython binds these, or gives them a meaning.
_RESERVED = frozenset(dir(builtins)) | {"_", "In", "Out", "get_ipython", "display", "exit", "quit"}
LONGEST_NAME = 200  # characters; each edit contains the name
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
# The languages of magics that do not give their body access to variables.
_SEPARATE = frozenset({"bash", "bat", "html", "javascript", "latex", "markdown", "perl", "ruby", "text"})
# In a notebook with one of these, a string may be the name or the code of a variable; `model.eval()` is not.
_LOOKUPS = re.compile(
    r"(?<![\w.])(?:eval|exec|vars)\b|\.eval\((?!\))|\b(?:(?:sql|timeit\.\w++|timeit)\(|sys\.modules\b|"
    r"(?:__all__|__main__|dmatrices|dmatrix|duckdb|f_globals|f_locals|get_ipython|globals|locals|numexpr|"
    r"sqldf|user_ns)\b)"
)
_SHOWING, _SHOWN = methods("text"), parameters("text")


class Rename(msgspec.Struct, frozen=True, kw_only=True):
    """An offer to rename the other uses of a name."""

    title: str
    edits: list[Edit]
    run: list[int]  # index of the cell that binds the name


def find(request: RenameRequest) -> Rename | None:
    """Return the edits of all other uses, if exactly one identifier was changed at its only binding."""
    change = _change(request)
    cells = cells_of(request, change) if change else None
    if not change or not cells or change.cell not in cells:
        return None
    mentions = cells[change.cell].variables(change.old)
    binding = next((each for each in mentions if each.start == change.start), None)
    if not binding or binding.role != "binding" or binding.owner.kind == "class":
        return None
    starts = _uses(cells, change, binding)
    if isinstance(binding.node, ast.arg) and starts is not None:
        keywords = _keywords(cells, change, binding)
        starts = None if keywords is None else starts + keywords
    elif any(cell.type == "code" and cell.source is None for cell in request.cells):
        return None
    is_local = binding.owner.outer is not None and not isinstance(binding.node, ast.arg)
    others = {change.cell: cells[change.cell]} if is_local else cells
    if _has_hidden_uses(request, others, change.old):
        return None
    if not starts or not all(cells[cell].source.startswith(change.old, start) for cell, start in starts):
        return None  # the source may spell the name with other characters
    edits = [change.edit(cell, start) for cell, start in sorted(starts)]
    return Rename(title=title_of(change, edits), edits=edits, run=[change.cell])


class NameChange(NamedTuple):
    """A changed identifier; its position is that before and after the edit."""

    cell: int
    start: int
    old: str
    new: str

    def edit(self, cell: int, start: int) -> Edit:
        """Return the edit of a use at a position before the change."""
        if cell == self.cell and start > self.start:
            start += len(self.new) - len(self.old)
        return Edit(cell=cell, start=start, end=start + len(self.old), old=self.old, text=self.new)


def _change(request: RenameRequest) -> NameChange | None:
    """Return the identifier that differs, if nothing else does."""
    change = changed_part(request, _continues)
    if not change or not all(map(_is_name, (change.old, change.new))):
        return None
    return None if change.new in _RESERVED or change.old == "_" else change


def changed_part(request: RenameRequest, continues: Callable[[str], bool]) -> NameChange | None:
    """Return the part that differs, extended by the characters around it that continue it."""
    before, after = request.before, request.cells[request.active].source or ""
    if request.language != "python" or max(len(before), len(after)) > LONGEST or before == after:
        return None
    count_operations((len(before) + len(after)) // 8)
    start, end, end_after = changed_region(before, after)
    while start and continues(before[start - 1]):
        start -= 1
    while end < len(before) and continues(before[end]):
        end, end_after = end + 1, end_after + 1
    return NameChange(request.active, start, before[start:end], after[start:end_after])


def _continues(character: str) -> bool:
    return f"_{character}".isidentifier()


def _is_name(text: str) -> bool:
    # A name with two underscores is mangled in classes.
    return (
        text.isidentifier()
        and len(text) <= LONGEST_NAME
        and not keyword.iskeyword(text)
        and not text.startswith("__")
    )


def title_of(change: NameChange, edits: list[Edit]) -> str:
    """Return the question to the user."""
    uses, cells = len(edits), len({edit.cell for edit in edits})
    names = f"{quoted(change.old)} to {quoted(change.new)}"
    return f"Rename {uses} use{'s' * (uses > 1)} of {names} in {cells} cell{'s' * (cells > 1)}?"


def hidden_strings(cell: ParsedCell, name: str) -> Iterator[tuple[ast.AST, str]]:
    """Yield the strings of a cell that contain a name, and are not only shown to the user."""
    count_operations(len(cell.nodes))
    contains = word_pattern(name).search
    for node in cell.nodes:
        match node:
            case ast.Constant(value=str(text)) if contains(text) and not _is_shown(cell, node):
                yield node, text


def _is_shown(cell: ParsedCell, node: ast.AST) -> bool:
    outer = cell.parents[node]
    while isinstance(outer, ast.JoinedStr):
        node, outer = outer, cell.parents[outer]
    match outer:
        case ast.Expr():
            return True
        case ast.keyword(arg=name):
            return name in _SHOWN
        case ast.Call(func=function):
            name = name_of(function)
            return node is not function and (name in _SHOWING or name.endswith("Error"))
    return False


def _has_hidden_uses(request: RenameRequest, cells: dict[int, ParsedCell], name: str) -> bool:
    """Return whether a magic or a string may refer to a variable, as in `eval("x + 1")`."""
    if any(cell.has_in_magic(name) for cell in cells.values()):
        return True
    # A longer cell is not parsed.
    sources = [(cell.source or "")[:LONGEST] for cell in request.cells if cell.type == "code"]
    count_operations(sum(map(len, sources)) // 4)
    has_lookups = any(map(_LOOKUPS.search, sources))
    return any(
        has_lookups or f"@{name}" in text or "~" in text or node in cell.annotations
        for cell in cells.values()
        for node, text in hidden_strings(cell, name)
    )


def cells_of(request: RenameRequest, change: NameChange, *names: str) -> dict[int, ParsedCell] | None:
    """Parse the cells that contain one of the names.

    Return None if one of these does not parse, or a cell in another language may use the changed name.
    """
    used = identifiers_in(change.old).union(*map(identifiers_in, names))
    named = [identifiers_in(name) for name in (change.old, change.new, *names)]
    cells, notebook = {}, Notebook(request.cells)
    for number, cell in enumerate(request.cells):
        source = request.before if number == change.cell else cell.source or ""
        if cell.type != "code" or not any(map(identifiers_in(source).issuperset, named)):
            continue
        if (language := cell_language(source, "python")) != "python":
            text = source.lstrip().partition("\n")[0] if language in _SEPARATE else source
            if identifiers_in(text).issuperset(used):
                return None
            continue
        try:
            cells[number] = notebook.parsed(source)
        except SyntaxError:
            return None
    return cells


def _uses(cells: dict[int, ParsedCell], change: NameChange, binding: Mention) -> list[tuple[int, int]] | None:
    """Return the cells and positions of the other uses; None for a second binding or a name in use."""
    is_global = binding.owner.outer is None
    if is_global and change.old in _RESERVED:
        return None
    starts = []
    for number, cell in cells.items():
        if any(cell.variables(change.new)):
            return None
        for each in cell.variables(change.old):
            if each.owner.kind == "class" and each.role == "use":
                return None  # before the class binds the name, it is another variable
            if not each.owner.is_same_scope(binding.owner) or (number, each.start) == (
                change.cell,
                change.start,
            ):
                continue
            if each.role != "use":
                return None
            starts.append((number, each.start))
    return starts


def _keywords(
    cells: dict[int, ParsedCell], change: NameChange, binding: Mention
) -> list[tuple[int, int]] | None:
    """Return the keyword arguments that are the renamed parameter; None if others may be."""
    function, scope = next(
        (node, scope)
        for node, scope in cells[change.cell].scopes.nodes
        if isinstance(node, _FUNCTIONS) and binding.node in all_arguments(node.args)
    )
    if binding.node in {function.args.vararg, function.args.kwarg}:
        return []
    decorators = getattr(function, "decorator_list", [])
    if any(_mentions(node, change.old) for each in decorators for node in ast.walk(each)):
        return None
    # A lambda has no name, and a method is called on an object of unknown class.
    name = attribute = getattr(function, "name", "")
    if scope.kind == "class":
        name = scope.class_name if name == "__init__" else ""
    owner = (scope.outer or scope).owner(name) if scope.kind == "class" else scope.owner(name)
    return _keyword_arguments(cells, change.old, name, attribute, owner)


def _keyword_arguments(
    cells: dict[int, ParsedCell], parameter: str, name: str, attribute: str, owner: LexicalScope
) -> list[tuple[int, int]] | None:
    """Return the keyword arguments of calls of a function; None if other calls may have them."""
    starts: list[tuple[int, int]] = []
    called: set[ast.AST] = set()
    is_value = has_others = False
    for number, cell in cells.items():
        count_operations(len(cell.scopes.nodes))
        for node, around in cell.scopes.nodes:
            if isinstance(node, ast.Name) and node not in called and node.id == name:
                is_value = is_value or (
                    isinstance(node.ctx, ast.Load) and around.owner(name).is_same_scope(owner)
                )
            if not isinstance(node, ast.Call):
                continue
            found = [each for each in node.keywords if each.arg == parameter]
            if (
                isinstance(node.func, ast.Name)
                and node.func.id == name
                and around.owner(name).is_same_scope(owner)
            ):
                called.add(node.func)
                if any(each.arg is None for each in node.keywords):
                    return None  # `f(**options)` may contain the parameter
                starts += [(number, cell.name_start(each, parameter)) for each in found]
            elif found and _may_pass_keywords(node, name, attribute):
                return None
            else:
                has_others = has_others or bool(found)
    # Another name of the function may be called with the parameter.
    return None if is_value and has_others else starts


def _may_pass_keywords(call: ast.Call, name: str, attribute: str) -> bool:
    """Return whether a call may pass its keyword arguments to a function, as with `partial`."""
    if isinstance(call.func, ast.Attribute) and call.func.attr == attribute:
        return True
    if attribute in {"", "__init__"} and isinstance(call.func, ast.Name):
        return True  # a lambda, or a subclass
    passed = [node for argument in call.args for node in walk(argument)]
    count_operations(2 * len(passed))
    return any(_mentions(node, name, attribute) for node in passed)


def _mentions(node: ast.AST, *names: str) -> bool:
    """Return whether a node is a name, an attribute, a keyword or a string of that text."""
    return any(getattr(node, field, None) in names for field in ("id", "attr", "arg", "value"))
