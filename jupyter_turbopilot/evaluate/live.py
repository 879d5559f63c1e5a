"""A kernel beside a notebook that is typed: the cells above have run, and what they made can be asked for."""

from __future__ import annotations

import ast
import json
import tempfile
import time
from dataclasses import astuple
from queue import Empty
from typing import TYPE_CHECKING, Any, Self

from jupyter_client.kernelspec import NoSuchKernel, get_kernel_spec
from jupyter_client.manager import KernelManager

from jupyter_turbopilot.context.facts import NONE, Facts
from jupyter_turbopilot.errors import BadRequestError, TurbopilotError
from jupyter_turbopilot.evaluate.resolving import ANSWER, ResolvedNames, questions
from jupyter_turbopilot.kernels.conversation import Conversation

if TYPE_CHECKING:
    from jupyter_client.blocking.client import BlockingKernelClient

    from jupyter_turbopilot.evaluate.traces import Trace

PATIENCE = 120.0  # seconds a cell may take


class Live:
    """One kernel at a time: that of the notebook which is being typed."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._notebook = ""
        self._ran = 0
        self._manager: KernelManager | None = None
        self._client: BlockingKernelClient
        self.failed: dict[str, str] = {}  # notebooks with a cell that failed, and with what

    def __enter__(self) -> Self:
        try:
            get_kernel_spec(self._name)
        except (NoSuchKernel, ValueError):
            raise BadRequestError(
                f"There is no kernel {self._name}. `jupyter kernelspec list` shows those that are installed."
            ) from None
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def facts(self, trace: Trace) -> Facts:
        """Run what stands above the cell that is typed; return what the kernel then holds."""
        keystroke = trace.keystrokes[0]
        if trace.name != self._notebook or keystroke.active < self._ran:
            self._start(trace.name)
        for number in range(self._ran, keystroke.active):
            if keystroke.types[number] == "code" and (error := self._run(keystroke.cells[number])):
                self.failed.setdefault(trace.name, f"cell {number}: {error}")
        self._ran = keystroke.active
        return self._ask()

    def look(self, names: ResolvedNames, before: str, text: str) -> None:
        """Count what a suggestion names: there, missing or unknown."""
        to_ask, unknown = questions(before, text)
        names.unknown += unknown
        if not to_ask:
            return
        asked = json.dumps([astuple(question) for question in to_ask])
        code = f"{ANSWER}\nresult = json.dumps([answer(space, q) for q in json.loads({asked!r})])"
        answers = self._evaluate(
            f"(lambda scope: [exec({code!r}, scope), scope['result']][1])"
            "({'json': __import__('json'), 'space': get_ipython().user_ns})"
        )
        for answer in json.loads(answers):
            names.there += answer is True
            names.missing += answer is False
            names.unknown += answer is None

    def _start(self, notebook: str) -> None:
        self._stop()
        self._folder = tempfile.TemporaryDirectory()
        self._manager = KernelManager(kernel_name=self._name)
        self._manager.start_kernel(cwd=self._folder.name)
        self._client = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=PATIENCE)
        self._conversation = Conversation()
        self._notebook, self._ran = notebook, 0

    def _stop(self) -> None:
        if self._manager:
            self._client.stop_channels()
            self._manager.shutdown_kernel(now=True)
            self._folder.cleanup()
            self._manager = None

    def _run(self, source: str) -> str:
        """Run a cell; return what it failed with."""
        reply = self._client.execute_interactive(
            source, allow_stdin=False, timeout=PATIENCE, output_hook=lambda _: None
        )["content"]
        return "" if reply["status"] == "ok" else f"{reply.get('ename')}: {reply.get('evalue')}"[:200]

    def _evaluate(self, expression: str) -> str:
        name = self._client.execute("", silent=True, user_expressions={"value": expression})
        while (message := self._client.get_shell_msg(timeout=PATIENCE))["parent_header"].get(
            "msg_id"
        ) != name:
            pass
        value = message["content"]["user_expressions"]["value"]
        if value["status"] != "ok":
            raise TurbopilotError(f"The kernel did not answer: {value.get('evalue')}.")

        return str(ast.literal_eval(value["data"]["text/plain"]))

    def _ask(self) -> Facts:
        """Ask as the server does."""
        for message in self._conversation.ask():
            self._client.shell_channel.send(self._client.session.msg(message.type, message.content))
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                heard: dict[str, Any] = self._client.get_iopub_msg(timeout=1.0)
            except Empty:
                continue
            meaning = self._conversation.hear(heard["msg_type"], heard["content"])
            if meaning is not None:
                return meaning if isinstance(meaning, Facts) else NONE
        return NONE
