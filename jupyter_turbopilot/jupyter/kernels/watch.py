"""Watches running kernels: queries each Python kernel's context once after every execution.

The completer of an R kernel is asked for the members of an object when the cursor is behind it, once for each
object until the next execution.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jupyter_client.session import Session
from tornado.web import HTTPError
from traitlets import TraitError
from zmq import ZMQError

from jupyter_turbopilot.context.kernel_context import NONE, KernelContext
from jupyter_turbopilot.fixes.report import NONE as NO_REPORT
from jupyter_turbopilot.jupyter.kernels.conversation import (
    ANSWERS,
    Conversation,
    KernelAnswer,
    members_request,
    read_members,
)
from jupyter_turbopilot.util.failures import DAMAGED, on_failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jupyter_turbopilot.fixes.report import KernelReport
    from jupyter_turbopilot.jupyter.kernels.conversation import Message

log = logging.getLogger(__name__)

SETTLE = 0.15  # seconds after an execution until the query: the next of several cells may follow at once
AGAIN = 0.5  # seconds until the next check of a kernel that could not be queried
PATIENCE = 5.0  # seconds until a query times out; doubles with each timeout
MOST_PATIENCE = 60.0
MOST_BYTES = 1024 * 1024  # size of a message; the probe's own are much smaller
_ANSWERS = {"complete_reply", *ANSWERS}
REPORT_SECONDS = 1.0  # until a query after an error times out
MEMBER_SECONDS = 0.1  # until a request is answered without the members of an object, or a check
MOST_OBJECTS = 100  # whose members are cached
POLL = 0.005  # seconds between checks whether a kernel has become idle, or has answered
UNUSED = 600.0  # seconds without a request after which a kernel is not queried any more


class Watch:
    """One kernel. A Python kernel is queried at the end of each execution."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self.language = manager.kernel_spec.language.lower()
        self._session = Session(config=manager.session.config, key=manager.session.key)
        self._iopub: Any = None
        self._shell: Any = None
        self._conversation = Conversation()
        self._timer: asyncio.TimerHandle | None = None
        self._timeout: asyncio.TimerHandle | None = None
        self._patience = PATIENCE
        self._activity: Any = None
        self._executions = self._changes = 0  # changes: ends of executions, and messages to widgets
        self._installed_for = -1  # number of executions when the handler was last reinstalled
        self._lapsed = False  # whether querying stopped because no request used the context
        self._used_at = time.monotonic()
        self._opened_at = time.monotonic()
        self._reports: dict[str, asyncio.Future[KernelReport | None]] = {}  # by comm; None: no handler
        self._members: dict[str, KernelContext] = {}  # by code, since the last execution
        # The last check since the last execution: the start of the kernel, the expressions, the report.
        self._checked: tuple[object, Sequence[Sequence[str]], KernelReport] | None = None
        self._question: tuple[str, str] | None = None  # the open one: message id, code
        self._question_ends = 0.0  # when another one may be sent, as a reply may be lost or too large
        self.busy = False
        self.kernel_context = NONE

    def open(self) -> None:
        """Connect to the kernel; query it at once if it is idle."""
        self._opened_at = time.monotonic()
        with on_failure(self.close):
            self._iopub = self._manager.connect_iopub()
            self._iopub.on_recv(self._on_message)
            self._shell = self._manager.connect_shell()
            self._shell.on_recv(self._on_message)
            self._schedule()

    def close(self) -> None:
        """Disconnect from the kernel."""
        for timer in (self._timer, self._timeout):
            if timer:
                timer.cancel()
        for stream in (self._iopub, self._shell):
            if stream and not stream.closed():
                stream.close()

    def use(self) -> KernelContext:
        """Return the current kernel context, and keep it up to date."""
        self._used_at = time.monotonic()
        if self._lapsed:
            self._lapsed = False
            self._schedule()
        return self.kernel_context

    async def members(self, code: str) -> KernelContext:
        """Return the members that the kernel's completer lists after `df$`, without waiting for a cell."""
        with suppress(TimeoutError):
            async with asyncio.timeout(MEMBER_SECONDS):
                while code not in self._members and not self.busy:
                    now = time.monotonic()
                    if not self._is_busy() and (not self._question or now >= self._question_ends):
                        (identifier,) = self._send([members_request(code)])
                        self._question, self._question_ends = (identifier, code), now + PATIENCE
                    await asyncio.sleep(POLL)
        return self._members.get(code, NONE)

    async def check(self, wanted: Sequence[str], traced: Sequence[str]) -> KernelReport:
        """Query the kernel about expressions, once after each execution; an empty report if it is busy."""
        # The manager replaces `ready` at each start. The state that a restarted kernel publishes may be lost.
        ready = self._manager.ready
        if self._checked and self._checked[:2] == (ready, [wanted, traced]) and not self.busy:
            return self._checked[2]
        end = time.monotonic() + MEMBER_SECONDS  # the kernel may just answer another request
        while self._is_busy():
            if self.busy or time.monotonic() > end:
                return NO_REPORT
            await asyncio.sleep(POLL)
        changes, report = self._changes, await self.report(wanted, traced)
        if report is NO_REPORT or changes != self._changes:
            return NO_REPORT
        self._checked = ready, [wanted, traced], report
        return report

    async def report(self, wanted: Sequence[str], traced: Sequence[str] | None = None) -> KernelReport:
        """Query the kernel after an error, without waiting for it to settle; an empty report if that fails.

        A cell of a queue may follow the failed one, so a busy kernel is not queried.
        """
        try:
            async with asyncio.timeout(REPORT_SECONDS):
                # A socket that was just opened may miss the answer.
                await asyncio.sleep(self._opened_at + SETTLE - time.monotonic())
                for _ in range(2):  # if the handler is missing, the second query installs it
                    while self._is_busy():  # noqa: ASYNC110 - the manager's state has no event
                        await asyncio.sleep(POLL)
                    if (report := await self._query(wanted, traced)) is not None:
                        return report
        except TimeoutError:
            pass
        return NO_REPORT

    async def _query(self, wanted: Sequence[str], traced: Sequence[str] | None) -> KernelReport | None:
        """Query the kernel for a report; None if the handler is missing."""
        comm, messages = self._conversation.ask_for_report(wanted, traced)
        answered: asyncio.Future[KernelReport | None] = asyncio.get_running_loop().create_future()
        self._reports[comm] = answered
        try:
            self._send(messages)
            return await answered
        finally:
            self._conversation.abandon(comm)
            del self._reports[comm]

    def _schedule(self, seconds: float = SETTLE) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._ask)

    def _start_timeout(self) -> None:
        if self._timeout:
            self._timeout.cancel()
        self._timeout = asyncio.get_running_loop().call_later(self._patience, self._on_timeout)

    def _is_busy(self) -> bool:
        return self.busy or getattr(self._manager, "execution_state", "idle") == "busy"

    def _ask(self) -> None:
        """Query the kernel, unless it is busy or a query is open."""
        if self.language != "python":
            return
        if time.monotonic() - self._used_at > UNUSED:
            self._lapsed = True
            return
        if self._is_busy() or self._conversation.is_open:
            self._schedule(AGAIN)  # the end of the execution may have been missed while connecting
            return
        self._send(self._conversation.ask())
        self._start_timeout()

    def _send(self, messages: Sequence[Message]) -> list[str]:
        """Send messages; return their ids."""
        # The query must not count as activity: Jupyter culls kernels by their last activity.
        if self._activity is None:  # otherwise it was saved for a query that was never answered
            self._activity = getattr(self._manager, "last_activity", None)
        sent = [self._session.msg(message.type, message.content) for message in messages]
        for each in sent:
            self._session.send(self._shell, each)
        return [each["header"]["msg_id"] for each in sent]

    def _on_timeout(self) -> None:
        """Query again: a starting kernel may have answered before the other socket was connected."""
        if not self._conversation.is_open:
            return
        if self._is_busy():  # the query may wait in the kernel's queue; do not add another one
            self._start_timeout()
            return
        self._conversation.abandon()
        self._patience = min(2 * self._patience, MOST_PATIENCE)
        self._schedule(0)

    def _on_message(self, parts: list[Any]) -> None:
        try:
            _, rest = self._session.feed_identities(parts)
            if sum(map(len, rest)) > MOST_BYTES:
                return
            kind, parent = self._session.unpack(rest[1])["msg_type"], self._session.unpack(rest[2])
            ours = parent.get("session") == self._session.session
            # Outputs and messages of widgets may be large: parse only answers, and states in other requests.
            if kind in _ANSWERS if ours else kind == "status":
                self._process(self._session.deserialize(rest))
        except DAMAGED:
            log.debug("Turbopilot: cannot parse a message from a kernel", exc_info=True)

    def _process(self, message: dict[str, Any]) -> None:
        kind, content = message["msg_type"], message["content"]
        if kind == "status":
            self._update_state(content["execution_state"], message["parent_header"].get("msg_type"))
            return
        if kind == "complete_reply":
            self._learn_members(message["parent_header"].get("msg_id"), content)
            return
        received = self._conversation.receive(kind, content)
        if received is None:
            return
        self._patience = PATIENCE
        report = self._reports.get(received.comm)
        if isinstance(received, KernelAnswer):
            self.kernel_context = received.kernel_context
            if report:
                _resolve(report, received.report)
        elif report:
            self._conversation.reinstall()
            _resolve(report, None)
        elif self._installed_for != self._executions:
            # The handler is missing: a restart was not observed. Reinstall at most once per execution.
            self._conversation.reinstall()
            self.kernel_context = NONE
            self._installed_for = self._executions
            self._schedule()
        asyncio.get_running_loop().call_later(SETTLE, self._restore_activity)

    def _learn_members(self, identifier: str, content: dict[str, Any]) -> None:
        if not self._question or self._question[0] != identifier:
            return
        code, self._question = self._question[1], None
        if len(self._members) == MOST_OBJECTS:
            self._members.clear()
        self._members[code] = read_members(code, content)
        asyncio.get_running_loop().call_later(SETTLE, self._restore_activity)

    def _forget_answers(self) -> None:
        """Ask again after an execution: it may have changed any object."""
        self._executions += 1
        self._changes += 1
        self._members.clear()
        self._question = self._checked = None

    def _restore_activity(self) -> None:
        """Restore the kernel's last activity, unless another client used it meanwhile."""
        if self._activity is not None and not self._reports:
            self._manager.last_activity, self._activity = self._activity, None

    def _update_state(self, state: str, parent: str | None) -> None:
        self._activity = None  # another client's activity counts
        if state in {"starting", "restarting"}:
            self._conversation.restart()
            for report in self._reports.values():
                _resolve(report, NO_REPORT)
            self.busy, self.kernel_context, self._patience = False, NONE, PATIENCE
            self._forget_answers()
            self._schedule()
        elif parent == "execute_request":
            self.busy = state == "busy"
            if not self.busy:
                self._forget_answers()
                self._schedule()
        elif parent == "comm_msg":  # the code behind a widget may have changed any object
            self._changes += 1
            self._checked = None


def _resolve(future: asyncio.Future[KernelReport | None], report: KernelReport | None) -> None:
    if not future.done():
        future.set_result(report)


class Kernels:
    """The watched kernels of a server."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._watches: dict[str, Watch] = {}

    def kernel_context(self, kernel_id: str) -> KernelContext:
        """Return the current context of a kernel; start watching it."""
        watch = self._watch(kernel_id)
        return watch.use() if watch else NONE

    async def members(self, kernel_id: str, language: str, code: str) -> KernelContext:
        """Return the members after `df$` in the code of a kernel's language."""
        watch = self._watch(kernel_id, language)
        return await watch.members(code) if watch else NONE

    async def report(self, kernel_id: str, wanted: Sequence[str]) -> KernelReport:
        """Query a kernel after an error about its last exception and the wanted expressions."""
        watch = self._watch(kernel_id)
        return await watch.report(wanted) if watch else NO_REPORT

    async def check(self, kernel_id: str, wanted: Sequence[str], traced: Sequence[str]) -> KernelReport:
        """Query a kernel about expressions for a check, if it is idle."""
        watch = self._watch(kernel_id)
        return await watch.check(wanted, traced) if watch else NO_REPORT

    def _watch(self, kernel_id: str, language: str = "python") -> Watch | None:
        watch = self._watches.get(kernel_id) or self._start_watching(kernel_id, language)
        return watch if watch and watch.language == language else None

    def _start_watching(self, kernel_id: str, language: str) -> Watch | None:
        for gone in [name for name in self._watches if name not in self._manager]:
            self._watches.pop(gone).close()
        try:
            manager = self._manager.get_kernel(kernel_id)
            if manager.kernel_spec.language.lower() != language:
                return None
            watch = Watch(manager)
            watch.open()
        except (*DAMAGED, HTTPError, TraitError, ZMQError):
            # The kernel has ended, or does not run on this machine.
            log.debug("Turbopilot: cannot watch this kernel", exc_info=True)
            return None
        self._watches[kernel_id] = watch
        return watch

    def close(self) -> None:
        """Stop watching all kernels."""
        for watch in self._watches.values():
            watch.close()
        self._watches.clear()
