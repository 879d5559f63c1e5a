from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.completer import listeners as module
from jupyter_turbopilot.completer.listeners import Listeners, SuggestionListener
from jupyter_turbopilot.completer.plan import Admission, Plan
from jupyter_turbopilot.completer.reply_iterators import Listener
from jupyter_turbopilot.protocol.reply import Reply
from jupyter_turbopilot.protocol.request import Completion, Feedback
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.util import registry
from jupyter_turbopilot.util.registry import Entry

from .desk import Desk, request

if TYPE_CHECKING:
    import pytest


class Recorder(SuggestionListener):
    """Records its calls; the method named by `fails` raises an error."""

    def __init__(self, fails: str = "") -> None:
        self.calls: list[str] = []
        self._fails = fails

    def _called(self, name: str) -> None:
        self.calls.append(name)
        if name == self._fails:
            raise RuntimeError("private text")

    def requested(self, _request: Completion, _plan: Plan) -> Listener:
        self._called("requested")
        return self._replied

    def _replied(self, reply: Reply) -> None:
        self._called("done" if reply.done else "reply")

    def receive(self, feedback: Feedback) -> None:
        self._called(feedback.event)

    def describe(self, *, own: bool) -> dict[str, Any]:
        self._called("describe")
        return {"calls": len(self.calls), "own": own}


def use(d: Desk, *listeners: SuggestionListener) -> None:
    d.completer.listeners = Listeners(*listeners)


def test_listeners_receive_requests_replies_and_outcomes(desk: Callable[..., Desk]) -> None:
    d, recorder = desk("1"), Recorder()
    use(d, recorder)
    assert d.texts(request())
    d.completer.feedback(Feedback(id="a", event="shown"))
    assert [call for call in recorder.calls if call != "reply"] == ["requested", "done", "shown"]


def test_removed_listener_is_closed_at_the_end() -> None:
    closed: list[str] = []
    recorder = Recorder("shown")
    recorder.close = lambda: closed.append("closed")  # type: ignore[method-assign]
    listeners = Listeners(recorder)
    for _ in range(2):
        listeners.receive(Feedback(id="a", event="shown"))
    assert not closed
    listeners.close()
    assert (recorder.calls, closed) == (["shown"], ["closed"])


def test_describe_omits_a_listener_that_fails() -> None:
    listeners = Listeners(Recorder(), Recorder("describe"))
    assert listeners.describe(own=True) == {"calls": 1, "own": True}
    assert len([*listeners]) == 1


def test_describe_omits_what_cannot_be_sent_and_keeps_the_first_fields(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second, third = Recorder(), Recorder(), Recorder()
    for listener, fields in ((first, {"a": 1}), (second, {"b": object()}), (third, {"a": 2, "c": 3})):
        monkeypatch.setattr(listener, "describe", lambda fields=fields, **_: fields)
    listeners = Listeners(first, second, third)
    assert listeners.describe(own=True) == {"a": 1, "c": 3}
    assert [*listeners] == [first, third]


def test_multi_user_server_notifies_no_listener(desk: Callable[..., Desk]) -> None:
    d, recorder = desk("1"), Recorder()
    use(d, recorder)
    d.completer.submit(request(), lambda _: None, Admission(tenant="ada"))
    assert recorder.calls == []


def test_load_adds_the_listeners_of_plugins_once(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("recorder_of", "nothing", "failing", "odd")
    monkeypatch.setattr(module, "found", lambda _: [Entry(name, f"{__name__}:{name}") for name in names])
    monkeypatch.setattr(registry, "failures", {})
    listeners = Listeners()
    for _ in range(2):
        listeners.load(Turbopilot(), "server")
    assert [type(listener) for listener in listeners] == [Recorder]
    assert registry.failures == {
        f"{__name__}:failing": "RuntimeError: ",
        f"{__name__}:odd": "TypeError: object is not derived from SuggestionListener",
    }


def recorder_of(*_: object) -> Recorder:
    return Recorder()


def nothing(*_: object) -> None:
    """Return no listener."""


def failing(*_: object) -> None:
    raise RuntimeError


def odd(*_: object) -> object:
    return object()


def test_listener_that_ends_the_process_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setattr(recorder, "receive", lambda _: sys.exit())
    listeners = Listeners(recorder)
    listeners.receive(Feedback(id="a", event="shown"))
    assert [*listeners] == []


def test_load_reports_that_no_package_writes_the_configured_usage_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "registered", dict)
    listeners, without = Listeners(), Listeners()
    listeners.load(Turbopilot(usage_log="~/study.jsonl"), "terminal")
    without.load(Turbopilot(), "terminal")
    (missing,) = listeners
    assert "c.Turbopilot.usage_log needs another package" in missing.notice
    assert 'pip install "turbopilot-research==' in missing.notice
    assert [*without] == []
