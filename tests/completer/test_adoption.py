"""Successive requests during typing, in addition to those in tests/test_overlaps.py."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.engine.job import DISCONNECTED, Job
from jupyter_turbopilot.protocol.reply import Reply

from ..index.folders import until
from ..scripted_engine import ScriptedEngine
from .desk import Desk, request

ANSWER = "alpha beta gamma delta epsilon"


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_completer_ends_each_request_once_and_answers_the_last(data: st.DataObject) -> None:
    d = Desk(ScriptedEngine(ANSWER, pause=0.004, prompt_pause=0.002))
    source, asked = "x = ", []

    def ask() -> tuple[Job, list[Reply]]:
        replies: list[Reply] = []
        typed = request(source, client="tab", stream=True, trigger="invoke")
        return d.completer.submit(typed, replies.append, caller="ann"), replies

    try:
        for _ in range(data.draw(st.integers(2, 8))):
            asked.append(ask())
            time.sleep(data.draw(st.sampled_from([0.0, 0.003, 0.02])))
            if data.draw(st.integers(0, 4)) == 0:
                asked[-1][0].cancel.set(DISCONNECTED)
            typed = source[4:]
            right = ANSWER[len(typed) : len(typed) + 1] if ANSWER.startswith(typed) else "z"
            source += data.draw(st.sampled_from([right, right, right, "z"]))
        asked.append(ask())
        for _, replies in asked:
            until(lambda replies=replies: replies and replies[-1].done)  # type: ignore[misc]
            assert sum(reply.done for reply in replies) == 1
        assert any(item.text for item in asked[-1][1][-1].items)
        until(lambda: d.engine.released == len(d.engine.prompts))
        assert d.worker.waiting == 0
        assert len(d.completer.shared.editors) == 0
    finally:
        d.worker.stop()
