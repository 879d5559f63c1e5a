"""Watches running kernels: queries each Python kernel's context once after every execution.

The completer of an R kernel is asked for the members of an object when the cursor is behind it, and a Python
kernel for the values of a column when a string is being typed beside it, once until the next execution. A
kernel answers messages in order, and a sent one cannot be taken back. So
at most one query is open, and the others wait here: they delay an execution by one query at most.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from jupyter_client.session import Session
from tornado.web import HTTPError
from traitlets import TraitError
from zmq import ZMQError

from jupyter_turbopilot.analysis.kernel_context import NONE, KernelContext
from jupyter_turbopilot.analysis.report import NONE as NO_REPORT
from jupyter_turbopilot.jupyter.kernels.conversation import (
    ANSWERS,
    Conversation,
    KernelAnswer,
    MembersAnswer,
    TextsAnswer,
)
from jupyter_turbopilot.jupyter.kernels.texts import KernelTexts
from jupyter_turbopilot.util.failures import DAMAGED, on_failure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jupyter_turbopilot.analysis.report import KernelReport
    from jupyter_turbopilot.analysis.texts import Readable
    from jupyter_turbopilot.jupyter.kernels.conversation import Message

log = logging.getLogger(__name__)

SETTLE = 0.15  # seconds after an execution until the query: the next of several cells may follow at once
AGAIN = 0.5  # seconds until the next check of a kernel that could not be queried
PATIENCE = 5.0  # seconds until a query times out; doubles with each timeout
MOST_PATIENCE = 60.0
MOST_BYTES = 1024 * 1024  # size of a message; the probe's own are much smaller
REPORT_SECONDS = 1.0  # until a query after an error times out
CHECK_INTERVAL = 1.0  # seconds between two queries for checks
FRESH = 2.0  # seconds after which a query for a check is repeated: objects may change without an execution
MEMBER_SECONDS = 0.1  # until a request is answered without the members of an object
TEXT_SECONDS = 0.05  # the same for texts
MOST_OBJECTS = 100  # whose members are cached
POLL = 0.005  # seconds between checks whether a kernel has become idle, or has answered
UNUSED = 600.0  # seconds without a request after which a kernel is not queried any more
# Requests of other clients that run no user code.
_HARMLESS = {
    "comm_info_request", "complete_request", "history_request", "inspect_request", "is_complete_request",
    "kernel_info_request", "create_subshell_request", "delete_subshell_request", "list_subshell_request",
    "usage_request",
}  # fmt: skip


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
        self._executions = self._changes = 0  # changes: messages that may have changed any object
        self._installed_for = -1  # number of executions when the handler was last reinstalled
        self._lapsed = False  # whether querying stopped because no request used the context
        self._used_at = time.monotonic()
        self._opened_at = time.monotonic()
        self._start = getattr(manager, "ready", None)  # which the manager replaces at each start
        self._changes_before = self._texts_before = 0  # numbers of changes at the last query
        # The report that the open query returns to its caller; None in it: the handler is missing.
        self._answered: asyncio.Future[KernelReport | None] | None = None
        self._members: dict[str, KernelContext] = {}  # by code, since the last change
        # The last check since the last change: the expressions, the report, and when it was sent.
        self._checked: tuple[object, KernelReport, float] | None = None
        self._latest_check: object = None  # it replaces a check that waits
        self._next_check = 0.0  # when it may be sent
        self.busy = False
        self.kernel_context = NONE
        self.texts = KernelTexts(lambda: not self.busy)

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
        self._notice_restart()
        self._used_at = time.monotonic()
        if self._lapsed:
            self._lapsed = False
            self._schedule()
        return self.kernel_context

    async def members(self, code: str) -> KernelContext:
        """Return the members that the kernel's completer lists after `df$`, without waiting for a cell."""
        ask = partial(self._conversation.ask_for_members, code)
        await self._ask_until(lambda: code in self._members, ask, MEMBER_SECONDS)
        return self._members.get(code, NONE)

    async def read(self, asked: Sequence[Readable]) -> None:
        """Read texts, without waiting for a cell."""
        ask = partial(self._conversation.ask_for_texts, asked)
        await self._ask_until(lambda: all(map(self.texts.is_answered, asked)), ask, TEXT_SECONDS)

    async def _ask_until(
        self, is_known: Callable[[], bool], ask: Callable[[], Sequence[Message]], seconds: float
    ) -> None:
        """Query the kernel as soon as it may be asked, until something is known or the time is over."""
        self._notice_restart()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not is_known() and not self.busy:
                    if self._may_ask():
                        self._ask(ask())
                    await asyncio.sleep(POLL)

    async def check(self, wanted: Sequence[str], traced: Sequence[str] = ()) -> KernelReport:
        """Query the kernel about expressions; an empty report if it is busy, or after a newer check."""
        self._notice_restart()
        self._latest_check = check = object()
        if self._checked and not self.busy:
            known, report, asked_at = self._checked
            if known == (wanted, traced) and time.monotonic() < asked_at + FRESH:
                return report
        return await self._report(wanted, traced, check)

    async def report(self, wanted: Sequence[str]) -> KernelReport:
        """Query the kernel after an error, without waiting for it to settle; an empty report if that fails.

        A cell of a queue may follow the failed one, so a busy kernel is not queried.
        """
        self._notice_restart()
        return await self._report(wanted)

    async def _report(
        self, wanted: Sequence[str], traced: Sequence[str] | None = None, check: object = None
    ) -> KernelReport:
        """Query the kernel when it may be asked. `check`: identifies a check."""
        # A socket that was just opened may miss the answer.
        start = max(self._opened_at + SETTLE, self._next_check if check else 0)
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0, start - time.monotonic()) + REPORT_SECONDS):
                for _ in range(2):  # if the handler is missing, the second query installs it
                    while time.monotonic() < start or not self._may_ask():
                        if check and (self.busy or check is not self._latest_check):
                            return NO_REPORT
                        await asyncio.sleep(POLL)
                    self._ask(self._conversation.ask_for_report(wanted, traced))
                    answered: asyncio.Future[KernelReport | None] = asyncio.get_running_loop().create_future()
                    self._answered = answered
                    asked_at, changes = time.monotonic(), self._changes
                    if check:
                        self._next_check = asked_at + CHECK_INTERVAL
                    report = await answered
                    if check and changes != self._changes:
                        return NO_REPORT
                    if report is None:
                        continue
                    if check and report is not NO_REPORT:
                        self._checked = (wanted, traced), report, asked_at
                    return report
        return NO_REPORT

    def _schedule(self, seconds: float = SETTLE) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._ask_for_context)

    def _start_timeout(self) -> None:
        if self._timeout:
            self._timeout.cancel()
        self._timeout = asyncio.get_running_loop().call_later(self._patience, self._on_timeout)

    def _is_busy(self) -> bool:
        return self.busy or getattr(self._manager, "execution_state", "idle") == "busy"

    def _may_ask(self) -> bool:
        return not (self._is_busy() or self._conversation.is_open or self._shell.closed())

    def _ask_for_context(self) -> None:
        """Query the kernel's context, unless it is busy or a query is open."""
        if self.language != "python":
            return
        if time.monotonic() - self._used_at > UNUSED:
            self._lapsed = True
        elif self._may_ask():
            self._ask(self._conversation.ask())
        else:
            self._schedule(AGAIN)  # the end of the execution may have been missed while connecting

    def _ask(self, messages: Sequence[Message]) -> None:
        """Send the messages of a query."""
        self._changes_before, self._texts_before, self._answered = self._changes, self.texts.changes, None
        self._send(messages)
        self._start_timeout()

    def _send(self, messages: Sequence[Message]) -> None:
        # The query must not count as activity: Jupyter culls kernels by their last activity.
        if self._activity is None:  # otherwise it was saved for a query that was never answered
            self._activity = getattr(self._manager, "last_activity", None)
        for message in messages:
            header = {**self._session.msg_header(message.type), "msg_id": message.id}
            self._session.send(self._shell, self._session.msg(message.type, message.content, header=header))

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
            kind, parent = self._session.unpack(rest[1])["msg_type"], self._session.unpack(rest[2])
            ours = parent.get("session") == self._session.session
            if sum(map(len, rest)) > MOST_BYTES:
                if ours and kind in ANSWERS:
                    self._conversation.abandon()
                return
            # Outputs and messages of widgets may be large: parse only answers, and states in other requests.
            if kind in ANSWERS if ours else kind == "status":
                self._process(self._session.deserialize(rest))
        except DAMAGED:
            log.debug("Turbopilot: cannot parse a message from a kernel", exc_info=True)

    def _process(self, message: dict[str, Any]) -> None:
        kind, content = message["msg_type"], message["content"]
        if kind == "status":
            self._update_state(content["execution_state"], message["parent_header"].get("msg_type"))
            return
        received = self._conversation.receive(kind, content, message["parent_header"].get("msg_id", ""))
        if received is None:
            return
        self._patience = PATIENCE
        if isinstance(received, KernelAnswer):
            if received.kernel_context is not None:
                self._learn_context(received.kernel_context)
            self._resolve(received.report)
        elif isinstance(received, MembersAnswer):
            self._learn_members(received)
        elif isinstance(received, TextsAnswer):
            for readable, texts in received.texts.items():
                self.texts.learn(readable, texts, self._texts_before)
        elif self._answered and not self._answered.done():
            self._conversation.reinstall()
            self._resolve(None)
        elif self._installed_for != self._executions:
            # The handler is missing: a restart was not observed. Reinstall at most once per execution.
            self._conversation.reinstall()
            self.kernel_context = NONE
            self._installed_for = self._executions
            self._schedule()
        asyncio.get_running_loop().call_later(SETTLE, self._restore_activity)

    def _learn_context(self, found: KernelContext) -> None:
        if found.modules.folder_id != self.kernel_context.modules.folder_id:
            self.texts.forget()  # files of the folder before
        self.kernel_context = found

    def _learn_members(self, answer: MembersAnswer) -> None:
        if self._changes_before != self._changes:
            return  # the object may have changed meanwhile
        if len(self._members) == MOST_OBJECTS:
            self._members.clear()
        self._members[answer.code] = answer.members

    def _resolve(self, report: KernelReport | None) -> None:
        """Return the report to the caller that waits for it."""
        if self._answered and not self._answered.done():
            self._answered.set_result(report)
        self._answered = None

    def _forget_answers(self) -> None:
        """Ask again: any object may have changed."""
        self._changes += 1
        self._members.clear()
        self.texts.forget()
        self._checked = None

    def _restore_activity(self) -> None:
        """Restore the kernel's last activity, unless another client used it meanwhile."""
        if self._activity is not None and not self._conversation.is_open:
            self._manager.last_activity, self._activity = self._activity, None

    def _notice_restart(self) -> None:
        """Notice a restart whose state was lost, as it is published before a socket is connected again."""
        if getattr(self._manager, "ready", None) is not self._start:
            self._restart()

    def _restart(self) -> None:
        self._start = getattr(self._manager, "ready", None)
        self._conversation.restart()
        self._resolve(NO_REPORT)
        self.busy, self.kernel_context, self._patience = False, NONE, PATIENCE
        self._executions += 1
        self._forget_answers()
        self._schedule()

    def _update_state(self, state: str, parent: str | None) -> None:
        self._activity = None  # another client's activity counts
        if state in {"starting", "restarting"}:
            self._restart()
            return
        if parent in _HARMLESS:
            return
        self._forget_answers()
        if parent == "execute_request":
            self.busy = state == "busy"
            if not self.busy:
                self._executions += 1
                self._schedule()


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

    def texts(self, kernel_id: str) -> KernelTexts | None:
        """Return the texts that were read from a kernel; None if it is not watched."""
        watch = self._watch(kernel_id)
        return watch.texts if watch else None

    async def read(self, kernel_id: str, asked: Sequence[Readable]) -> None:
        """Read texts from a kernel."""
        if watch := self._watch(kernel_id):
            await watch.read(asked)

    async def report(self, kernel_id: str, wanted: Sequence[str]) -> KernelReport:
        """Query a kernel after an error about its last exception and the wanted expressions."""
        watch = self._watch(kernel_id)
        return await watch.report(wanted) if watch else NO_REPORT

    async def check(self, kernel_id: str, wanted: Sequence[str], traced: Sequence[str] = ()) -> KernelReport:
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
