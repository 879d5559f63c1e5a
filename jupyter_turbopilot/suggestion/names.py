"""Names that exist at the cursor, from kernel context and the notebook's cells. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from jupyter_turbopilot.analysis.column_changes import changed_parts
from jupyter_turbopilot.analysis.imports import bound_name, uses
from jupyter_turbopilot.analysis.languages import cell_language, is_command, without_cell_magic
from jupyter_turbopilot.analysis.notebook import bindings_of
from jupyter_turbopilot.analysis.resolve import (
    EVERYWHERE,
    Scope,
    bindings,
    binds_anything,
    exists,
    unresolved,
)
from jupyter_turbopilot.analysis.statements import statement_at, text_before_line
from jupyter_turbopilot.analysis.syntax import fitting
from jupyter_turbopilot.suggestion.candidates import is_in_long_string, lacks_column
from jupyter_turbopilot.suggestion.joining import first_word, joining
from jupyter_turbopilot.suggestion.readable import NOTHING_READ, headers_at, lacks_text, place_at
from jupyter_turbopilot.suggestion.surroundings import indentation
from jupyter_turbopilot.suggestion.trim import is_word
from jupyter_turbopilot.util.bounds import LINE, LONGEST_CELL, MOST_CODE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jupyter_turbopilot.analysis.imports import Sources, Use
    from jupyter_turbopilot.analysis.kernel_context import KernelContext
    from jupyter_turbopilot.analysis.texts import Readable, Texts
    from jupyter_turbopilot.protocol.request import Completion
    from jupyter_turbopilot.suggestion.readable import Place, Reader

_METHOD = re.compile(r"^[ \t]*+(?:async[ \t]++)?def[ \t]++\w++[ \t]*+\(\s*+(?:self|cls)\b", re.MULTILINE)
MOST_MISSING = 16  # a text with more missing names does not fit this notebook
_NONE: frozenset[str] = frozenset()


def scope_of(
    request: Completion, kernel_context: KernelContext, headers: Mapping[str, Texts] = MappingProxyType({})
) -> Scope:
    """Combine the names of the kernel with those bound by cells that have not run.

    `headers`: the columns of tables that such cells read from files.
    """
    if not kernel_context.names and not kernel_context.all and not headers:
        return Scope()
    if request.language != "python":
        members = kernel_context.names.items()
        return Scope(attributes={code: fact.attributes or _NONE for code, fact in members})
    lengths = [
        len(cell.source)
        for number, cell in enumerate(request.cells)
        if cell.type == "code" or number == request.active
    ]
    if max(lengths) > LONGEST_CELL or sum(lengths) > MOST_CODE:
        return Scope()
    code = [(number, cell) for number, cell in enumerate(request.cells) if cell.type == "code"]
    above = [(cell, bindings_of(cell.source)) for number, cell in code if number < request.active]
    # Cells below have not run, otherwise the kernel would know their names.
    below = [(cell, bindings(cell.source)) for number, cell in code if number > request.active]
    others = [*((cell, bound.all) for cell, bound in above), *below]
    # A cell that has not run may change its names before the active one runs.
    changing = frozenset[str]().union(*(bound for cell, bound in others if cell.executed is not True))
    sure = {name: fact for name, fact in kernel_context.names.items() if name not in changing}
    waiting = [(cell, bound) for cell, bound in above if cell.executed is not True]
    begun = text_before_line(request.prefix)
    changes = bindings_of(begun).changed.union(*(bound.changed for _, bound in waiting))
    sure = {name: fact for name, fact in sure.items() if (name, "") not in changes}
    columns = {
        name: frozenset(fact.columns) | {label for table, label in changes if table == name}
        for name, fact in sure.items()
        if fact.columns
    }
    read = {
        name: frozenset(header.texts) | {label for table, label in changes if table == name}
        for name, header in headers.items()
        if (name, "") not in changes
    }
    known = frozenset(kernel_context.names).union(*(bound.shared for _, bound in above))
    # An executed cell may have run in an earlier kernel: then the names that it binds invisibly are missing.
    reported = bindings(request.prefix).union(bindings(request.suffix), *(bound for _, bound in others))
    has_more = not kernel_context.names.keys() <= reported
    to_run = [
        without_cell_magic(request.prefix),
        *(cell.source for cell, _ in above if not (has_more and cell.executed)),
    ]
    return Scope(
        names=known if kernel_context.all and not any(map(binds_anything, to_run)) else None,
        attributes={
            # Columns of polars tables are not attributes.
            name: fact.attributes
            | (_NONE if (fact.module or "").startswith("polars") else columns.get(name, _NONE))
            for name, fact in sure.items()
            if fact.attributes is not None
        },
        columns={**{name: labels for name, labels in columns.items() if sure[name].all}, **read},
        levels={name: frozenset(fact.levels) for name, fact in sure.items() if fact.levels},
        keywords={
            name: frozenset(fact.parameters)
            for name, fact in sure.items()
            if fact.parameters is not None and not fact.open
        },
        kinds={name: fact.type for name, fact in sure.items() if fact.type},
        changed=changed_parts(begun).union(*(changed_parts(cell.source) for cell, _ in waiting)),
        from_files=frozenset(read),
    )


def readable_at(
    request: Completion, kernel_context: KernelContext
) -> tuple[Place | None, dict[str, Readable]]:
    """Return the place at the cursor that can be read, and the headers of tables that its line names."""
    return place_at(request, scope_of(request, kernel_context)), headers_at(request)


def _visible(prefix: str) -> frozenset[str]:
    """Return the names bound before the cursor that its line may see."""
    _, start = statement_at(prefix)
    line = prefix[start:]
    # Without indentation, the line sees no parameters, and no variables of comprehensions.
    above = bindings_of(text_before_line(prefix))
    return (above.all if line[:1] in {" ", "\t"} else above.shared) | bindings(line)


def _is_in_class(code: str, indent: int) -> bool:
    """Return whether an indented line that follows is in the body of a class, as far as that is visible."""
    for line in reversed(code.split("\n")) if indent else ():
        if line.strip() and indentation(line) < indent:
            indent, words = indentation(line), line.split(maxsplit=1)
            # A line that begins with a bracket ends a head of several lines.
            if words[0] in {"class", "def", "async"} or words[0][0] in ")]":
                return words[0] not in {"def", "async"}
            if not indent:
                break
    return False


def _is_below_decorator(code: str) -> bool:
    """Return whether a line that follows is decorated; a bracket may end a decorator of several lines."""
    return code[code.rfind("\n", 0, -1) + 1 :].lstrip()[:1] in {"@", ")"}


def _texts(request: Completion, scope: Scope) -> Iterator[str]:
    """Yield the texts with the words that may be completed within a word."""
    yield from (cell.source for cell in request.cells)
    if scope.names is not None:
        yield from EVERYWHERE | scope.names
    for names in (scope.attributes, scope.columns, scope.levels, scope.keywords):
        for found in names.values():
            yield from found


class AnyNames:
    """The checks of a suggestion at a place where nothing is known: any text fits, and needs no imports."""

    undecided = False  # whether any check lacked information: its result may change soon
    lacks_name = False  # whether a text did not fit because of a name or a column

    def fit(self, text: str) -> bool:  # noqa: ARG002 - for others
        """Return whether a text fits: the cell with it can become valid code, and its names exist."""
        return True

    def joins(self, text: str) -> bool:  # noqa: ARG002 - for others
        """Return whether the text after the cursor can follow a text."""
        return True

    def imports(self, text: str) -> tuple[str, ...]:  # noqa: ARG002 - for others
        """Return the import lines that a text needs."""
        return ()


ANY_NAMES = AnyNames()


class Names(AnyNames):
    """Checks the names in a suggestion, and finds the import lines that it needs.

    `sources` provides the import lines. Without them, or if not all names are known, a text needs none.
    `reader`: the values, keys and files that are known to exist.
    """

    def __init__(
        self,
        request: Completion,
        scope: Scope,
        sources: Sources | None = None,
        reader: Reader = NOTHING_READ,
    ) -> None:
        cell, prefix = request.cells[request.active], request.prefix
        language = cell_language(cell.source, request.language)
        if language != request.language:
            # The line of the cell magic is not in the cell's language.
            _, newline, body = prefix.lstrip().partition("\n")
            prefix = body if newline else prefix
        self._is_python = language == "python"
        self._parses = fitting(language, prefix)
        self._joins = joining(
            language if cell.type == "code" else "", prefix, request.suffix, _texts(request, scope)
        )
        self._prefix = prefix
        self._line = prefix.rpartition("\n")[2]
        # Outside of a class, such functions replace methods, as in `A.f = f`.
        self._method_indents = {indentation(found[0]) for found in _METHOD.finditer(cell.source)}
        self._rest_of_word = first_word(request.suffix)
        self._scope = scope
        self._reader = reader
        waiting = (each.source for each in request.cells[: request.active] if each.executed is not True)
        self._waiting = (*waiting, prefix.rpartition("\n")[0])
        judges = language == "python" and scope != Scope() and len(self._line) <= LINE
        judges = judges and not (is_command(self._line) or is_in_long_string(prefix))
        self._bound = _visible(prefix) | bindings(request.suffix) if judges else None
        self._sources = sources if judges and scope.names is not None else None
        self._judged: dict[str, bool] = {}
        self._lines: dict[Use, str] = {}
        self._waits = False  # whether the last check lacked information

    def joins(self, text: str) -> bool:
        return self._joins(text)

    def fit(self, text: str) -> bool:
        if text in self._judged:
            return self._judged[text]
        self._waits = False
        fits = self.joins(text) and self._parses(text) and not self._misses_class(text)
        if fits and not self._exist(text):
            self.lacks_name, fits = True, False
        if not self._waits:
            self._judged[text] = fits
        return fits

    def _misses_class(self, text: str) -> bool:
        """Return whether a text begins the definition of a method neither in a class nor decorated."""
        code = self._prefix + text
        return self._is_python and any(
            found.end() > len(self._prefix)
            and (indent := indentation(found[0])) not in self._method_indents
            and not _is_below_decorator(above := code[: found.start()])
            and not _is_in_class(above, indent)
            for found in _METHOD.finditer(code, len(self._prefix) - len(self._line))
        )

    def _exist(self, text: str) -> bool:
        """Return whether all names and columns of a text exist or can be imported."""
        if self._bound is None:
            return True
        # A text that ends with the beginning of the word at the cursor is checked with the rest of it.
        text += self._rest_of_word if is_word(text[-1:] or " ") else ""
        bound = (self._bound - self._scope.from_files) | bindings(self._line + text)
        certain = self._scope.without(bound)
        if certain.columns and lacks_column(self._prefix, text, certain):
            return False
        if lacks_text(self._prefix, text, certain, self._reader, self._waiting):
            return False
        missing = unresolved(self._line, text, self._scope, self._bound)
        if missing and self._scope.names is not None and (lines := self.imports(text)):
            scope = replace(self._scope, names=self._scope.names.union(map(bound_name, lines)))
            missing = unresolved(self._line, text, scope, self._bound)
        return not missing

    def imports(self, text: str) -> tuple[str, ...]:
        """Return the import lines for names of the text and its line that are unambiguous."""
        if self._sources is None or self._bound is None:
            return ()
        own = self._bound | bindings(self._line + text)
        missing: dict[str, Use] = {}
        for use in uses(self._line + text):
            if not exists(use.name, self._scope, own):
                missing.setdefault(use.name, use)
        if len(missing) > MOST_MISSING:
            return ()
        lines = [self._line_for(use, self._sources) for use in missing.values()]
        self._waits = None in lines
        self.undecided = self.undecided or self._waits
        return tuple(line for line in lines if line)

    def _line_for(self, use: Use, sources: Sources) -> str | None:
        """Look up the import line of a use, and cache it: a text is checked again as it grows."""
        if use not in self._lines and (line := sources.line_for(use)) is not None:
            self._lines[use] = line
        return self._lines.get(use)
