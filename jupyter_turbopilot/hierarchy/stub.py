"""The head of a function, below which its body is written: from a person's words, or from calls. Pure."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from jupyter_turbopilot.bounds import STATEMENT
from jupyter_turbopilot.errors import BadRequestError
from jupyter_turbopilot.hierarchy.parsing import first_line, is_empty, only_function, parsed

if TYPE_CHECKING:
    from jupyter_turbopilot.suggestion.calls import MissingFunction

LONGEST_QUOTE = 100  # characters of a call that are quoted
_DEFINES = re.compile(r"^(?:async[ \t]++)?def\b", re.MULTILINE)
_CALL = re.compile(r"\A[^\W\d]\w*+\([^()]*+\)")
_NAME = re.compile(r"\bdef[ \t]++\w++")
_LINE_END = re.compile(r"\r\n?+")
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
        return f"{node.name}({ast.unparse(node.args)})" if node else self.name

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
    text = _LINE_END.sub("\n", source).expandtabs().rstrip().lstrip("\n")
    if not text or "\0" in text:
        raise BadRequestError("Write an instruction, or a `def` line.", field="source")
    if len(source) > STATEMENT:
        raise BadRequestError(
            f"The instruction has more than {STATEMENT} characters. Shorten it to what the function "
            "has to do.",
            field="source",
        )
    if not _DEFINES.search(text):
        return _instruction([line.strip().lstrip("#").strip() for line in text.strip().split("\n")])
    return _stub(text)


def _instruction(lines: list[str]) -> Asked:
    """Return an instruction as a comment; one that begins with a call, `mean(xs) returns …`, has a head."""
    asked = Asked("", comment="\n".join(f"# {line}".rstrip() for line in lines))
    call = _CALL.match(lines[0])
    return replace(asked, stub=stub_with_head(asked, f" {call[0]}:")) if call else asked


def _stub(text: str) -> Asked:
    last = text.rpartition("\n")[2]
    indent = last[: len(last) - len(last.lstrip())]
    # Behind a colon, a comment, a docstring, or statements.
    for end in ("", f"\n{indent}pass", f"\n{indent}{_INDENT}pass", f"\n{_INDENT}pass"):
        tree = parsed(text + end)
        if tree and (node := only_function(tree)):
            break
    else:
        raise BadRequestError(
            "The stub does not parse. Write one `def` line with its colon, below it a docstring if you like, "
            "and nothing behind them.",
            field="source",
        )
    lines = text.split("\n")
    begins = _with_comments(lines, first_line(node) - 1)
    above, head = "\n".join(lines[:begins]).strip("\n"), "\n".join(lines[begins:])
    docstring = node.body[:1] if ast.get_docstring(node, clean=False) is not None else []
    if not end and len(node.body) > len(docstring) and is_empty(node.body[-1]):
        head = "\n".join(lines[begins : node.body[-1].lineno - 1])  # without `pass` or `...`
    width = len(end.removesuffix("pass")) - 1 if end else node.body[0].col_offset
    stub = Stub(node.name, head.rstrip(), " " * width)
    if not parsed(stub.unwritten):  # something stands behind the colon
        node.body = docstring
        stub = Stub(node.name, ast.unparse(node))
    return Asked(above, stub)


def _with_comments(lines: list[str], begins: int) -> int:
    """Return where the comment right above a line begins."""
    while begins and lines[begins - 1].startswith("#"):
        begins -= 1
    return begins


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
    awaited = (node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Await))
    return any(
        isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == name
        for call in awaited
    )
