from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from msgspec import structs

from jupyter_turbopilot.completer.completer import FIRST_SECONDS
from jupyter_turbopilot.completer.completion_job import CompletionJob
from jupyter_turbopilot.completer.raw_plan import plan_raw
from jupyter_turbopilot.completer.text_generation import TextGeneration
from jupyter_turbopilot.engine.base import Speed
from jupyter_turbopilot.engine.job import Priority
from jupyter_turbopilot.protocol.engine_request import RawRequest
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.suggestion.lookup import LineMatch

from ..index.folders import until
from ..scripted_engine import ScriptedEngine
from .desk import Desk

SLOW, FAST = Speed(prompt=40.0), Speed(prompt=400.0)
ABOVE = [f"value_{number} = compute({number})" for number in range(40)]


@pytest.fixture
def slow_desk(desk: Callable[..., Desk]) -> Desk:
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


def await_whole(d: Desk, number: int) -> None:
    until(lambda: len(d.engine.prompts) == number and d.engine.finished[-1])
    assert is_whole(d.engine.prompts[-1])
    assert d.engine.samplings[-1].max_tokens == 0


def test_first_prompt_on_a_slow_machine_has_the_nearest_cells(slow_desk: Desk) -> None:
    slow_desk.ask(request())
    prompt = slow_desk.engine.prompts[0]
    assert not is_whole(prompt)
    assert ABOVE[-1] in prompt
    assert slow_desk.engine.asks[0].usage.prompt_tokens <= SLOW.prompt * FIRST_SECONDS


def generation_of(d: Desk) -> TextGeneration:
    plan = plan_raw(RawRequest("x = "), d.completer.settings)
    return TextGeneration(CompletionJob(plan, "", [], d.completer.shared), d.completer.shared)


def test_draft_is_the_line_of_the_index_if_it_was_found_before(desk: Callable[..., Desk]) -> None:
    generation = generation_of(d := desk("1"))
    generation.served.index_line = LineMatch("load()", 0.1, sure=False, whole=True)
    engine_request = next(generation.generate(d.engine))
    assert engine_request.hint == d.engine.vocabulary.tokenize("load()")


def test_remote_server_gets_the_priority_that_the_scheduler_lowered(desk: Callable[..., Desk]) -> None:
    generation = generation_of(d := desk("1"))
    generation.priority = Priority.BULK
    assert next(generation.generate(d.engine)).priority == "bulk"


def test_prompt_is_whole_after_its_evaluation_in_a_pause(slow_desk: Desk) -> None:
    slow_desk.ask(request())
    await_whole(slow_desk, 2)
    slow_desk.ask(request("result = s"))
    assert is_whole(slow_desk.engine.prompts[2])
    time.sleep(0.1)
    assert len(slow_desk.engine.prompts) == 3


def test_prompt_is_whole_after_its_evaluation_with_text_below_the_cursor(slow_desk: Desk) -> None:
    slow_desk.engine.speed = Speed(prompt=16.0)
    below = "\nprint(" + "value_1 + " * 8 + "1)"
    for number, source in enumerate(("result = ", "result = s")):
        slow_desk.ask(structs.replace(request(source + below), offset=len(source)))
        if number == 0:
            await_whole(slow_desk, 2)
    assert is_whole(slow_desk.engine.prompts[2])


def test_prompt_is_whole_after_that_of_another_notebook(slow_desk: Desk) -> None:
    slow_desk.ask(request())
    await_whole(slow_desk, 2)
    for source in ("other = ", *(f"other = {'y' * number}" for number in range(1, 12))):
        cells = [Cell(source=source)]
        slow_desk.ask(Completion(cells=cells, active=0, offset=len(source), path="b.ipynb", client="b"))
    slow_desk.ask(request("result = s"))
    assert is_whole(slow_desk.engine.prompts[-1])


def test_prompt_stays_short_while_the_machine_rests(slow_desk: Desk) -> None:
    slow_desk.resting = True
    slow_desk.ask(request())
    time.sleep(0.2)
    assert len(slow_desk.engine.prompts) == 1


def test_prompts_are_short_again_for_another_engine(slow_desk: Desk) -> None:
    slow_desk.ask(request())
    await_whole(slow_desk, 2)
    another = ScriptedEngine("1")
    another.speed = SLOW
    slow_desk.worker.load("another", lambda _: another)
    until(lambda: slow_desk.worker.engine is another)
    slow_desk.ask(request("result = s"))
    assert not is_whole(another.prompts[0])


def test_keystroke_interrupts_the_evaluation_of_the_whole_prompt(slow_desk: Desk) -> None:
    engine = slow_desk.engine

    def answer(_: str) -> str:
        engine.prompt_pause = 60.0  # of the whole prompt
        return "1"

    engine.answer = answer
    slow_desk.ask(request())
    until(lambda: len(engine.prompts) == 2)
    engine.answer, engine.prompt_pause, engine.speed = "1", 0.0, Speed(prompt=1.1 * SLOW.prompt)
    slow_desk.ask(request("result = s"))
    # The same beginning, so that only the typed text is evaluated.
    assert engine.prompts[2].startswith(engine.prompts[0].partition("result")[0])
    await_whole(slow_desk, 4)
    assert engine.finished == [True, False, True, True]


def test_answer_to_a_short_prompt_is_not_cached(slow_desk: Desk) -> None:
    slow_desk.ask(request())
    await_whole(slow_desk, 2)
    slow_desk.ask(request())
    assert is_whole(slow_desk.engine.prompts[2])
    slow_desk.ask(request())
    assert len(slow_desk.engine.prompts) == 3


@pytest.mark.parametrize("speed", [Speed(), FAST])
def test_prompt_is_whole_on_a_fast_machine(slow_desk: Desk, speed: Speed) -> None:
    slow_desk.engine.speed = speed
    slow_desk.ask(request())
    assert is_whole(slow_desk.engine.prompts[0])


def test_prompts_of_other_protocols_are_whole(slow_desk: Desk) -> None:
    slow_desk.ask(RawRequest("\n".join(ABOVE)))
    assert is_whole(slow_desk.engine.prompts[0])
