"""The head of a function to generate: from the user's instruction or `def`, or from calls. Pure."""

from __future__ import annotations

import ast
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import TYPE_CHECKING

from jupyter_turbopilot.context.languages import as_python, cell_magic
from jupyter_turbopilot.plugins.functions.parsing import (
    FAILURES,
    Function,
    is_empty,
    only_function,
    parsed,
    readable,
    syntax_of,
    tree_of,
)
from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.util.bounds import STATEMENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.suggestion.calls import MissingFunction

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
        with suppress(*FAILURES):  # a default may be a number with too many digits
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
    text = _LINE_END.sub("\n", source[: STATEMENT + 1]).rstrip()
    text = _LEADING.sub(lambda indent: indent[0].expandtabs(), text)
    if not text or "\0" in text:
        raise BadRequestError("Write an instruction, or a `def` line.", field="source")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise BadRequestError(
            "The text contains half of a surrogate pair. Delete that character, or type it again.",
            field="source",
        )
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
    return _stub(text) or _instruction(text)


def _instruction(text: str) -> Instruction:
    """Return an instruction as a comment; one that begins with a call (`mean(xs) returns …`) has a head."""
    lines = text.split("\n")
    # `textwrap.dedent` compiles the margin as a pattern.
    margin = min(len(line) - len(line.lstrip(" ")) for line in lines if line.strip())
    dedented = "\n".join(line[margin:].rstrip() for line in lines).strip("\n")
    lines = [
        line.strip().lstrip("#").strip() if line.lstrip().startswith("#") else line
        for line in dedented.split("\n")
    ]
    instruction = Instruction("", comment="\n".join(f"# {line}".rstrip() for line in lines))
    call = _CALL.match(lines[0].lstrip())
    return replace(instruction, stub=stub_with_head(instruction, f" {call[0]}:")) if call else instruction


def _stub(text: str) -> Instruction | None:
    """Return a stub; None for an instruction that begins with "class"."""
    *_, defines = _DEFINES.finditer(text)
    whole = parsed(text)
    python = text if whole else as_python(text[: defines.start()]) + text[defines.start() :]
    last = text.rpartition("\n")[2]
    indent = last[: len(last) - len(last.lstrip())]
    # Possible endings: after a colon, a comment, a docstring, or statements.
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
                f"Write one stub per cell: the function in line {each.lineno} has no body. "
                "Add one, or generate it first, in its own cell.",
                field="source",
            )
    lines = text.split("\n")
    begins = _begin(lines, tree, node)
    above, head = "\n".join(lines[:begins]).strip("\n"), "\n".join(lines[begins:])
    width = len(end.removesuffix("pass")) - 1 if end else node.body[0].col_offset
    if not end and is_empty(last_one := node.body[-1]) and not _is_docstring(node, last_one):
        # Drop `pass` or `...`, if it has its own line.
        if len(node.body) == 1 or (node.body[-2].end_lineno or 0) < last_one.lineno:
            head = "\n".join(lines[begins : last_one.lineno - 1])
        del node.body[-1]
    stub = Stub(node.name, head.rstrip(), " " * width)
    try:
        if not parsed(stub.unwritten):  # text follows the colon
            comments = takewhile(lambda line: line.startswith("#"), lines[begins:])
            stub = Stub(node.name, "\n".join([*comments, ast.unparse(node)]))
        tree_of(readable(above))
        tree_of(stub.unwritten)
    except FAILURES:
        raise BadRequestError(
            "The stub, or the code above it, is too long or nested too deeply. Shorten it: code in the cells "
            "above can be used as well.",
            field="source",
        ) from None
    return Instruction(above, stub)


def _refusal(sources: Sequence[str]) -> str:
    """Return why none of these sources ends with a function, by the error furthest down."""
    line, why = 0, "too long or nested too deeply"
    for source in sources:
        try:
            *_, last = tree_of(source).body
        except SyntaxError as error:
            if (error.lineno or 0) > line:
                line, why = error.lineno or 0, error.msg
        else:
            message = f"Line {last.lineno} follows the function. Delete it, or move it above the `def`."
            return _CLASS if isinstance(last, ast.ClassDef) else message
    where = f"Line {line}" if line else "The stub"
    return (
        f"{where} does not parse ({why}). Write one `def` line with its colon, optionally a docstring below "
        "it, and nothing after them."
    )


def _begin(lines: list[str], tree: ast.Module, node: Function) -> int:
    """Return the index of a function's first line, including its decorators and the comment above it."""
    end = (tree.body[-2].end_lineno or 0) if len(tree.body) > 1 else 0
    begins = end
    while begins < node.lineno - 1 and (not lines[begins].strip() or lines[begins].lstrip().startswith("#")):
        begins += 1
    while begins > end and lines[begins - 1].startswith("#"):
        begins -= 1
    return begins


def _is_docstring(node: Function, statement: ast.stmt) -> bool:
    return statement is node.body[0] and ast.get_docstring(node, clean=False) is not None


def stub_with_head(instruction: Instruction, written: str) -> Stub | None:
    """Return the stub completed by the text after `def`; None if that is not a valid head."""
    head = f"def{written}".partition("\n")[0].rstrip().removesuffix(":")
    node = only_function(parsed(f"{head}:\n{_INDENT}pass"))
    return Stub(node.name, f"{instruction.comment}\n{head}:") if node else None


def stub_for(missing: MissingFunction, source: str) -> Stub:
    """Return the stub of a missing function; a comment quotes the first call."""
    call = " ".join(missing.calls[0].source.split())
    quoted = call if len(call) <= LONGEST_QUOTE else f"{call[:LONGEST_QUOTE]}…"
    define = "async def" if _is_awaited(missing.name, source) else "def"
    return Stub(missing.name, f"# Called as {quoted}\n{define} {missing.name}({missing.signature}):")


def _is_awaited(name: str, source: str) -> bool:
    """Return whether the results of calls are awaited."""
    awaited = (node.value for node in ast.walk(syntax_of(source)) if isinstance(node, ast.Await))
    return any(
        isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == name
        for call in awaited
    )
