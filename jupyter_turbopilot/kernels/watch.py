"""Watches live kernels: asks each for its facts once after every execution, in nobody's way."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from jupyter_client.session import Session

from jupyter_turbopilot.context.facts import NONE, Facts
from jupyter_turbopilot.kernels.conversation import ANSWERS, Conversation

log = logging.getLogger(__name__)

SETTLE = 0.15  # seconds after an execution: the next of several cells may follow at once
AGAIN = 0.5  # seconds before another look at a kernel that could not be asked
PATIENCE = 5.0  # seconds after which an answer is no longer expected; doubled each time that none comes
MOST_PATIENCE = 60.0
MOST_BYTES = 1024 * 1024  # of a message; the probe's own are a fraction of that
_HEARD = {"status", *ANSWERS}
UNUSED = 600.0  # seconds without a request after which a kernel is not asked any more


class Watch:
    """One kernel: listens for the end of each execution and asks then."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._session = Session(config=manager.session.config, key=manager.session.key)
        self._iopub: Any = None
        self._shell: Any = None
        self._conversation = Conversation()
        self._timer: asyncio.TimerHandle | None = None
        self._missing: asyncio.TimerHandle | None = None
        self._patience = PATIENCE
        self._activity: Any = None
        self._executions = 0
        self._installed_for = -1  # how many there had been when it was installed again
        self._lapsed = False  # whether it was not asked because nobody wanted to know
        self._used_at = time.monotonic()
        self.busy = False
        self.facts = NONE

    def open(self) -> None:
        """Begin to listen; ask at once where the kernel is idle."""
        self._iopub = self._manager.connect_iopub()
        self._iopub.on_recv(self._hear)
        self._shell = self._manager.connect_shell()
        self._shell.on_recv(lambda _: None)
        self._soon()

    def close(self) -> None:
        """Stop listening."""
        for timer in (self._timer, self._missing):
            if timer:
                timer.cancel()
        for stream in (self._iopub, self._shell):
            if stream and not stream.closed():
                stream.close()

    def use(self) -> Facts:
        """Return what is known now; keep asking from now on."""
        self._used_at = time.monotonic()
        if self._lapsed:
            self._lapsed = False
            self._soon()
        return self.facts

    def _soon(self, seconds: float = SETTLE) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._ask)

    def _expect(self) -> None:
        if self._missing:
            self._missing.cancel()
        self._missing = asyncio.get_running_loop().call_later(self._patience, self._miss)

    def _computes(self) -> bool:
        return self.busy or getattr(self._manager, "execution_state", "idle") == "busy"

    def _ask(self) -> None:
        """Ask, unless the kernel computes or an answer is still expected."""
        if time.monotonic() - self._used_at > UNUSED:
            self._lapsed = True
            return
        if self._computes() or self._conversation.is_open:
            self._soon(AGAIN)  # its end may have been missed, when we had only begun to listen
            return
        # What we ask is nobody's activity: culling goes by what the person did.
        if self._activity is None:  # or it is known from a question whose answer did not arrive
            self._activity = getattr(self._manager, "last_activity", None)
        for message in self._conversation.ask():
            self._session.send(self._shell, message.type, message.content)
        self._expect()

    def _miss(self) -> None:
        """Ask again: a kernel that is starting may have answered before its other socket was connected."""
        if not self._conversation.is_open:
            return
        if self._computes():  # the question may wait in the kernel's queue, and another would wait behind it
            self._expect()
            return
        self._conversation.give_up()
        self._patience = min(2 * self._patience, MOST_PATIENCE)
        self._soon(0)

    def _hear(self, parts: list[Any]) -> None:
        try:
            _, rest = self._session.feed_identities(parts)
            kind = self._session.unpack(rest[1])["msg_type"]
            if kind not in _HEARD or sum(map(len, rest)) > MOST_BYTES:
                return  # an output may be of any size: it is not ours to read
            message = self._session.deserialize(rest)
            self._take(message, ours=message["parent_header"].get("session") == self._session.session)
        except Exception:
            log.debug("Turbopilot: a message of a kernel could not be read", exc_info=True)

    def _take(self, message: dict[str, Any], *, ours: bool) -> None:
        kind, content = message["msg_type"], message["content"]
        if kind == "status":
            self._follow(content["execution_state"], message["parent_header"].get("msg_type"), ours)
            return
        heard = self._conversation.hear(kind, content)
        if heard is None:
            return
        self._patience = PATIENCE
        if isinstance(heard, Facts):
            self.facts = heard
        elif self._installed_for != self._executions:
            # It knows nothing of us: another process, whose start was missed. Once for each execution.
            self._conversation.forget_installation()
            self.facts = NONE
            self._installed_for = self._executions
            self._soon()
        asyncio.get_running_loop().call_later(SETTLE, self._hush)

    def _hush(self) -> None:
        """Take back that the kernel was active, unless somebody else has used it meanwhile."""
        if self._activity is not None:
            self._manager.last_activity, self._activity = self._activity, None

    def _follow(self, state: str, parent: str | None, ours: bool) -> None:
        if ours:
            return
        self._activity = None  # somebody's own
        if state in {"starting", "restarting"}:
            self._conversation.restart()
            self.busy, self.facts, self._patience = False, NONE, PATIENCE
            self._soon()
        elif parent == "execute_request":
            self.busy = state == "busy"
            if not self.busy:
                self._executions += 1
                self._soon()


class Kernels:
    """The kernels of a server whose facts somebody has asked for."""

    def __init__(self, manager: Any) -> None:
        self._manager = manager
        self._watches: dict[str, Watch] = {}

    def facts(self, kernel_id: str) -> Facts:
        """Return what is known of a kernel now; begin to watch it."""
        watch = self._watches.get(kernel_id)
        if watch is None:
            watch = self._begin(kernel_id)
        if watch is None:
            return NONE
        return watch.use()

    def _begin(self, kernel_id: str) -> Watch | None:
        for gone in [name for name in self._watches if name not in self._manager]:
            self._watches.pop(gone).close()
        try:
            manager = self._manager.get_kernel(kernel_id)
            if manager.kernel_spec.language.lower() != "python":
                return None
            watch = Watch(manager)
            watch.open()
        except Exception:
            log.debug("Turbopilot: no facts of this kernel", exc_info=True)
            return None
        self._watches[kernel_id] = watch
        return watch

    def close(self) -> None:
        """Stop watching all."""
        for watch in self._watches.values():
            watch.close()
        self._watches.clear()
