"""The cases of `fixes.py`: cells with one fault, errors without a fix, and renames."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jedi  # type: ignore[import-untyped]

from jupyter_turbopilot.context.languages import as_python

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Sequence

    from jupyter_turbopilot.plugins.evaluate.notebooks import TypedNotebook

DATA: dict[str, Any] = json.loads(Path(__file__).with_name("fixes.json").read_text("utf-8"))
SHORT = 3  # characters of a name for which no nearest name is expected
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
# Renames without an offer, and the names that are changed instead of the binding or beside it.
SILENT_RENAMES = {
    "two bindings": "", "used": "", "use": "", "does not parse": "", "attribute": r"\.(\w+)",
    "string": r"""['"](\w+)""", "two names": r"\b([a-z]\w+) = ",
}  # fmt: skip
POSITIVE = 0.65  # share of the renames with an offer


@dataclass
class Case:
    """A broken cell, what restores it, and the answer."""

    kind: str
    source: str
    right: Sequence[str] = ()  # accepted corrected sources; none: no fix is right
    word: str = ""  # part of the expected error
    forget: Sequence[str] = ()  # names that the kernel does not have
    cells: dict[int, dict[str, Any]] = field(default_factory=dict)  # changes of other cells, by index
    install: str = ""
    spot: tuple[int, str, str] = (0, "", "")  # a rename: offset of the binding, old and new name
    changed: bool = False
    notebook: str = ""
    error: str = ""
    fixes: list[dict[str, Any]] = field(default_factory=list)
    is_right: bool = False
    ms: float = 0.0
    connects: bool = False  # whether the server had to connect to the kernel


# Misspellings -----------------------------------------------------------------------------------------------


class Typist:
    """Misspells words as codespell's dictionary lists them, other words by a typing error."""

    def __init__(self, rng: random.Random) -> None:
        spec = find_spec("codespell_lib")
        if spec is None or not spec.origin:
            raise SystemExit("codespell is missing. Run `pip install codespell`.")
        self._rng, self._wrong = rng, dict[str, list[str]]()
        for line in (Path(spec.origin).parent / "data" / "dictionary.txt").read_text("utf-8").splitlines():
            wrong, _, right = line.partition("->")
            if wrong.isalpha() and right.isalpha():
                self._wrong.setdefault(right, []).append(wrong)

    def misspell(self, text: str) -> str:
        """Return a text with one misspelled word, or the same text if it has only short words."""
        candidates = [each for each in WORD.finditer(text) if len(each[0]) > SHORT]
        if not candidates:
            return text
        listed = [each for each in candidates if each[0].lower() in self._wrong]
        word = self._rng.choice(listed or candidates)
        if listed:
            wrong = self._rng.choice(self._wrong[word[0].lower()])
            wrong = wrong.upper() if word[0].isupper() else wrong.title() if word[0].istitle() else wrong
        else:
            wrong = self._mistype(word[0])
        return text[: word.start()] + wrong + text[word.end() :]

    def vary(self, text: str) -> str:
        """Return a text that differs in case, white space or the plural; mostly a misspelling."""
        ways: list[Callable[[str], str]] = [
            str.lower, str.title, lambda old: old.replace(" ", "_"), lambda old: old.replace("_", " "),
            lambda old: old.removesuffix("s") if old.endswith("s") else f"{old}s", str.upper,
        ]  # fmt: skip
        varied = self._rng.choice(ways)(text) if self._rng.random() < 0.3 else text  # noqa: PLR2004
        return self.misspell(text) if varied == text else varied

    def _mistype(self, word: str) -> str:
        at = self._rng.randrange(max(1, len(word) - 1))
        swapped = word[:at] + word[at + 1 : at + 2] + word[at : at + 1] + word[at + 2 :]
        omitted, doubled = word[:at] + word[at + 1 :], word[: at + 1] + word[at:]
        ways = [each for each in (swapped, omitted, doubled) if each != word]
        return self._rng.choice(ways)


# Faults -----------------------------------------------------------------------------------------------------


@dataclass
class State:
    """A notebook before one of its cells runs."""

    cells: Sequence[str]  # code only
    number: int
    look: dict[str, Any]
    typist: Typist
    conventional: set[str]  # import lines that several notebooks contain
    failed: set[int]  # cells above that raise an error unchanged

    @property
    def source(self) -> str:
        """The cell."""
        return self.cells[self.number]

    def replaced(self, node: ast.AST, old: str, new: str, *, last: bool = False) -> str:
        """Return the cell with a part of a node replaced."""
        start, end = (
            sum(len(line) + 1 for line in self.source.split("\n")[: line - 1])
            + len(self.source.split("\n")[line - 1].encode()[:column].decode())
            for line, column in ((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset))  # type: ignore[attr-defined]
        )
        found = (self.source.rfind if last else self.source.find)(old, start, end)
        return self.source if found < 0 else self.source[:found] + new + self.source[found + len(old) :]


def misspelled(state: State) -> Iterator[Case]:
    """Yield the cell with one misspelling."""
    look = state.look
    labels = {each for known in (look["frames"], look["dicts"]) for some in known.values() for each in some}
    for node in ast.walk(ast.parse(state.source)):
        kind, old, last, change = "", "", False, state.typist.misspell
        match node:
            case ast.Name(id=old, ctx=ast.Load()):
                kind = "name"
            case ast.Attribute(attr=old, ctx=ast.Load()):
                kind, last = "attribute", True
            case ast.keyword(arg=str(old)):
                kind = "keyword"
            case ast.Constant(value=str(old)) if old in labels:
                kind, change = "column", state.typist.vary
            case ast.Constant(value=str(name)) if "\n" not in name and Path(look["cwd"], name).is_file():
                kind, old, last, change = "file", Path(name).stem, True, state.typist.vary
            case ast.Import() | ast.ImportFrom():
                words = re.findall(r"\w{4,}", ast.unparse(node).replace("import", "").replace("from", ""))
                kind, old = "module", words[len(state.source) % len(words)] if words else ""
        if kind and len(old) > SHORT < len(wrong := change(old)) and wrong != old:
            source = state.replaced(node, old, wrong, last=last)
            yield Case(kind, source, [state.source], wrong if kind == "column" else "")


def syntax(source: str) -> Iterator[str]:
    """Yield the cell with one syntax error."""
    lines = source.split("\n")
    starts = [0]
    for each in lines:
        starts.append(starts[-1] + len(each) + 1)
    tokens = [*tokenize.generate_tokens(io.StringIO(source).readline)]
    ends = (tokenize.NEWLINE, tokenize.COMMENT)
    for token, after in pairwise(tokens):
        start, end = starts[token.start[0] - 1] + token.start[1], starts[token.end[0] - 1] + token.end[1]
        text, line = token.string, token.start[0] - 1
        if (text in (":", ")", "]", "}") and after.type in ends) or text == ",":
            yield source[:start] + source[end:]
        elif text == "==":
            yield f"{source[:start]}={source[end:]}"
        elif token.type == tokenize.STRING and text[0] in "'\"" and text[:3] not in ('"""', "'''"):
            yield source[: end - 1] + source[end:]
        elif token.type == tokenize.INDENT:
            if (line + 1 == len(lines)) or not lines[line + 1].startswith(text):
                yield "\n".join([*lines[:line], lines[line].removeprefix(text), *lines[line + 1 :]])
            else:
                yield "\n".join([*lines[: line + 1], "\t" + lines[line + 1][len(text) :], *lines[line + 2 :]])
        elif text == "print" and (call := re.fullmatch(r"(\s*)print\((.+)\)", lines[line])):
            yield "\n".join([*lines[:line], f"{call[1]}print {call[2]}", *lines[line + 1 :]])
        elif token.type == tokenize.NAME and token.start[1] == 0 and line:
            yield f"{source[:start]} {source[start:]}"


def parses(source: str) -> bool:
    """Return whether Python can parse a cell."""
    with suppress(SyntaxError, ValueError):
        compile(source, "", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)
        return True
    return False


def bindings(source: str) -> dict[str, ast.stmt]:
    """Return the names that a cell binds at its top level, with their statements."""
    found: dict[str, ast.stmt] = {}
    for statement in ast.parse(source).body:
        match statement:
            case ast.Import() | ast.ImportFrom():
                found |= {(each.asname or each.name).partition(".")[0]: statement for each in statement.names}
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                found[name] = statement
            case ast.Assign(targets=[ast.Name(id=name)]):
                found[name] = statement
    return found


def unbound(state: State) -> Iterator[Case]:
    """Yield the cell without a name: its import line is deleted, or its cell was not run or has changed."""
    used = {each.id for each in ast.walk(ast.parse(state.source)) if isinstance(each, ast.Name)}
    used -= {*bindings(state.source)}
    above = [as_python(cell) for cell in state.cells[: state.number]]
    bound = [bindings(cell) if parses(cell) else {} for cell in above]
    for name in sorted(used & {*state.look["names"]}):
        numbers = [number for number, each in enumerate(bound) if name in each]
        if len(numbers) != 1 or numbers[0] in state.failed:
            continue
        number = numbers[0]
        statement = bound[number][name]
        if not isinstance(statement, ast.Import | ast.ImportFrom):
            names = [*bound[number]]
            change = {"execution_count": None} if len(name) % 2 else {"changed": True}
            yield Case("run", state.source, [state.source], forget=names, cells={number: change})
        elif len(statement.names) == 1 and (line := ast.unparse(statement)) in state.conventional:
            rest = "\n".join(each for each in state.cells[number].split("\n") if each.strip() != line)
            if rest != state.cells[number]:
                right = f"{line}\n{state.source}"
                yield Case("import", state.source, [right], forget=[name], cells={number: {"source": rest}})


def written(state: State, rng: random.Random) -> Iterator[Case]:
    """Yield the errors of `fixes.json` with the names of the notebook."""
    fit = re.compile(r"[^'\\{}\n]{5,}")
    frames = {name: [*filter(fit.fullmatch, columns)] for name, columns in state.look["frames"].items()}
    frames = {name: columns for name, columns in frames.items() if columns and len(name) > 1}
    names = [each for each in state.look["names"] if len(each) > SHORT + 1]
    if not frames or not names:
        return
    frame, name = rng.choice([*frames]), rng.choice(names)
    column, plain = rng.choice(frames[frame]), [each for each in frames[frame] if each.isidentifier()]
    typo = state.typist.misspell(column)
    words = {
        "frame": frame, "column": column, "typo": typo, "name": name, "typoname": state.typist.misspell(name),
        "half": typo[:2], "rest": typo[2:],
    }  # fmt: skip
    if plain:
        words |= {"column0": plain[0], "typo0": state.typist.misspell(plain[0])}
    for kind, templates in DATA["silent"].items():
        for template in templates:
            with suppress(KeyError):
                yield Case(f"silent: {kind}", template.format(**words), changed=kind == "changed")
    for kind in ("api", "everyday"):
        for old, new in DATA[kind]:
            with suppress(KeyError):
                yield Case(kind, old.format(**words), [each.format(**words) for each in new])
    for module, package in DATA["install"].items():
        source = f"import {module}"
        yield Case("install", source, [source], install=package)


def cases(state: State, rng: random.Random) -> list[Case]:
    """Return the cases of a cell, in random order."""
    found = [*unbound(state), *written(state, rng)]
    found += misspelled(state)
    with suppress(tokenize.TokenError, IndentationError):
        found += [Case("syntax", each, [state.source]) for each in syntax(state.source) if not parses(each)]
    rng.shuffle(found)
    return [each for each in found if each.source != state.source or each.forget]


def same(one: str, other: str) -> bool:
    """Return whether two cells are the same code."""
    if parses(plain := as_python(one)) and parses(as_python(other)):
        return ast.dump(ast.parse(plain)) == ast.dump(ast.parse(as_python(other)))
    return one == other


# Renames ----------------------------------------------------------------------------------------------------


def renames(
    notebooks: Sequence[TypedNotebook], count: int, rng: random.Random
) -> Iterator[tuple[Case, dict[str, Any]]]:
    """Yield renames with their requests: three with the uses that Jedi finds, then one without an offer."""
    kinds, seen = list(SILENT_RENAMES), set[str]()
    for _ in range(count):
        each = rng.choice(notebooks)
        sources = [cell.source for cell in each.cells if cell.type == "code" and parses(cell.source)]
        script = jedi.Script("\n".join(sources))
        names = [name for name in script.get_names(all_scopes=True) if len(name.name) > 1]
        for name in rng.sample(names, min(len(names), 20)):
            with suppress(Exception):  # Jedi fails on some code
                uses = script.get_references(name.line, name.column, scope="file")
                places = {place(sources, use) for use in uses if use.name == name.name}
                if len(places) > 1 and all(each.name == name.name for each in uses):
                    kind = "" if rng.random() < POSITIVE else rng.choice(kinds)
                    found = rename(kind, each.name, sources, name, uses, rng)
                    if found and found[0].notebook not in seen:
                        seen.add(found[0].notebook)
                        yield found
                        break


def place(sources: Sequence[str], name: Any) -> tuple[int, int]:
    """Return the cell and the offset of one of Jedi's names."""
    line = name.line - 1
    for number, source in enumerate(sources):
        lines = source.split("\n")
        if line < len(lines):
            return number, sum(len(each) + 1 for each in lines[:line]) + name.column
        line -= len(lines)
    raise ValueError(name)


def rename(
    kind: str, notebook: str, sources: list[str], name: Any, uses: list[Any], rng: random.Random
) -> tuple[Case, dict[str, Any]] | None:
    """Return a rename and its request, or None if this name does not fit."""
    old, new = name.name, f"{name.name}_{rng.choice(('table', 'total', 'part'))}"
    places, active, start = {place(sources, use) for use in uses}, *place(sources, name)
    bound = sum(use.is_definition() for use in uses)
    if not kind and bound > 1 and rng.random() > POSITIVE:
        kind = "two bindings"
    if not name.is_definition() or (kind == "two bindings") != (bound > 1):
        return None
    before, spans = sources[active], [(start, len(old))]
    if re.search(r"(?:^|\n) *(?:import|from)\b[^\n(]*(?:\([^)]*)?(?<! as )\Z", before[:start]):
        kind = "module"  # this name cannot be chosen
    if kind == "used":
        nodes = (node for source in sources for node in ast.walk(ast.parse(source)))
        new = rng.choice(sorted({node.id for node in nodes if isinstance(node, ast.Name)} - {old}))
    elif kind == "use":
        spans = [(at, len(old)) for cell, at in places if cell == active and at != start][:1]
    elif SILENT_RENAMES.get(kind):
        other = other_name(kind, before, old)
        spans = other + (spans if kind == "two names" and other else [])
    edited = edit(before, spans, old, new)
    if kind == "does not parse":
        edited += "\n("
    if edited == before:
        return None
    cells = [*sources[:active], edited, *sources[active + 1 :]]
    label, origin = f"rename: {kind}" if kind else "rename", f"{notebook}, cell {active}: {old} -> {new}"
    case = Case(label, before, notebook=origin, spot=(start, old, new))
    if not kind:
        case.right = [
            replace(source, [at for cell, at in places if cell == number], old, new)
            for number, source in enumerate(sources)
        ]
    return case, {
        "path": "Notebook.ipynb",
        "kernel_id": None,
        "active": active,
        "before": before,
        "cells": [
            {"type": "code", "source": source, "execution_count": number}
            for number, source in enumerate(cells, 1)
        ],
    }


def other_name(kind: str, source: str, old: str) -> list[tuple[int, int]]:
    """Return the offset and the length of another name, or an empty list."""
    found = [each.span(1) for each in re.finditer(SILENT_RENAMES[kind], source) if each[1] != old]
    return [(start, end - start) for start, end in found[:1]]


def edit(source: str, spans: Sequence[tuple[int, int]], old: str, new: str) -> str:
    """Return a cell with the old name changed to the new one, and other names changed, too."""
    for at, length in sorted(spans, reverse=True):
        text = source[at : at + length]
        source = source[:at] + (new if text == old else f"{text}_new") + source[at + length :]
    return source


def replace(source: str, places: Sequence[int], old: str, new: str) -> str:
    """Return a cell with a name replaced at some places."""
    for at in sorted(places, reverse=True):
        source = source[:at] + new + source[at + len(old) :]
    return source
