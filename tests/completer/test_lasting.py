from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

from jupyter_turbopilot.completer import lasting
from jupyter_turbopilot.completer.lasting import Lasting

if TYPE_CHECKING:
    import pytest


def test_an_answer_holds_for_some_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(lasting, "time", SimpleNamespace(monotonic=lambda: now[0]))
    answers = Lasting[str, int](10.0, 8)
    answers.keep("a", 1)
    now[0] = 109.9
    assert answers.get("a") == 1
    answers.keep("a", 2)
    now[0] = 110.1
    assert answers.get("a") == 2
    now[0] = 119.9
    assert answers.get("a") is None
    assert answers.get("b") is None
    assert answers.last("a") == 2
    assert answers.last("b") is None


def test_of_too_many_answers_the_oldest_go() -> None:
    answers = Lasting[int, int](10.0, 2)
    for number in (1, 2, 1, 3):
        answers.keep(number, number)
    assert [answers.get(number) for number in (1, 2, 3)] == [1, None, 3]
