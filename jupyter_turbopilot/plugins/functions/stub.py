"""The head of a function to generate: from the user's instruction or `def`, or from calls. Pure."""

from __future__ import annotations

import ast
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from textwrap import dedent
from typing import TYPE_CHECKING

from jupyter_turbopilot.analysis.languages import cell_magic
from jupyter_turbopilot.analysis.scopes import Scopes
from jupyter_turbopilot.plugins.functions.parsing import (
    Function,
    is_empty,
    only_function,
    parsed,
    readable,
)
from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.util.bounds import STATEMENT

if TYPE_CHECKING:
    from jupyter_turbopilot.analysis.calls import MissingFunction

LONGEST_QUOTE = 100  # characters of a call in the comment
_DEFINES = re.compile(r"^(?:class|(?:async[ \t]++)?def)\b", re.MULTILINE)
_CLASS = "Only functions can be generated, not classes. Give a `def` line, or describe what it should do."
_CALL = re.compile(r"\A[^\W\d]\w*+\([^()]*+\)")
_NAME = re.compile(r"\bdef[ \t]++\w++")
_LINE_END = re.compile(r"\r\n?+")
_LEADING = re.compile(r"^[ \t]++", re.MULTILINE)
_INDENT = "    "


@dataclass(frozen=True)
class Stub:
    """The head of a function: comments, decorators, the `def` line, a docstring, the start of its body."""

    name: str
    head: str  # without a newline at its end
    indent: str = _INDENT  # of its body

    @property
    def beginning(self) -> str:
        """The text before the body."""
        return f"{self.head}\n{self.indent}"

    @property
    def signature(self) -> str:
        """The name and the parameters in one line."""
        node = only_function(parsed(self.unwritten))
        with suppress(ValueError, RecursionError):  # a default has too many digits, or is nested too deeply
            return f"{node.name}({ast.unparse(node.args)})" if node else self.name
        return self.name

    def named(self, name: str) -> Stub:
        """Return the stub with another name, if its last line is the `def`."""
        above, _, line = self.head.rpartition("\n")
        return replace(self, name=name, head=f"{above}\n{_NAME.sub(f'def {name}', line, count=1)}")

    @property
    def unwritten(self) -> str:
        """The function with a body that raises NotImplementedError."""
        return f"{self.beginning}# The model generated no body.\n{self.indent}raise NotImplementedError"


@dataclass(frozen=True)
class Instruction:
    """The user's request: a stub, or an instruction as a comment above a `def` to generate."""

    above: str  # code above the function
    stub: Stub | None = None
    comment: str = ""

    @property
    def beginning(self) -> str:
        """The text before a name and parameters to generate."""
        return f"{self.comment}\ndef"


def parse_instruction(source: str) -> Instruction:
    """Parse an instruction or a stub; raise BadRequestError for a stub that does not parse."""
    # A text that was pasted may contain half of a surrogate pair.
    whole = source[: STATEMENT + 1].encode("utf-8", "replace").decode()
    text = _LEADING.sub(lambda indent: indent[0].expandtabs(), _LINE_END.sub("\n", whole).rstrip())
    if not text or "\0" in text:
        raise BadRequestError("Write an instruction, or a `def` line.", field="source")
    if max(len(source), len(text)) > STATEMENT:  # tabs become several spaces
        raise BadRequestError(
            f"The instruction is longer than {STATEMENT} characters. Shorten it to what the function "
            "should do.",
            field="source",
        )
    if not _DEFINES.search(text):
        return _instruction(text)
    if magic := cell_magic(text):
        raise BadRequestError(f"Remove `%%{magic}` above the `def`.", field="source")
    return _stub(text)


def _instruction(text: str) -> Instruction:
    """Return an instruction as a comment; one that begins with a call (`mean(xs) returns …`) has a head."""
    lines = [
        line.strip().lstrip("#").strip() if line.lstrip().startswith("#") else line
        for line in dedent(text).strip("\n").split("\n")
    ]
    instruction = Instruction("", comment="\n".join(f"# {line}".rstrip() for line in lines))
    call = _CALL.match(lines[0].lstrip())
    return replace(instruction, stub=stub_with_head(instruction, f" {call[0]}:")) if call else instruction


def _stub(text: str) -> Instruction:
    """Return a stub, or the instruction if it only begins with "class"."""
    *_, defines = _DEFINES.finditer(text)
    python = readable(text[: defines.start()]) + text[defines.start() :]
    lines = text.split("\n")
    indent = lines[-1][: len(lines[-1]) - len(lines[-1].lstrip())]
    try:
        tree, end = _completed(python, indent)
    except SyntaxError as error:
        if defines[0] == "class":
            return _instruction(text)
        raise BadRequestError(
            f"Line {error.lineno or 1} does not parse ({error.msg}). Write one `def` line with its colon, "
            "optionally a docstring below it, and nothing after them.",
            field="source",
        ) from None
    if not (node := only_function(tree)):
        message = f"Line {tree.body[-1].lineno} follows the function. Delete it, or move it above the `def`."
        raise BadRequestError(_CLASS if isinstance(tree.body[-1], ast.ClassDef) else message, field="source")
    _refuse_stubs(tree.body[:-1])
    first, last = node.body[0], node.body[-1]
    if not end:
        before, statement = _split(lines[first.lineno - 1], first.col_offset)
        if before.strip():  # statements follow the colon: put them into the next line
            lines[first.lineno - 1] = f"{before.rstrip()}\n{_INDENT}{statement}"
            return _stub("\n".join(lines))
        is_docstring = last is first and ast.get_docstring(node)
        if is_empty(last) and not (
            is_docstring or _split(lines[last.lineno - 1], last.col_offset)[0].strip()
        ):
            del lines[last.lineno - 1 :]  # `pass` or `...`
    begins = above = (tree.body[-2].end_lineno or 0) if len(tree.body) > 1 else 0
    while begins < node.lineno - 1 and (not lines[begins].strip() or lines[begins].lstrip().startswith("#")):
        begins += 1
    while begins > above and lines[begins - 1].startswith("#"):
        begins -= 1
    width = len(end.removesuffix("pass")) - 1 if end else first.col_offset
    stub = Stub(node.name, "\n".join(lines[begins:]).rstrip(), " " * width)
    if not parsed(stub.unwritten):
        raise BadRequestError(
            "The stub does not parse with a body below it, or is too long. Write one `def` line with its "
            "colon, optionally a docstring below it.",
            field="source",
        )
    return Instruction("\n".join(lines[:begins]).strip("\n"), stub)


def _refuse_stubs(above: list[ast.stmt]) -> None:
    for each in above:
        if isinstance(each, Function) and not each.decorator_list and all(map(is_empty, each.body)):
            raise BadRequestError(
                f"Write one stub per cell: the function in line {each.lineno} has no body. "
                "Add one, or generate it first, in its own cell.",
                field="source",
            )


def _completed(python: str, indent: str) -> tuple[ast.Module, str]:
    """Return the tree of a stub, and the text that completes it; raise the stub's own error otherwise."""
    errors: list[SyntaxError] = []
    # Possible endings: after a colon, a comment, a docstring, or statements.
    for end in ("", f"\n{indent}pass", f"\n{indent}{_INDENT}pass", f"\n{_INDENT}pass"):
        try:
            return Scopes(python + end).tree, end
        except SyntaxError as error:
            errors.append(error)
    raise errors[0]


def _split(line: str, column: int) -> tuple[str, str]:
    """Split a line at a column of a syntax tree, which counts bytes."""
    return line.encode()[:column].decode(), line.encode()[column:].decode()


def stub_with_head(instruction: Instruction, written: str) -> Stub | None:
    """Return the stub completed by the text after `def`; None if that is not a valid head."""
    head = f"def{written}".partition("\n")[0].rstrip().removesuffix(":")
    node = only_function(parsed(f"{head}:\n{_INDENT}pass"))
    return Stub(node.name, f"{instruction.comment}\n{head}:") if node else None


def stub_for(missing: MissingFunction, source: str) -> Stub:
    """Return the stub of a missing function; a comment quotes the first call."""
    call = " ".join(missing.calls[0].source.split())
    quoted = call if len(call) <= LONGEST_QUOTE else f"{call[:LONGEST_QUOTE]}…"
    is_awaited = any(_awaits(node, missing.name) for node in ast.walk(Scopes(source).tree))
    define = "async def" if is_awaited else "def"
    return Stub(missing.name, f"# Called as {quoted}\n{define} {missing.name}({missing.signature}):")


def _awaits(node: ast.AST, name: str) -> bool:
    """Return whether a node awaits the result of a call."""
    match node:
        case ast.Await(value=ast.Call(func=ast.Name(id=called))):
            return called == name
    return False
