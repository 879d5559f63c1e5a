"""Which import lines a suggestion needs, where that is certain, and where in a cell they go. Pure."""

from __future__ import annotations

import ast
import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from jupyter_turbopilot.bounds import remembered
from jupyter_turbopilot.suggestion.conventions import BY_USE, MEMBERS, MODULES
from jupyter_turbopilot.suggestion.lexer import Lexeme, lex
from jupyter_turbopilot.suggestion.resolve import BINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    # Lines that bind a name, and in how many documents each stands.
    Remembered = Callable[[str], Sequence[tuple[str, int]]]

DOMINATES = 0.8  # of the documents that import a name, so many have to mean the same by it
# What import lines stand behind. Comments and blank lines may be between.
_BLANK = r"(?:[ \t]*+(?:\#[^\n]*+)?\n)*+"
_REST = r"[ \t]*+(?:\#[^\n]*+)?(?:\n|\Z)"
_MAGIC = re.compile(r"\s*+%%[^\n]*+(?:\n|\Z)")
_DOCSTRING = re.compile(
    _BLANK + r"[rRuU]?(?:\"{3}(?:[^\"\\]|\\.|\"(?!\"\"))*+\"{3}|'{3}(?:[^'\\]|\\.|'(?!''))*+'{3}"
    r"|\"(?!\"\")(?:[^\"\\\n]|\\.)*+\"|'(?!'')(?:[^'\\\n]|\\.)*+')" + _REST,
    re.DOTALL,
)
_FUTURE = re.compile(_BLANK + r"from[ \t]++__future__[ \t]++import\b(?:[^\n(#\\]|\\\n|\([^)]*+\))*+" + _REST)
_TYPES = ("from typing ", "from collections.abc ")
_NOTHING = Lexeme("", "", 0)


class Use(NamedTuple):
    """A name, and what follows it: the attribute that is read, or a sign."""

    name: str
    follows: str
    dotted: bool  # whether an attribute of it is read


class Sources:
    """Where import lines come from, in this order: the person's own documents, what everybody writes.

    `remembered` returns lines that bind a name, with how many documents have each; `installed` tells whether
    a top-level module can be imported.
    """

    def __init__(self, remembered: Remembered, installed: Callable[[str], bool]) -> None:
        self._remembered = remembered
        self._installed = installed

    def line_for(self, use: Use) -> str:
        """Return the line that binds a name, if it is certain which; "" otherwise."""
        line = _certain(use, _known_lines(use.name, self._remembered(use.name)))
        return line if line and self._installed(top_module(line)) else ""


def _certain(use: Use, known: Counter[str]) -> str:
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
        # A module's own name, not one that everybody gives it, may be that of a variable.
        certain = use.dotted or (" as " in line and use.follows != "(")
        return line if certain else ""
    line = MEMBERS.get(use.name, "")
    return "" if line.startswith(_TYPES) and use.follows == "(" else line


def _suits(line: str, use: Use, by_use: dict[str, frozenset[str]], meant: set[str]) -> bool:
    """Tell whether a line of the person's own may be what a name is used as."""
    if line.startswith("import ") and (use.follows == "(" or not (use.dotted or " as " in line)):
        return False  # no module is called
    return line in meant or line not in by_use


def _for_use(line: str, use: Use) -> str:
    """Import a package rather than a module in it where that is not what is used: `import a.b` binds `a`."""
    package, dot, module = line.removeprefix("import ").partition(".")
    is_other = line.startswith("import ") and " as " not in line and module.partition(".")[0] != use.follows
    return f"import {package}" if dot and is_other else line


def _known_lines(name: str, lines: Iterable[tuple[str, int]]) -> Counter[str]:
    """Word lines as if each bound this name alone, and add those that are then the same."""
    known: Counter[str] = Counter()
    for line, count in lines:
        if alone := binding(line, name):
            known[alone] += count
    return known


@remembered(2**20)
def binding(line: str, name: str) -> str:
    """Return the part of an import line that binds a name, as a line of its own; "" if there is none."""
    if len(line) > 500 or "\n" in line:  # noqa: PLR2004
        return ""
    try:
        (statement,) = ast.parse(line.strip()).body
    except (SyntaxError, ValueError):
        return ""
    if not isinstance(statement, ast.Import | ast.ImportFrom):
        return ""
    start = "import "
    if isinstance(statement, ast.ImportFrom):
        if statement.level or not statement.module or statement.module == "__future__":
            return ""
        start = f"from {statement.module} import "
    for alias in statement.names:
        if (alias.asname or alias.name.partition(".")[0]) == name:
            renamed = f" as {alias.asname}" if alias.asname and alias.asname != alias.name else ""
            whole = f"{start}{alias.name}{renamed}"
            # The same object under the same name.
            same = re.fullmatch(r"from (\S+) import (\S+) as (\S+)", whole)
            return f"import {same[1]}.{same[2]} as {same[3]}" if same and _is_module(same) else whole
    return ""


def _is_module(words: re.Match[str]) -> bool:
    """Tell whether `from a import b as c` is known to be `import a.b as c`."""
    return MODULES.get(words[3]) == f"import {words[1]}.{words[2]} as {words[3]}"


def bound_name(line: str) -> str:
    """Return the name that an import line of one name binds."""
    last = line.rsplit(maxsplit=1)[-1]
    return last.partition(".")[0]


def top_module(line: str) -> str:
    """Return the top-level module that an import line imports."""
    return line.split()[1].partition(".")[0]


# What a text uses ---------------------------------------------------------------------------------------


def uses(source: str) -> Iterator[Use]:
    """Yield the names that a source reads, as far as can be seen without parsing it."""
    lexemes = [*lex(source)]
    first, depth = True, 0
    importing = binds = False
    for at, lexeme in enumerate(lexemes):
        if lexeme.kind == "comment":
            continue
        if (lexeme.kind == "line" and not depth) or lexeme.text == ";":
            first, binds = True, False
            continue
        if first and lexeme.kind != "line":
            importing, first = lexeme.text in {"import", "from"}, False
        if lexeme.kind == "sign":
            depth = max(0, depth + (lexeme.text in "([{") - (lexeme.text in ")]}"))
        if lexeme.text == "in" or (lexeme.text == ":" and not depth):
            binds = False
        before = lexemes[at - 1] if at else _NOTHING
        if lexeme.kind == "name" and before.text != "." and not importing:
            use = _use(lexemes, at)
            # What is bound here is not read, unless an attribute of it is.
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


# Where the lines go -------------------------------------------------------------------------------------


def insertion(source: str) -> int:
    """Return where import lines go in a cell: behind a cell magic, a docstring and `from __future__`."""
    end = 0
    if magic := _MAGIC.match(source):
        end = magic.end()
    if docstring := _DOCSTRING.match(source, end):
        end = docstring.end()
    while future := _FUTURE.match(source, end):
        end = future.end()
    return end


def with_imports(source: str, lines: Iterable[str]) -> str:
    """Put import lines into a cell, each that is not there yet."""
    there = {line.strip() for line in source.split("\n")}
    new = [line for line in lines if line not in there]
    if not new:
        return source
    at = insertion(source)
    open_end = at and source[at - 1] != "\n"
    return source[:at] + "\n" * bool(open_end) + "".join(f"{line}\n" for line in new) + source[at:]
