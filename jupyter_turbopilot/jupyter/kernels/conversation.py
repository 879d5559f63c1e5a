"""The comm protocol that queries a kernel's context: which messages to send, and how to read the replies.

A query opens a comm. The kernel sends its answer as one message and closes the comm without publishing that:
kernels broadcast to all clients, and JupyterLab logs an error for each closed comm that it does not know.
A comm handler runs without IPython's hooks, history, output or execution count. Only the first message to a
kernel, which installs the handler, is a silent execution, and triggers `pre_execute` and `post_execute` once.
After an error and for a check, a query names the expressions to describe, and its answer has a report, too.
Kernels of other languages than Python are not queried so: their own completer lists the members of an object.
This module does no I/O: the caller owns the sockets and the clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from jupyter_turbopilot.context.kernel_context import NONE, KernelContext, read_kernel_context
from jupyter_turbopilot.fixes.report import KernelReport, read_report
from jupyter_turbopilot.jupyter.kernels import probe

if TYPE_CHECKING:
    from collections.abc import Sequence

TARGET = "turbopilot.facts"
ANSWERS = {"comm_msg", "comm_close"}  # message types of an answer


@dataclass(frozen=True)
class Message:
    """A message to a kernel."""

    type: str
    content: dict[str, Any]


@dataclass(frozen=True)
class KernelAnswer:
    """The answer in a comm. `report` is that of a query after an error or for a check."""

    comm: str
    kernel_context: KernelContext
    report: KernelReport


@dataclass(frozen=True)
class ClosedWithoutAnswer:
    """The kernel closed the comm without an answer: the handler is not installed in this process."""

    comm: str


class Conversation:
    """The queries to one kernel, each in its own comm: one for its context, and others for reports."""

    def __init__(self) -> None:
        self._installed = False
        self._comm = ""
        self._reports: set[str] = set()  # comms of the queries for reports

    @property
    def is_open(self) -> bool:
        """Whether a query for the kernel's context is waiting for its answer."""
        return bool(self._comm)

    def ask(self) -> list[Message]:
        """Return the messages that query the kernel's context; an open query for it is abandoned."""
        self._comm = uuid4().hex
        return self._messages(self._comm, {})

    def ask_for_report(
        self, wanted: Sequence[str], traced: Sequence[str] | None = None
    ) -> tuple[str, list[Message]]:
        """Return the comm and the messages of a query after an error, or for a check with `traced`."""
        comm = uuid4().hex
        self._reports.add(comm)
        data = {"wanted": [*wanted], "traced": None if traced is None else [*traced]}
        return comm, self._messages(comm, data)

    def _messages(self, comm: str, data: dict[str, Any]) -> list[Message]:
        messages = [] if self._installed else [_installing()]
        self._installed = True
        return [*messages, Message("comm_open", {"comm_id": comm, "target_name": TARGET, "data": data})]

    def receive(self, kind: str, content: dict[str, Any]) -> KernelAnswer | ClosedWithoutAnswer | None:
        """Return the answer in a kernel's message; None if the message belongs to something else."""
        comm = content["comm_id"] if kind in ANSWERS else ""
        if not comm or (comm != self._comm and comm not in self._reports):
            return None
        self.abandon(comm)
        if kind == "comm_close":
            return ClosedWithoutAnswer(comm)
        data = content["data"]
        return KernelAnswer(comm, read_kernel_context(data), read_report(data.get("report", {})))

    def abandon(self, comm: str = "") -> None:
        """Abandon an open query, by default the one for the kernel's context."""
        if not comm or comm == self._comm:
            self._comm = ""
        self._reports.discard(comm)

    def reinstall(self) -> None:
        """Install the handler again with the next query."""
        self._installed = False

    def restart(self) -> None:
        """Reset the state for a restarted kernel process."""
        self._installed, self._comm = False, ""
        self._reports.clear()


def members_request(code: str) -> Message:
    """Return the request to a kernel's own completer for the members after `df$`."""
    return Message("complete_request", {"code": code, "cursor_pos": len(code)})


def read_members(code: str, content: dict[str, Any]) -> KernelContext:
    """Return the members of an object, from the reply to a `members_request`."""
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
