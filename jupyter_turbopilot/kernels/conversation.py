"""The comm protocol that queries a kernel's context: which messages to send, and how to read the replies.

A query opens a comm. The kernel sends its answer as one message and closes the comm without publishing that:
kernels broadcast to all clients, and JupyterLab logs an error for each closed comm that it does not know.
A comm handler runs without IPython's hooks, history, output or execution count. Only the first message to a
kernel, which installs the handler, is a silent execution, and triggers `pre_execute` and `post_execute` once.
This module does no I/O: the caller owns the sockets and the clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from jupyter_turbopilot.context.kernel_context import KernelContext, read_kernel_context
from jupyter_turbopilot.kernels import probe

TARGET = "turbopilot.facts"
ANSWERS = {"comm_msg", "comm_close"}  # message types of an answer


@dataclass(frozen=True)
class Message:
    """A message to a kernel."""

    type: str
    content: dict[str, Any]


class ClosedWithoutAnswer:
    """The kernel closed the comm without an answer: the handler is not installed in this process."""


class Conversation:
    """The queries to one kernel: at most one is open at a time, each in its own comm."""

    def __init__(self) -> None:
        self._installed = False
        self._comm = ""

    @property
    def is_open(self) -> bool:
        """Whether a query is waiting for its answer."""
        return bool(self._comm)

    def ask(self) -> list[Message]:
        """Return the messages that query the kernel; an open query is abandoned."""
        messages = [] if self._installed else [_installing()]
        self._installed, self._comm = True, uuid4().hex
        return [
            *messages,
            Message("comm_open", {"comm_id": self._comm, "target_name": TARGET, "data": {}}),
        ]

    def receive(self, kind: str, content: dict[str, Any]) -> KernelContext | ClosedWithoutAnswer | None:
        """Return the answer in a kernel's message; None if the message belongs to something else."""
        if kind not in ANSWERS or content["comm_id"] != self._comm:
            return None
        self._comm = ""
        return read_kernel_context(content["data"]) if kind == "comm_msg" else ClosedWithoutAnswer()

    def abandon(self) -> None:
        """Abandon the open query."""
        self._comm = ""

    def reinstall(self) -> None:
        """Install the handler again with the next query."""
        self._installed = False

    def restart(self) -> None:
        """Reset the state for a restarted kernel process."""
        self._installed, self._comm = False, ""


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
