"""Successive requests during typing, in addition to those in tests/test_overlaps.py."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.completer.cache.completion_cache import CompletionCache
from jupyter_turbopilot.completer.completer import Completer
from jupyter_turbopilot.engine.job import DISCONNECTED, Job
from jupyter_turbopilot.engine.worker import Worker
from jupyter_turbopilot.protocol.reply import Reply
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.settings.config import Turbopilot

from ..index.folders import until
from ..scripted_engine import ScriptedEngine

ANSWER = "alpha beta gamma delta epsilon"


class QueuedRequest:
    """A request and its result."""

    def __init__(self, completer: Completer, request: Completion, caller: str) -> None:
        self.replies: list[Reply] = []
        self.done = threading.Event()
        self.job: Job = completer.submit(request, self._take, caller=caller)

    def _take(self, reply: Reply) -> None:
        self.replies.append(reply)
        if reply.done:
            self.done.set()

    @property
    def texts(self) -> list[str]:
        return [reply.items[0].text for reply in self.replies if reply.items]

    def text(self) -> str:
        assert self.done.wait(60)
        return self.texts[-1] if self.replies[-1].items else ""


class Editor:
    """Sends requests like an editor."""

    def __init__(self, answer: str | Callable[[str], str] = ANSWER, **more: float) -> None:
        self.engine = ScriptedEngine(answer, **{"pause": 0.15, **more})  # type: ignore[arg-type]
        self.worker = Worker()
        self.completer = Completer(self.worker, Turbopilot(), CompletionCache(1 << 24))
        self.worker.load("scripted", lambda _: self.engine)
        until(lambda: self.worker.state.ready)

    def ask(self, source: str, caller: str = "ann", suffix: str = "", **more: object) -> QueuedRequest:
        asked: dict[str, object] = {"client": "tab", "stream": True, "trigger": "invoke", **more}
        request = Completion(cells=[Cell(source=source + suffix)], offset=len(source), **asked)  # type: ignore[arg-type]
        return QueuedRequest(self.completer, request, caller)


@pytest.fixture
def make() -> Iterator[Callable[..., Editor]]:
    made: list[Editor] = []

    def editor(*args: object, **more: float) -> Editor:
        made.append(Editor(*args, **more))  # type: ignore[arg-type]
        return made[-1]

    yield editor
    for one in made:
        one.worker.stop()


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_completer_ends_each_request_once_and_answers_the_last(data: st.DataObject) -> None:
    editor = Editor(pause=0.004, prompt_pause=0.002)
    source, asked = "x = ", []
    try:
        for _ in range(data.draw(st.integers(2, 8))):
            asked.append(editor.ask(source))
            time.sleep(data.draw(st.sampled_from([0.0, 0.003, 0.02])))
            if data.draw(st.integers(0, 4)) == 0:
                asked[-1].job.cancel.set(DISCONNECTED)
            typed = source[4:]
            right = ANSWER[len(typed) : len(typed) + 1] if ANSWER.startswith(typed) else "z"
            source += data.draw(st.sampled_from([right, right, right, "z"]))
        last = editor.ask(source)
        assert last.text()
        for one in asked:
            assert one.done.wait(60)
            assert sum(reply.done for reply in one.replies) == 1
        until(lambda: editor.engine.released == len(editor.engine.prompts))
        assert editor.worker.waiting == 0
        assert len(editor.completer.shared.editors) == 0
    finally:
        editor.worker.stop()


def test_completer_removes_typed_indentation_from_the_suggestion(make: Callable[..., Editor]) -> None:
    editor = make("    return one + two")
    first = editor.ask("def f():\n")
    until(lambda: len(first.texts) > 0)
    assert editor.ask("def f():\n ").text() == "   return one + two"
    # Once more, when it is known.
    assert editor.ask("def f():\n  ").text() == "  return one + two"
