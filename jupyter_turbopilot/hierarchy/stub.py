"""The head of a function, below which its body is written: from a person's words, or from calls. Pure."""

from __future__ import annotations

import ast
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import takewhile
from textwrap import dedent
from typing import TYPE_CHECKING

from jupyter_turbopilot.bounds import STATEMENT
from jupyter_turbopilot.context.languages import as_python, cell_magic
from jupyter_turbopilot.errors import BadRequestError
from jupyter_turbopilot.hierarchy.parsing import (
    FAILURES,
    Function,
    accepted,
    is_empty,
    only_function,
    parsed,
    readable,
    syntax_of,
    tree_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.suggestion.calls import MissingFunction

LONGEST_QUOTE = 100  # characters of a call that are quoted
_DEFINES = re.compile(r"^(?:class|(?:async[ \t]++)?def)\b", re.MULTILINE)
_CLASS = "Classes are not written, only functions. Give the `def` line of one, or say in words what it does."
_CALL = re.compile(r"\A[^\W\d]\w*+\([^()]*+\)")
_NAME = re.compile(r"\bdef[ \t]++\w++")
_LINE_END = re.compile(r"\r\n?+")
_LEADING = re.compile(r"^[ \t]++", re.MULTILINE)
_INDENT = "    "


@dataclass(frozen=True)
class Stub:
    """The head of a function: comments, decorators, the `def` line, a docstring, a first part of its body."""

    name: str
    head: str  # without a newline at its end
    indent: str = _INDENT  # of its body

    @property
    def beginning(self) -> str:
        """The text behind which the body is to be written."""
        return f"{self.head}\n{self.indent}"

    @property
    def signature(self) -> str:
        """The name and the parameters, in one line."""
        node = only_function(parsed(self.unwritten))
        with suppress(*FAILURES):  # a default may be a number with too many digits
            return f"{node.name}({ast.unparse(node.args)})" if node else self.name
        return self.name

    def named(self, name: str) -> Stub:
        """Return the same stub under another name, if its last line is its `def`."""
        above, _, line = self.head.rpartition("\n")
        return replace(self, name=name, head=f"{above}\n{_NAME.sub(f'def {name}', line, count=1)}")

    @property
    def unwritten(self) -> str:
        """The function as a source that parses and says that it has no body."""
        return f"{self.beginning}# The model wrote no body.\n{self.indent}raise NotImplementedError"


@dataclass(frozen=True)
class Asked:
    """What a person asked for: a stub, or an instruction as a comment above a `def` that is not there yet."""

    above: str  # code that stands above the function
    stub: Stub | None = None
    comment: str = ""

    @property
    def beginning(self) -> str:
        """The text behind which a name and parameters are to be written."""
        return f"{self.comment}\ndef"


def read_asked(source: str) -> Asked:
    """Read an instruction or a stub; say what is wrong with a stub that does not parse."""
    text = _LINE_END.sub("\n", source).rstrip()
    text = _LEADING.sub(lambda indent: indent[0].expandtabs(), text)
    if not text or "\0" in text:
        raise BadRequestError("Write an instruction, or a `def` line.", field="source")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise BadRequestError("Half a character is in the text. Delete it, or type it again.", field="source")
    if len(source) > STATEMENT:
        raise BadRequestError(
            f"The instruction has more than {STATEMENT} characters. Shorten it to what the function "
            "has to do.",
            field="source",
        )
    if not _DEFINES.search(text):
        return _instruction(text)
    if magic := cell_magic(text):
        raise BadRequestError(f"Give the `def` without `%%{magic}` above it.", field="source")
    return _stub(text) or _instruction(text)


def _instruction(text: str) -> Asked:
    """Return an instruction as a comment; one that begins with a call, `mean(xs) returns …`, has a head."""
    lines = [
        line.strip().lstrip("#").strip() if line.lstrip().startswith("#") else line.rstrip()
        for line in dedent(text).strip("\n").split("\n")
    ]
    asked = Asked("", comment="\n".join(f"# {line}".rstrip() for line in lines))
    call = _CALL.match(lines[0].lstrip())
    return replace(asked, stub=stub_with_head(asked, f" {call[0]}:")) if call else asked


def _stub(text: str) -> Asked | None:
    """Return a stub; None for words that begin with "class"."""
    *_, defines = _DEFINES.finditer(text)
    whole = parsed(text)
    python = text if whole else as_python(text[: defines.start()]) + text[defines.start() :]
    last = text.rpartition("\n")[2]
    indent = last[: len(last) - len(last.lstrip())]
    # Behind a colon, a comment, a docstring, or statements.
    ends = ("", f"\n{indent}pass", f"\n{indent}{_INDENT}pass", f"\n{_INDENT}pass")
    for end in ends:
        tree = (not end and whole) or parsed(python + end)
        if tree and (node := only_function(tree)):
            break
    else:
        refused = _refusal([f"{python}{end}" for end in ends])
        if defines[0] == "class" and refused != _CLASS:
            return None
        raise BadRequestError(refused, field="source")
    for each in tree.body[:-1]:
        if isinstance(each, Function) and not each.decorator_list and all(map(is_empty, each.body)):
            raise BadRequestError(
                f"Write one stub in a cell: the function in line {each.lineno} has no body. "
                "Give it one, or write it first, in a cell of its own.",
                field="source",
            )
    lines = text.split("\n")
    begins = _begin(lines, tree, node)
    above, head = "\n".join(lines[:begins]).strip("\n"), "\n".join(lines[begins:])
    width = len(end.removesuffix("pass")) - 1 if end else node.body[0].col_offset
    if not end and is_empty(last_one := node.body[-1]) and not _is_docstring(node, last_one):
        # Without `pass` or `...`, if that has a line for itself.
        if len(node.body) == 1 or (node.body[-2].end_lineno or 0) < last_one.lineno:
            head = "\n".join(lines[begins : last_one.lineno - 1])
        del node.body[-1]
    stub = Stub(node.name, head.rstrip(), " " * width)
    try:
        if not parsed(stub.unwritten):  # something stands behind the colon
            comments = takewhile(lambda line: line.startswith("#"), lines[begins:])
            stub = Stub(node.name, "\n".join([*comments, ast.unparse(node)]))
        accepted(readable(above))
        accepted(stub.unwritten)
    except FAILURES:
        raise BadRequestError(
            "The stub, or the code above it, is too long or nested too deeply. Give less of it: what stands "
            "in cells above exists as well.",
            field="source",
        ) from None
    return Asked(above, stub)


def _refusal(sources: Sequence[str]) -> str:
    """Say why none of these ends with a function; of their errors the one counts that comes last."""
    line, why = 0, "too long or nested too deeply"
    for source in sources:
        try:
            *_, last = tree_of(source).body
        except SyntaxError as error:
            if (error.lineno or 0) > line:
                line, why = error.lineno or 0, error.msg
        else:
            behind = f"Line {last.lineno} stands behind the function. Delete it, or put it above the `def`."
            return _CLASS if isinstance(last, ast.ClassDef) else behind
    where = f"Line {line}" if line else "The stub"
    return (
        f"{where} does not parse ({why}). Write one `def` line with its colon, below it a docstring if you "
        "like, and nothing after it."
    )


def _begin(lines: list[str], tree: ast.Module, node: Function) -> int:
    """Return the index of the line where a function begins, with its decorators and the comment above it."""
    end = (tree.body[-2].end_lineno or 0) if len(tree.body) > 1 else 0
    begins = end
    while begins < node.lineno - 1 and (not lines[begins].strip() or lines[begins].lstrip().startswith("#")):
        begins += 1
    while begins > end and lines[begins - 1].startswith("#"):
        begins -= 1
    return begins


def _is_docstring(node: Function, statement: ast.stmt) -> bool:
    return statement is node.body[0] and ast.get_docstring(node, clean=False) is not None


def stub_with_head(asked: Asked, written: str) -> Stub | None:
    """Return the stub with what was written behind `def`; None where that is no head."""
    head = f"def{written}".partition("\n")[0].rstrip().removesuffix(":")
    node = only_function(parsed(f"{head}:\n{_INDENT}pass"))
    return Stub(node.name, f"{asked.comment}\n{head}:") if node else None


def stub_for(missing: MissingFunction, source: str) -> Stub:
    """Return the stub of a function that a source calls; a comment quotes the first call."""
    call = " ".join(missing.calls[0].source.split())
    quoted = call if len(call) <= LONGEST_QUOTE else f"{call[:LONGEST_QUOTE]}…"
    define = "async def" if _is_awaited(missing.name, source) else "def"
    return Stub(missing.name, f"# Called as {quoted}\n{define} {missing.name}({missing.signature}):")


def _is_awaited(name: str, source: str) -> bool:
    """Tell whether the results of calls are awaited."""
    awaited = (node.value for node in ast.walk(syntax_of(source)) if isinstance(node, ast.Await))
    return any(
        isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == name
        for call in awaited
    )
