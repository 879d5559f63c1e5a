from __future__ import annotations

import gc
import time
import weakref
from collections.abc import Callable

import pytest

from jupyter_turbopilot.completer import first_prompts
from jupyter_turbopilot.engine.base import Speed
from jupyter_turbopilot.protocol.engine_request import RawRequest
from jupyter_turbopilot.protocol.request import Cell, Completion

from ..index.folders import until
from ..scripted_engine import ScriptedEngine
from .desk import Desk, received

SLOW, FAST = Speed(prompt=40.0), Speed(prompt=400.0)
ABOVE = [f"value_{number} = compute({number})" for number in range(40)]


@pytest.fixture
def slow_desk(desk: Callable[..., Desk], monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr(first_prompts, "PAUSE", 0.05)
    d = desk("1")
    d.engine.speed = SLOW
    return d


def request(source: str = "result = ", **more: object) -> Completion:
    cells = [*(Cell(source=one) for one in ABOVE), Cell(source=source)]
    return Completion(
        cells=cells,
        active=len(cells) - 1,
        offset=len(source),
        trigger="automatic",
        path="a.ipynb",
        client="tab",
        **more,  # type: ignore[arg-type]
    )


def is_whole(prompt: str) -> bool:
    return ABOVE[0] in prompt


def test_first_prompt_on_a_slow_machine_has_the_nearest_cells(slow_desk: Desk) -> None:
    slow_desk.ask(request())
    (prompt,) = slow_desk.engine.prompts
    assert not is_whole(prompt)
    assert ABOVE[-1] in prompt
    assert slow_desk.engine.asks[0].usage.prompt_tokens <= SLOW.prompt * first_prompts.FIRST_SECONDS


def test_prompt_is_whole_after_a_pause(slow_desk: Desk) -> None:
    slow_desk.ask(request())
    until(lambda: len(slow_desk.engine.prompts) == 2 and slow_desk.engine.finished[-1])
    assert is_whole(slow_desk.engine.prompts[1])
    assert slow_desk.engine.samplings[1].max_tokens == 0
    slow_desk.ask(request("result = s"))
    assert is_whole(slow_desk.engine.prompts[2])
    time.sleep(0.1)
    assert len(slow_desk.engine.prompts) == 3


def test_first_prompts_keep_no_finished_request(slow_desk: Desk) -> None:
    job, replies = slow_desk.begin(request())
    received(replies)
    finished = weakref.ref(job)
    del job, replies
    until(lambda: len(slow_desk.engine.prompts) == 2 and slow_desk.engine.finished[-1])
    until(lambda: gc.collect() >= 0 and finished() is None)


def test_prompt_stays_short_while_the_machine_rests(slow_desk: Desk) -> None:
    slow_desk.resting = True
    slow_desk.ask(request())
    time.sleep(0.2)
    assert len(slow_desk.engine.prompts) == 1


def test_prompts_are_short_again_for_another_engine(slow_desk: Desk) -> None:
    slow_desk.ask(request())
    until(lambda: len(slow_desk.engine.prompts) == 2 and slow_desk.engine.finished[-1])
    another = ScriptedEngine("1")
    another.speed = SLOW
    slow_desk.worker.load("another", lambda _: another)
    until(lambda: slow_desk.worker.engine is another)
    slow_desk.ask(request("result = s"))
    assert not is_whole(another.prompts[0])


def test_keystroke_interrupts_the_evaluation_of_the_whole_prompt(slow_desk: Desk) -> None:
    slow_desk.ask(request())
    slow_desk.engine.prompt_pause = 60.0
    until(lambda: len(slow_desk.engine.prompts) == 2)
    slow_desk.engine.prompt_pause = 0.0
    slow_desk.ask(request("result = s"))
    assert slow_desk.engine.finished[1] is False
    # The same beginning, so that only the typed text is evaluated.
    assert slow_desk.engine.prompts[2].startswith(slow_desk.engine.prompts[0].partition("result")[0])
    until(lambda: len(slow_desk.engine.prompts) == 4 and slow_desk.engine.finished[-1])
    assert is_whole(slow_desk.engine.prompts[3])


def test_answer_to_a_short_prompt_is_not_cached(slow_desk: Desk) -> None:
    slow_desk.ask(request())
    until(lambda: len(slow_desk.engine.prompts) == 2 and slow_desk.engine.finished[-1])
    slow_desk.ask(request())
    assert is_whole(slow_desk.engine.prompts[2])
    slow_desk.ask(request())
    assert len(slow_desk.engine.prompts) == 3


def test_prompt_is_short_again_after_a_request_was_too_late(slow_desk: Desk) -> None:
    slow_desk.ask(request())
    until(lambda: len(slow_desk.engine.prompts) == 2 and slow_desk.engine.finished[-1])
    job, _ = slow_desk.begin(request("result = s"))
    job.cancel.set("deadline")
    slow_desk.ask(request("result = su"))
    assert not is_whole(slow_desk.engine.prompts[-1])


@pytest.mark.parametrize("speed", [Speed(), FAST])
def test_prompt_is_whole_on_a_fast_machine(slow_desk: Desk, speed: Speed) -> None:
    slow_desk.engine.speed = speed
    slow_desk.ask(request())
    assert is_whole(slow_desk.engine.prompts[0])


def test_prompts_of_other_protocols_are_whole(slow_desk: Desk) -> None:
    slow_desk.ask(RawRequest("\n".join(ABOVE)))
    assert is_whole(slow_desk.engine.prompts[0])
