"""Import lines: parsing them, finding those that a suggestion needs, and inserting them. Pure."""

from __future__ import annotations

import ast
import re
from collections import Counter
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Protocol

from jupyter_turbopilot.analysis.conventions import BY_USE, MEMBERS, MODULES
from jupyter_turbopilot.analysis.lexer import Lexeme, lex, logical_lines
from jupyter_turbopilot.analysis.resolve import BINDS
from jupyter_turbopilot.util.bounds import cached_function, count_operations
from jupyter_turbopilot.util.syntax_tree import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

DOMINATES = 0.8  # share of the documents importing a name that must agree on the line
_MAGICS = re.compile(r"\A(?:\s*+%%[^\n]*+(?:\n|\Z))++")
_INDENT = re.compile(r"(?:[ \t]*+\n)*+([ \t]*+)")
_DOCSTRING = re.compile(r"[rRuU]?[\"']")  # its beginning
_STATEMENT = re.compile(
    r"^[ \t]*+((?:import[ \t]|from[ \t]++[\w.]++[ \t]++import\b)(?:[^\n()#;\\]*+)(?:\([^()]{0,4000}\))?)",
    re.MULTILINE,
)
_TYPES = ("from typing ", "from collections.abc ")
_FUTURE = ["from", "__future__", "import"]
_NOTHING = Lexeme("", "", 0)


class ModuleLocation(Enum):
    """Where a module was found that a kernel can import."""

    NOWHERE = 0
    HERE = 1  # in the kernel's working folder: another folder may contain a different module of this name
    ANYWHERE = 2


class Import(NamedTuple):
    """An import in the user's code."""

    module: str  # the top-level module
    name: str  # the bound name; "" if unknown
    line: str  # an import statement for this name alone


class Use(NamedTuple):
    """A name with the attribute or sign that follows it."""

    name: str
    follows: str
    dotted: bool  # whether an attribute is accessed


class DocumentImports(Protocol):
    """Lookup of import lines in the user's own documents."""

    def __call__(self, name: str, /, *, near: bool) -> Sequence[tuple[str, int]]:
        """Return the lines that bind a name, with their number of documents; `near`: only in this folder."""


class Sources:
    """Sources of import lines, in this order: the user's own documents, then conventions.

    `found` returns where a module is, or None if that is not known yet. It is called with the top-level
    module, and with the full name only if that does not exist: it may be in a namespace package.
    """

    def __init__(self, documents: DocumentImports, found: Callable[[str], ModuleLocation | None]) -> None:
        self._documents = documents
        self._found = found

    def line_for(self, use: Use) -> str | None:
        """Return the line that binds a name if it is unambiguous, otherwise ""; None if not known yet."""
        line = self._line(use, near=False)
        found = self._where(line) if line else ModuleLocation.NOWHERE
        if found is None:
            return None
        # For a module in the working folder, only documents in the same folder count.
        certain = found is ModuleLocation.ANYWHERE or (
            found is ModuleLocation.HERE and self._line(use, near=True) == line
        )
        return line if certain else ""

    def _where(self, line: str) -> ModuleLocation | None:
        found = self._found(top_module(line))
        return (
            self._found(whole)
            if found is ModuleLocation.NOWHERE and "." in (whole := imported(line))
            else found
        )

    def _line(self, use: Use, *, near: bool) -> str:
        return _certain(use, _known_lines(use.name, self._documents(use.name, near=near)))


def _certain(use: Use, known: Counter[str]) -> str:
    count_operations(1 + len(known))
    by_use = BY_USE.get(use.name, {})
    meant = {line for line, uses in by_use.items() if use.follows in uses}
    own: Counter[str] = Counter()
    for line, count in known.items():
        if _suits(line, use, by_use, meant):
            own[_for_use(line, use)] += count
    if own:
        (line, count), *_ = own.most_common(1)
        return line if count >= DOMINATES * own.total() else ""
    if by_use:
        return next(iter(meant)) if len(meant) == 1 else ""
    if use.name in MODULES:
        line = MODULES[use.name]
        # The module's own name, unlike a conventional alias, may also be a variable's name.
        certain = use.dotted or (" as " in line and use.follows != "(")
        return line if certain else ""
    line = MEMBERS.get(use.name, "")
    return "" if line.startswith(_TYPES) and use.follows == "(" else line


def _suits(line: str, use: Use, by_use: dict[str, frozenset[str]], meant: set[str]) -> bool:
    """Return whether one of the user's own lines fits the use of a name."""
    if line.startswith("import ") and (use.follows == "(" or not (use.dotted or " as " in line)):
        return False  # a module cannot be called
    return line in meant or line not in by_use


def _for_use(line: str, use: Use) -> str:
    """Import the package instead of an unused submodule: `import a.b` binds `a`."""
    package, dot, module = line.removeprefix("import ").partition(".")
    is_other = line.startswith("import ") and " as " not in line and module.partition(".")[0] != use.follows
    return f"import {package}" if dot and is_other else line


def _known_lines(name: str, lines: Sequence[tuple[str, int]]) -> Counter[str]:
    """Reduce lines to the import of this name alone, and add up equal ones."""
    known: Counter[str] = Counter()
    count_operations(4 * len(lines))
    for line, count in lines:
        if alone := binding(line, name):
            known[alone] += count
    return known


def imports_of(source: str) -> Iterator[Import]:
    """Iterate over the absolute imports in a text; relative ones have no fixed meaning."""
    count_operations(len(source) // 64)
    for found in _STATEMENT.finditer(source):
        yield from _imports_in(found[1])


def _imports_in(statement: str) -> Iterator[Import]:
    try:
        (parsed,) = parse(statement).body
    except (SyntaxError, ValueError):
        return
    if isinstance(parsed, ast.Import):
        for alias in parsed.names:
            yield _import(alias.name, "", alias)
    elif isinstance(parsed, ast.ImportFrom) and parsed.module and not parsed.level:
        for alias in parsed.names:
            yield _import(parsed.module, f"from {parsed.module} ", alias)


def _import(module: str, origin: str, alias: ast.alias) -> Import:
    top = module.partition(".")[0]
    if alias.name == "*":
        return Import(top, "", "")
    renamed = f" as {alias.asname}" if alias.asname and alias.asname != alias.name else ""
    name = alias.asname or alias.name.partition(".")[0]
    return Import(top, name, f"{origin}import {alias.name}{renamed}")


@cached_function(2**20)
def binding(line: str, name: str) -> str:
    """Return the part of an import line that binds a name, as a separate line; "" if there is none."""
    if len(line) > 500 or "\n" in line:  # noqa: PLR2004
        return ""
    for found in _imports_in(line.strip()):
        if found.name == name and found.module != "__future__":
            # Different spellings of the same import.
            same = re.fullmatch(r"from (\S+) import (\S+) as (\S+)", found.line)
            return f"import {same[1]}.{same[2]} as {same[3]}" if same and _is_module(same) else found.line
    return ""


def _is_module(words: re.Match[str]) -> bool:
    """Return whether `from a import b as c` is known to equal `import a.b as c`."""
    return MODULES.get(words[3]) == f"import {words[1]}.{words[2]} as {words[3]}"


def bound_name(line: str) -> str:
    """Return the name that an import line for one name binds."""
    last = line.rsplit(maxsplit=1)[-1]
    return last.partition(".")[0]


def top_module(line: str) -> str:
    """Return the top-level module of an import line."""
    return line.split()[1].partition(".")[0]


def imported(line: str) -> str:
    """Return the fully qualified name of the object that an import line for one name imports."""
    _, module, *rest = line.split()
    return f"{module}.{rest[1]}" if line.startswith("from ") else module


# Used names ---------------------------------------------------------------------------------------------


def uses(source: str) -> Iterator[Use]:
    """Yield the names that a source reads, as far as that is visible without parsing."""
    lexemes = [*lex(source)]
    first = True
    importing = binds = False
    for at, lexeme in enumerate(lexemes):
        if lexeme.kind == "comment":
            continue
        if (lexeme.kind == "line" and not lexeme.depth) or lexeme.text == ";":
            first, binds = True, False
            continue
        if first and lexeme.kind != "line":
            importing, first = lexeme.text in {"import", "from"}, False
        if lexeme.text == "in" or (lexeme.text == ":" and not lexeme.depth):
            binds = False
        before = lexemes[at - 1] if at else _NOTHING
        if lexeme.kind == "name" and before.text != "." and not importing:
            use = _use(lexemes, at)
            # A name bound here is not read, unless one of its attributes is.
            if use.dotted or not (binds or use.follows in {"=", ":="}):
                yield use
            binds = binds or use.name in BINDS


def _use(lexemes: list[Lexeme], at: int) -> Use:
    after = lexemes[at + 1] if at + 1 < len(lexemes) else _NOTHING
    dotted = after.text == "."
    if dotted:
        after = lexemes[at + 2] if at + 2 < len(lexemes) else _NOTHING
        return Use(lexemes[at].text, after.text if after.kind == "name" else "", dotted=True)
    return Use(lexemes[at].text, after.text if after.kind == "sign" else "", dotted=False)


# Insertion ----------------------------------------------------------------------------------------------


class Insertion(NamedTuple):
    """Text to insert into a cell."""

    at: int
    text: str

    def into(self, source: str) -> str:
        """Return the source with the text inserted."""
        return source[: self.at] + self.text + source[self.at :]


def insertion(source: str, lines: Iterable[str]) -> Insertion:
    """Return the insertion of import lines: after cell magics, a docstring and `from __future__`."""
    start = end = found.end() if (found := _MAGICS.match(source)) else 0
    # IPython accepts a cell that is indented as a whole.
    indent = found[1] if (found := _INDENT.match(source, end)) else ""
    for number, (first, *others) in enumerate(logical_lines(source[start:])):
        is_docstring = not (number or len(others) > 1 or first.unclosed) and _DOCSTRING.match(first.text)
        if not is_docstring and [first.text, *(each.text for each in others[:2])] != _FUTURE:
            break
        end = min(start + others[-1].end, len(source))
    is_open = end and source[end - 1] != "\n"
    return Insertion(end, "\n" * bool(is_open) + "".join(f"{indent}{line}\n" for line in lines))


def with_imports(source: str, lines: Iterable[str]) -> str:
    """Insert import lines into a cell."""
    return insertion(source, lines).into(source) if (lines := [*lines]) else source
