"""The conversation with a kernel about its facts: what to send, and what an incoming message means.

A question opens a comm. The answer is one message, which ends the comm without a published close: kernels
broadcast to all clients, and JupyterLab logs an error for each close of a comm that it does not know.
A comm's handler runs without IPython's hooks, history, output or execution count. Only the first message to a
kernel, which installs that handler, is a silent execution, and fires `pre_execute` and `post_execute` once.
Nothing is sent or received here: the caller has the sockets and the clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from jupyter_turbopilot.context.facts import Facts, read_facts
from jupyter_turbopilot.kernels import probe

TARGET = "turbopilot.facts"
ANSWERS = {"comm_msg", "comm_close"}  # the types of message that may be part of an answer


@dataclass(frozen=True)
class Message:
    """A message to a kernel."""

    type: str
    content: dict[str, Any]


class Closed:
    """The kernel closed the comm without an answer: nobody installed the handler in this process."""


class Conversation:
    """One kernel: at most one question is open at a time, each in a comm of its own."""

    def __init__(self) -> None:
        self._installed = False
        self._comm = ""

    @property
    def is_open(self) -> bool:
        """Whether a question was asked that may still be answered."""
        return bool(self._comm)

    def ask(self) -> list[Message]:
        """Return what to send to ask for the facts; an open question is given up."""
        messages = [] if self._installed else [_installing()]
        self._installed, self._comm = True, uuid4().hex
        return [
            *messages,
            Message("comm_open", {"comm_id": self._comm, "target_name": TARGET, "data": {}}),
        ]

    def hear(self, kind: str, content: dict[str, Any]) -> Facts | Closed | None:
        """Return what a message of the kernel means here; None: it is not part of the answer."""
        if kind not in ANSWERS or content["comm_id"] != self._comm:
            return None
        self._comm = ""
        return read_facts(content["data"]) if kind == "comm_msg" else Closed()

    def give_up(self) -> None:
        """Expect no answer to the open question any more."""
        self._comm = ""

    def forget_installation(self) -> None:
        """Install the handler again with the next question."""
        self._installed = False

    def restart(self) -> None:
        """Begin again: the kernel is a new process."""
        self._installed, self._comm = False, ""


def installation() -> str:
    """Return the code that installs the handler and leaves no name behind."""
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
