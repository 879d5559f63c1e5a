"""Listeners: what plugins learn about an editor's suggestions, from the request to the outcome."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from jupyter_turbopilot.protocol.errors import log_failure
from jupyter_turbopilot.protocol.reply import compact
from jupyter_turbopilot.util.registry import FAULTS, find, found, install_advice, instance_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from jupyter_turbopilot.completer.plan import Plan
    from jupyter_turbopilot.completer.reply_iterators import Listener
    from jupyter_turbopilot.protocol.request import Completion, Feedback
    from jupyter_turbopilot.settings.config import Turbopilot

log = logging.getLogger(__name__)

Where = Literal["server", "terminal"]


class SuggestionListener:
    """Base of listeners. Their methods are called on any thread, the event loop's too, and must not block."""

    notice = ""  # printed when a server starts, and when ghost text is turned on in a terminal

    def requested(self, request: Completion, plan: Plan) -> Listener | None:  # noqa: ARG002 - for others
        """Return a function that is called with each reply to a request, or None."""
        return None

    def receive(self, feedback: Feedback) -> None:
        """Receive an outcome: shown, accepted, typed over, dismissed, executed or retained."""

    def describe(self, *, own: bool) -> dict[str, Any]:  # noqa: ARG002 - for others
        """Return fields of the health report; `own` is whether the caller may manage the server."""
        return {}

    def close(self) -> None:
        """Stop; the process ends."""


class MissingUsageLog(SuggestionListener):
    """Reports that the configured usage log is not written, because its package is not installed."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.notice = install_advice("c.Turbopilot.usage_log")

    def describe(self, *, own: bool) -> dict[str, Any]:
        return {"usage_log": {"text": False, "file": self._path if own else None, "error": self.notice}}


class Listeners:
    """The listeners of a completer. One that raises an error is logged once and removed."""

    def __init__(self, *listeners: SuggestionListener) -> None:
        self._listeners = listeners
        self._removed: tuple[SuggestionListener, ...] = ()
        self._loaded = False

    def __iter__(self) -> Iterator[SuggestionListener]:
        return iter(self._listeners)

    def load(self, settings: Turbopilot, where: Where) -> None:
        """Add the plugins' listeners at the first call.

        Call it only where a user types: a usage log must not contain a command's own text.
        """
        if not self._loaded:
            self._loaded = True
            self._listeners += tuple(_listeners_of_plugins(settings, where))

    def requested(self, request: Completion, plan: Plan) -> list[Listener]:
        """Return the functions that receive the replies to a request."""
        observers = ((one, self._call(one, one.requested, request, plan)) for one in self)
        return [partial(self._call, one, observe) for one, observe in observers if observe]

    def receive(self, feedback: Feedback) -> None:
        """Pass the outcome of a suggestion on."""
        for one in self:
            self._call(one, one.receive, feedback)

    def describe(self, *, own: bool) -> dict[str, Any]:
        """Return fields of the health report. Our own listeners come first, and theirs are kept."""
        fields: dict[str, Any] = {}
        for one in self:
            fields = (self._call(one, _fields_of, one, own) or {}) | fields
        return fields

    def close(self) -> None:
        """Close all listeners, also those that were removed: they have recorded something before."""
        self._listeners, self._removed = self._listeners + self._removed, ()
        for one in self:
            self._call(one, one.close)

    def _call(self, listener: SuggestionListener, function: Callable[..., Any], *arguments: Any) -> Any:
        if not any(one is listener for one in self._listeners):
            return None  # it was removed
        try:
            return function(*arguments)
        except FAULTS as failure:
            self._listeners = tuple(one for one in self._listeners if one is not listener)
            self._removed += (listener,)
            name = f"{type(listener).__module__}.{type(listener).__qualname__}"
            log_failure(log, f"Turbopilot: The listener {name} failed and was removed", failure)
            return None


def _fields_of(listener: SuggestionListener, own: bool) -> dict[str, Any]:
    """Return a listener's fields; raise an error if they cannot be sent as JSON."""
    fields = listener.describe(own=own)
    compact(fields)
    return {} | fields


def _listeners_of_plugins(settings: Turbopilot, where: Where) -> Iterator[SuggestionListener]:
    """Yield the plugins' listeners. Each entry is a function of the settings and of where the editor is."""
    if is_usage_log_missing(settings):
        missing = MissingUsageLog(settings.usage_log)
        log.warning("Turbopilot: %s", missing.notice)
        yield missing
    for entry in found("listeners"):
        if listener := entry.load(lambda create: created(create, settings, where)):
            yield listener


def is_usage_log_missing(settings: Turbopilot) -> bool:
    return bool(settings.usage_log) and find("listeners", "usage") is None


def created(create: Any, settings: Turbopilot, where: Where) -> SuggestionListener | None:
    """Return a plugin's listener; raise an error if it is none."""
    listener = create(settings, where)
    return None if listener is None else instance_of(SuggestionListener, listener)


def probe(create: Any, settings: Turbopilot) -> None:
    """Create a plugin's listener and close it, for `doctor`; raise an error if that fails."""
    if listener := created(create, settings, "server"):
        listener.close()
