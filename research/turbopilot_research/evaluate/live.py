"""A live kernel for a replayed notebook: runs the cells above, and provides kernel context.

It also checks the names in suggestions, independently of the filter: Python's parser finds the names, and the
kernel's objects decide whether they exist.
"""

from __future__ import annotations

import ast
import builtins
import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import astuple, dataclass
from queue import Empty
from typing import TYPE_CHECKING, Any, Self

from jupyter_client.kernelspec import NoSuchKernel, get_kernel_spec
from jupyter_client.manager import KernelManager

from jupyter_turbopilot.analysis.kernel_context import NONE, KernelContext
from jupyter_turbopilot.analysis.languages import as_python
from jupyter_turbopilot.analysis.lexer import scan
from jupyter_turbopilot.analysis.resolve import bindings
from jupyter_turbopilot.jupyter.kernels.conversation import Conversation, KernelAnswer
from jupyter_turbopilot.jupyter.kernels.watch import SETTLE
from jupyter_turbopilot.protocol.errors import BadRequestError, TurbopilotError
from jupyter_turbopilot.util.syntax_tree import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from jupyter_client.blocking.client import BlockingKernelClient

    from turbopilot_research.evaluate.traces import Trace

TIMEOUT = 120.0  # timeout of a cell in seconds
_BUILTINS = frozenset((*dir(builtins), "display", "get_ipython", "In", "Out", "exit", "quit", "__name__"))
_TAILS = ("", "_", ": pass", "\n pass", "\n  pass", "\n    pass", "\n        pass", " import _",
          " in _: pass", "\nexcept Exception: pass", "\n    pass\nexcept Exception: pass",
          " else _")  # fmt: skip

# Runs in the kernel. None: undecidable.
_ANSWER = """
def answer(space, question):
    chain, key = question
    if chain[0] not in space:
        return False if len(chain) == 1 and key is None else None
    value = space[chain[0]]
    for at, name in enumerate(chain[1:]):
        if not hasattr(value, name):
            return False if at == len(chain) - 2 and key is None else None
        value = getattr(value, name)
    if key is None:
        return True
    known = getattr(value, "columns", None) if type(value).__name__ == "DataFrame" else None
    return None if known is None else key in list(known)
"""


@dataclass(frozen=True)
class Question:
    """A name with attributes, or a column of its value."""

    chain: tuple[str, ...]
    key: str | None = None


@dataclass
class ResolvedNames:
    """The number of names in suggestions that exist."""

    there: int = 0
    missing: int = 0
    unknown: int = 0  # the object is created in the cell itself, or by a call

    @property
    def share(self) -> float:
        """The share of missing names among the decidable ones."""
        return self.missing / max(1, self.there + self.missing)


class Live:
    """The kernel of the notebook that is being replayed."""

    def __init__(self, name: str, folder: Path | None = None, *, is_queried: bool = True) -> None:
        """Prepare a kernel; it starts at the first notebook that is replayed.

        `folder`: contains the notebooks. The kernel runs in the folder of the replayed notebook, whose cells
        can read files there; if None, in an empty folder. `is_queried`: whether to query the kernel context.
        """
        self._name = name
        self._is_queried = is_queried
        self._source = folder
        self._notebook = ""
        self._ran = 0
        self._manager: KernelManager | None = None
        self._client: BlockingKernelClient
        self._background = ThreadPoolExecutor(1, "turbopilot-kernel")
        self._running: list[Future[KernelContext]] = []
        self.failed: dict[str, str] = {}  # errors by notebook

    def __enter__(self) -> Self:
        try:
            get_kernel_spec(self._name)
        except (NoSuchKernel, ValueError):
            raise BadRequestError(
                f"There is no kernel {self._name}. Run `jupyter kernelspec list` to list those installed."
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self._background.shutdown()

    def kernel_context(self, trace: Trace) -> KernelContext:
        """Run the cells above the typed one; return the kernel context."""
        return self._context_after(trace, trace.keystrokes[0].active)

    def run_while_typing(self, trace: Trace) -> Callable[[], KernelContext]:
        """Run the cells above the typed one, the last of them while the user types.

        Return a function that returns the latest kernel context. As in the server, a query follows each
        execution, and requests do not wait for its answer.
        """
        wait(self._running)
        keystroke = trace.keystrokes[0]
        code = [number for number in range(keystroke.active) if keystroke.types[number] == "code"]
        before = self._context_after(trace, code[-1] if code else 0)
        running = self._background.submit(self._context_after, trace, keystroke.active, SETTLE)
        self._running = [running]
        return lambda: running.result() if running.done() else before

    def count_names(self, names: ResolvedNames, before: str, text: str) -> None:
        """Count the names in a suggestion: existing, missing or unknown."""
        wait(self._running)
        to_ask, unknown = questions(before, text)
        names.unknown += unknown
        if not to_ask:
            return
        asked = json.dumps([astuple(question) for question in to_ask])
        code = f"{_ANSWER}\nresult = json.dumps([answer(space, q) for q in json.loads({asked!r})])"
        answers = self._evaluate(
            f"(lambda scope: [exec({code!r}, scope), scope['result']][1])"
            "({'json': __import__('json'), 'space': get_ipython().user_ns})"
        )
        for answer in json.loads(answers):
            names.there += answer is True
            names.missing += answer is False
            names.unknown += answer is None

    def _context_after(self, trace: Trace, end: int, settle: float = 0.0) -> KernelContext:
        """Run the cells up to `end`; return the kernel context after `settle` seconds."""
        keystroke = trace.keystrokes[0]
        if trace.name != self._notebook or end < self._ran:
            self._start(trace.name)
        for number in range(self._ran, end):
            if keystroke.types[number] == "code" and (error := self._run(keystroke.cells[number])):
                self.failed.setdefault(trace.name, f"cell {number}: {error}")
        self._ran = end
        time.sleep(settle)
        return self._ask() if self._is_queried else NONE

    def _start(self, notebook: str) -> None:
        self._stop()
        self._folder = tempfile.TemporaryDirectory()
        self._manager = KernelManager(kernel_name=self._name)
        beside = self._source and str((self._source / notebook).parent)
        self._manager.start_kernel(cwd=beside or self._folder.name)
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=TIMEOUT)
        self._conversation = Conversation()
        self._notebook, self._ran = notebook, 0

    def _stop(self) -> None:
        if self._manager:
            while wait(self._running, timeout=0.1).not_done:
                self._manager.interrupt_kernel()  # has no effect before the cell starts
            self._client.stop_channels()
            self._manager.shutdown_kernel(now=True)
            self._folder.cleanup()
            self._manager = None

    def _run(self, source: str) -> str:
        """Run a cell; return its error, or an empty string."""
        reply = self._client.execute_interactive(
            source, allow_stdin=False, timeout=TIMEOUT, output_hook=lambda _: None
        )["content"]
        return "" if reply["status"] == "ok" else f"{reply.get('ename')}: {reply.get('evalue')}"[:200]

    def _evaluate(self, expression: str) -> str:
        name = self._client.execute("", silent=True, user_expressions={"value": expression})
        while (message := self._client.get_shell_msg(timeout=TIMEOUT))["parent_header"].get("msg_id") != name:
            pass
        value = message["content"]["user_expressions"]["value"]
        if value["status"] != "ok":
            raise TurbopilotError(f"The kernel did not answer: {value.get('evalue')}.")

        return str(ast.literal_eval(value["data"]["text/plain"]))

    def _ask(self) -> KernelContext:
        """Request the kernel context as the server does."""
        for message in self._conversation.ask():
            self._client.shell_channel.send(self._client.session.msg(message.type, message.content))
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            try:
                received: dict[str, Any] = self._client.get_iopub_msg(timeout=1.0)
            except Empty:
                continue
            meaning = self._conversation.receive(received["msg_type"], received["content"])
            if meaning is not None:
                return (isinstance(meaning, KernelAnswer) and meaning.kernel_context) or NONE
        return NONE


def questions(before: str, text: str) -> tuple[list[Question], int]:
    """Return the questions about the names in `text`, and the number of undecidable names."""
    tree, plain = _parsed(before + text)
    if tree is None:
        return [], 1
    starts = [0]
    for line in plain.splitlines(keepends=True):
        starts.append(starts[-1] + len(line.encode()))
    first, last = len(as_python(before).encode()), len(plain.encode())
    own = bindings(ast.unparse(tree))
    asked, unknown = [], 0
    for node in ast.walk(tree):
        end = getattr(node, "end_lineno", None)
        if end is None or not first < starts[end - 1] + node.end_col_offset <= last:  # type: ignore[attr-defined]
            continue
        question = _question(node)
        if question is None:
            unknown += isinstance(node, ast.Attribute)
        elif question.chain[0] in own:
            unknown += 1
        elif question.chain[0] not in _BUILTINS:
            asked.append(question)
    return asked, unknown


def _question(node: ast.AST) -> Question | None:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id != "_":
        return Question((node.id,))
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and node.attr != "_":
        chain = tuple(reversed([*_chain(node)]))
        return Question(chain) if chain[0] else None
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        chain = tuple(reversed([*_chain(node.value)]))
        key = node.slice.value if isinstance(node.slice, ast.Constant) else None
        return Question(chain, key) if chain[0] and isinstance(key, str) else None
    return None


def _chain(node: ast.AST) -> Iterator[str]:
    while isinstance(node, ast.Attribute):
        yield node.attr
        node = node.value
    yield node.id if isinstance(node, ast.Name) else ""


def _parsed(text: str) -> tuple[ast.Module | None, str]:
    """Parse an incomplete text by closing its open brackets and statements."""
    plain = as_python(text)
    opened = scan(plain)
    closed = plain + opened.quote
    for inner in ("", "_", "=_", ": _", " for _ in _", " in _"):
        for tail in _TAILS:
            with suppress(SyntaxError):
                return parse(closed + inner + opened.brackets + tail), plain
    return None, plain
