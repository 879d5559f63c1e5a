"""The comm protocol that queries a kernel's context: which messages to send, and how to read the replies.

A query opens a comm. The kernel sends its answer as one message and closes the comm without publishing that:
kernels broadcast to all clients, and JupyterLab logs an error for each closed comm that it does not know.
A comm handler runs without IPython's hooks, history, output or execution count. Only the first message to a
kernel, which installs the handler, is a silent execution, and triggers `pre_execute` and `post_execute` once.
After an error and for a check, a query names the expressions to describe, and its answer has a report. The
answer for a check has nothing else. A query for texts names what to read, and its answer has only these.
Kernels of other languages than Python are not queried so: their own completer lists the members of an object.
This module does no I/O: the caller owns the sockets and the clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from jupyter_turbopilot.analysis.kernel_context import NONE, KernelContext, read_kernel_context
from jupyter_turbopilot.analysis.report import KernelReport, read_report
from jupyter_turbopilot.jupyter.kernels import probe
from jupyter_turbopilot.jupyter.kernels.texts import read_texts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.analysis.texts import Readable, Texts

TARGET = "turbopilot.facts"
ANSWERS = {"comm_msg", "comm_close", "complete_reply"}  # message types of an answer


@dataclass(frozen=True)
class Message:
    """A message to a kernel."""

    type: str
    content: dict[str, Any]
    id: str = field(default_factory=lambda: uuid4().hex)


@dataclass(frozen=True)
class KernelAnswer:
    """The answer in a comm. `report` is that of a query after an error or for a check."""

    kernel_context: KernelContext | None  # None: for a check
    report: KernelReport


@dataclass(frozen=True)
class MembersAnswer:
    """The members of an object, from the kernel's own completer."""

    code: str
    members: KernelContext


@dataclass(frozen=True)
class TextsAnswer:
    """The texts that were asked for."""

    texts: dict[Readable, Texts | None]


@dataclass(frozen=True)
class ClosedWithoutAnswer:
    """The kernel closed the comm without an answer: the handler is not installed in this process."""


class Conversation:
    """The queries to one kernel. The caller keeps only one open: a sent message cannot be taken back.

    The comm of a query has the id of its message.
    """

    def __init__(self) -> None:
        self._installed = False
        self._open: Message | None = None
        self._asked: Sequence[Readable] = ()  # by the last query for texts

    @property
    def is_open(self) -> bool:
        """Whether a query is waiting for its answer."""
        return self._open is not None

    def ask(self) -> list[Message]:
        """Return the messages that query the kernel's context."""
        return self._query({})

    def ask_for_report(self, wanted: Sequence[str], traced: Sequence[str] | None = None) -> list[Message]:
        """Return the messages of a query after an error, or for a check with traced expressions."""
        return self._query({"wanted": [*wanted], "traced": None if traced is None else [*traced]})

    def ask_for_texts(self, asked: Sequence[Readable]) -> list[Message]:
        """Return the messages of a query for texts."""
        self._asked = asked
        return self._query({"texts": [[readable.kind, readable.code] for readable in asked]})

    def ask_for_members(self, code: str) -> list[Message]:
        """Return the request to a kernel's own completer for the members after `df$`."""
        self._open = Message("complete_request", {"code": code, "cursor_pos": len(code)})
        return [self._open]

    def _query(self, data: dict[str, Any]) -> list[Message]:
        comm = uuid4().hex
        content = {"comm_id": comm, "target_name": TARGET, "data": data}
        messages = [] if self._installed else [_installing()]
        self._installed, self._open = True, Message("comm_open", content, comm)
        return [*messages, self._open]

    def receive(
        self, kind: str, content: dict[str, Any], parent: str = ""
    ) -> KernelAnswer | MembersAnswer | TextsAnswer | ClosedWithoutAnswer | None:
        """Return the answer in a kernel's message; None if the message belongs to something else.

        `parent`: the id of the message that it replies to.
        """
        asked = self._open
        if not asked or kind not in ANSWERS:
            return None
        if asked.id != (parent if kind == "complete_reply" else content["comm_id"]):
            return None
        self.abandon()
        if kind == "complete_reply":
            return MembersAnswer(asked.content["code"], read_members(asked.content["code"], content))
        if kind == "comm_close":
            return ClosedWithoutAnswer()
        data = content["data"]
        if "texts" in asked.content["data"]:
            return TextsAnswer(read_texts(data, self._asked))
        is_check = asked.content["data"].get("traced") is not None
        return KernelAnswer(
            None if is_check else read_kernel_context(data), read_report(data.get("report", {}))
        )

    def abandon(self) -> None:
        """Abandon the open query."""
        self._open = None

    def reinstall(self) -> None:
        """Install the handler again with the next query."""
        self._installed = False

    def restart(self) -> None:
        """Reset the state for a restarted kernel process."""
        self._installed, self._open = False, None


def read_members(code: str, content: dict[str, Any]) -> KernelContext:
    """Return the members of an object, from the completer's reply."""
    start, end = content.get("cursor_start"), content.get("cursor_end")
    texts = [f"{code[:start]}{match}{code[end:]}" for match in content.get("matches", ())]
    # IRkernel returns the code itself if it knows no members.
    members = [text.removeprefix(code) for text in texts if text.startswith(code) and text != code]
    return read_kernel_context({"names": {code: {"attributes": members}}}) if members else NONE


def installation() -> str:
    """Return the code that installs the handler without defining any name."""
    source = Path(probe.__file__).read_text("utf-8") + f"\ninstall({TARGET!r})\n"
    return (
        "__import__('builtins').exec("
        f"{source!r}, {{'__name__': 'turbopilot_probe', '__builtins__': dict(vars(__import__('builtins')))}})"
    )


def _installing() -> Message:
    return Message(
        "execute_request",
        {
            "code": installation(),
            "silent": True,
            "store_history": False,
            "user_expressions": {},
            "allow_stdin": False,
            "stop_on_error": False,
        },
    )
