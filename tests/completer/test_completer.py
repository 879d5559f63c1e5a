from __future__ import annotations

from collections.abc import Callable

import pytest

from jupyter_turbopilot.cache.results import Answer, Place, Results
from jupyter_turbopilot.completer.completer import Completer, identity_of
from jupyter_turbopilot.config import Turbopilot, TurbopilotRemote
from jupyter_turbopilot.context.facts import Facts, read_facts
from jupyter_turbopilot.engine.base import Abilities
from jupyter_turbopilot.engine.worker import Worker
from jupyter_turbopilot.generation import Token

from ..scripted_engine import ScriptedEngine
from .desk import Desk, heard, request


def test_while_the_machine_is_needed_nothing_is_done_ahead(desk: Callable[..., Desk]) -> None:
    d = desk("a")
    d.resting = True
    for trigger in ("warm", "ahead"):
        (reply,) = d.ask(request("x = ", trigger=trigger))
        assert (reply.items, reply.finish_reason) == ((), "yielded")
    assert d.engine.asks == []
    assert d.texts(request("x = ", trigger="automatic", eagerness="always")) == ["a"]


def test_what_was_not_worth_showing_is_counted_where_nobody_asked_for_it(desk: Callable[..., Desk]) -> None:
    d = desk("a + b", probability=0.1)
    for trigger in ("automatic", "ahead"):
        d.ask(request("x = ", trigger=trigger))
    assert d.completer.counters["hidden"] == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"prompt_tokens": 99},
        {"suffix_tokens": 9},
        {"max_lines": 3},
        {"token_healing": False},
        {"move_suffix": False},
        {"engine": "remote"},
        {"remote": TurbopilotRemote(send_documents=True)},
        {"remote": TurbopilotRemote(send_kernel_facts=True)},
        {"remote": TurbopilotRemote(urls=["http://127.0.0.1:1/v1"])},
        {"remote": TurbopilotRemote(model="other")},
        {"remote": TurbopilotRemote(vocabulary="none")},
        {"remote": TurbopilotRemote(fim="none")},
    ],
)
def test_a_setting_that_makes_other_answers_makes_them_another_engines(changed: dict[str, object]) -> None:
    engine = ScriptedEngine()
    assert identity_of(engine, Turbopilot(**changed)) != identity_of(engine, Turbopilot())
    assert identity_of(engine, Turbopilot(deadline=1.0)) == identity_of(ScriptedEngine(), Turbopilot())


def test_another_engine_or_another_context_size_is_another_engine() -> None:
    renamed = ScriptedEngine()
    renamed.identity = "other"
    named = ScriptedEngine()
    named.name = "other"
    engines = (ScriptedEngine(), ScriptedEngine(context_size=512), renamed, named)
    assert len({identity_of(engine, Turbopilot()) for engine in engines}) == 4


def test_so_is_the_same_engine_for_files_in_another_folder() -> None:
    assert identity_of(ScriptedEngine(), Turbopilot(), "a") != identity_of(
        ScriptedEngine(), Turbopilot(), "b"
    )


def test_what_addresses_answers_are_from_is_said_without_a_secret() -> None:
    said = identity_of(
        ScriptedEngine(),
        Turbopilot(remote=TurbopilotRemote(urls=["https://me:hunter2@host:1/v1?key=hunter2"])),
    )
    assert "host:1/v1" in said
    assert "hunter2" not in said


@pytest.mark.parametrize("lasting", [True, False])
def test_answers_of_an_engine_that_may_answer_otherwise_tomorrow_are_not_kept(lasting: bool) -> None:
    kept: list[Answer] = []
    engine = ScriptedEngine("1")
    engine.abilities = Abilities(lasting=lasting)
    completer = Completer(Worker(), Turbopilot(), Results(1 << 20, kept.append))
    completer.answer_from(engine)
    completer.results.remember(Place("g", "x", lasts=True), [Token(b"1", 0.9)], ended=True)
    assert len(kept) == lasting
    assert completer.results.find(Place("g", "x"))


def test_the_same_facts_after_another_execution_know_the_answer_and_other_facts_do_not(
    desk: Callable[..., Desk],
) -> None:
    d = desk("1")

    def ask(facts: Facts) -> None:
        heard(d.begin(request("x = "), facts=facts)[1])

    for kind in ("int", "int", "str"):
        ask(read_facts({"names": {"y": {"type": kind}}}))
    assert len(d.engine.asks) == 2
