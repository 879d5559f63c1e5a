"""Misspelled columns, index levels and dictionary keys. Pure."""

from __future__ import annotations

import ast
import re
from collections import Counter
from contextlib import suppress
from keyword import iskeyword
from typing import TYPE_CHECKING

from jupyter_turbopilot.analysis.library_facts import methods
from jupyter_turbopilot.fixes.labels import LabelLookup
from jupyter_turbopilot.fixes.nearest import nearest
from jupyter_turbopilot.protocol.fix import quoted
from jupyter_turbopilot.util.syntax_tree import literal_value, walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jupyter_turbopilot.fixes.failed_cell import FailedCell
    from jupyter_turbopilot.protocol.fix import Edit, Fix

# The missing label in messages that do not quote it as Python does, or that quote other labels, too: it is
# between two texts, of which the second is the first one, or the last one.
_BETWEEN = (
    ("Column not found: ", "", True),
    ("Columns not found: ", "", True),
    ("Level ", " not found", True),
    ("Requested level (", ") does", True),
    ("Could not interpret value `", "`", False),
    ("Could not interpret input `", "`", False),
    ("Could not interpret value '", "'", False),
    ("Could not interpret input '", "'", False),
    ("but received: ", " To use the index", False),
    ("but received: ", "", True),
    ('unable to find column "', '"; valid', False),
)
_KNOWN = ("valid columns: [", "Expected one of [")
_END_OF_KNOWN = re.compile(r"\](?= but received|\n|\Z)")
_NO_WORD = re.compile(r"\W")
_MOST_MESSAGE = 8192  # characters of a message that are searched
_MOST_TITLES = 3  # labels in a title
_UNDEFINED = re.compile(r"(name|local variable) '(?:BACKTICK_QUOTED_STRING_)?(\w+)' is not defined")
# The parts of a query: quoted columns, strings, variables, attributes, names and numbers, but not the name
# of a function or the target of an assignment.
_IN_QUERY = re.compile(r"`[^`]*+`|'[^']*+'|\"[^\"]*+\"|[@.]?(?<!\w)\w++(?!\s*+(?:\(|=(?!=)))")
_WITH_COLUMNS = methods("condition", "formula")
_PLAIN = re.compile(r"""(["'])[^"'\\\n]*\1""")


def find(failure: FailedCell) -> Iterator[Fix]:
    """Find the nearest existing label for a missing one that the failed expression contains as a literal."""
    text = _text(failure)
    if failure.parsed is None or not text:
        return
    strings = [node for node in failure.nodes(ast.Constant) if isinstance(node.value, str)]
    counts = Counter(node.value for node in strings)
    missing = _missing_in(text)
    labels = LabelLookup(failure.parsed, failure.described)
    listed = _listed(failure.message)
    edits: list[Edit] = []
    found: list[str] = []
    least = 1.0
    for node in strings:
        if missing.isdisjoint((str(node.value), repr(node.value)[1:-1])):
            continue
        known = labels.index(listed or labels.of(node))
        if not known or str(node.value) in known:
            continue
        near = known.nearest(str(node.value), "key")
        part = near and replacement(failure.source, failure.span(node), node, near[0])
        if not (near and part) or counts[node.value] > 1:
            return
        edits.append(failure.edit(*part))
        found.append(quoted(near[0]))
        least = min(least, near[1])
    more = [f"{len(found) - _MOST_TITLES} more"] if len(found) > _MOST_TITLES else []
    yield from failure.fix(f"Did you mean {' and '.join([*found[:_MOST_TITLES], *more])}?", edits, least)


def find_in_query(failure: FailedCell) -> Iterator[Fix]:
    """Find the nearest column, or variable after `@`, for an undefined name in a query of pandas."""
    found = _UNDEFINED.match(failure.message)
    if failure.parsed is None or not found:
        return
    labels = LabelLookup(failure.parsed, failure.described)
    queries = [
        node
        for call in failure.nodes(ast.Call)
        if isinstance(call.func, ast.Attribute) and call.func.attr in _WITH_COLUMNS
        for argument in (*call.args[:1], *(each.value for each in call.keywords if each.arg == "expr"))
        for node in walk(argument)
        if isinstance(node, ast.Constant)
    ]
    for node in queries:
        start = failure.source.find(str(node.value), *failure.span(node))
        known = labels.index(labels.of(node)) if isinstance(node.value, str) and start >= 0 else None
        if not known:
            continue
        at, word = "@" * (found[1] != "name"), found[2]
        near = nearest(word, failure.report.names) if at else known.nearest(word, "key")
        if not near or word in known or {*near[0]} & {*"`'\"\\\n"}:
            continue
        edits = [
            failure.edit(start + part.start(), start + part.end(), new)
            for part in _IN_QUERY.finditer(str(node.value))
            if part[0] == at + word or (part[0][0] == "`" and _NO_WORD.sub("_", part[0][1:-1]) == word)
            for is_name in [part[0][0] != "`" and near[0].isidentifier() and not iskeyword(near[0])]
            for new in [at + near[0] if is_name else f"`{near[0]}`"]
        ]
        yield from failure.fix(f"Did you mean {quoted(near[0])}?", edits, near[1])


def replacement(
    source: str, span: tuple[int, int], node: ast.Constant, label: str
) -> tuple[int, int, str] | None:
    """Return the part of a source to replace for another label in a string literal, and its new text.

    The quotes stay the same if possible.
    """
    start, end = span
    old = source[start:end]
    try:
        if literal_value(old) != node.value:
            return None
    except (SyntaxError, ValueError):
        return None  # a part of an f-string
    if _PLAIN.fullmatch(old) and label.isprintable() and not {old[0], "\\"} & {*label}:
        return start + 1, end - 1, label
    return start, end, repr(label)


def plain_start(source: str, span: tuple[int, int], node: ast.Constant) -> int | None:
    """Return where the text of a string literal begins; None if its source differs from its text."""
    start, end = span
    quotes = {source[start : start + 1], source[end - 1 : end]}
    is_plain = quotes in ({"'"}, {'"'}) and source[start + 1 : end - 1] == node.value
    return start + 1 if is_plain else None


def _text(failure: FailedCell) -> str:
    """Return the message; that of a KeyError is the `repr` of its argument."""
    text = failure.message
    if failure.name == "KeyError":
        if failure.report.error and failure.report.error.key is not None:
            return failure.report.error.key
        with suppress(SyntaxError, ValueError):
            value = literal_value(text[:_MOST_MESSAGE])
            return value if isinstance(value, str) else text
    return text


def _missing_in(message: str) -> set[str]:
    """Return the labels that a message names as missing, as it writes them."""
    text = message[:_MOST_MESSAGE]
    named = _named(text)
    whole = text if named is None else named
    is_column_error = text.startswith(
        ("[", "None of ", "Label(s) ", "Column(s) ", "Index(", "Only a column name", "The following")
    )
    # A quoted label is between two quotes.
    quoting = "'\"" if named is not None or is_column_error else ""
    return {whole}.union(*(whole.split(quote) for quote in quoting))


def _named(text: str) -> str | None:
    """Return the part of a message that names the missing label, or None."""
    found: list[tuple[int, str]] = []
    if text.startswith('"') and (end := text.find('" not found', 2)) > 0:
        return text[1:end]
    for before, after, is_last in _BETWEEN:
        start = text.find(before)
        if start >= 0:
            first = start + len(before)
            end = text.rfind(after, first + 1) if is_last else text.find(after, first + 1)
            if end > first:
                found.append((start, text[first:end]))
    return min(found, key=lambda one: one[0])[1] if found else None


def _listed(message: str) -> Sequence[str]:
    """Return the existing labels that a message lists."""
    text = message[:_MOST_MESSAGE]
    starts = [text.find(start) + len(start) - 1 for start in _KNOWN if start in text]
    if starts and (end := _END_OF_KNOWN.search(text, min(starts))):
        with suppress(SyntaxError, ValueError):
            labels = literal_value(text[min(starts) : end.end()])
            return [label for label in labels if isinstance(label, str)]
    return ()
