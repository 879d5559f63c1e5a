from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_turbopilot.engine import successor
from jupyter_turbopilot.engine.base import Engine
from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.successor import Successor
from jupyter_turbopilot.protocol.engine_request import EngineRequest, PrefixConstraint, Sampling

from ..scripted_engine import ScriptedEngine

if TYPE_CHECKING:
    import pytest


def advanced(one: Successor, latest: EngineRequest | None, steps: int = 1) -> Engine | None:
    """Return the result of the last step."""
    found = None
    for _ in range(steps):
        found = one.advance(latest, lambda: 3, Cancel())
    return found


def test_advance_loads_then_evaluates_the_latest_prompt() -> None:
    engine, installed = ScriptedEngine("word " * 9), []
    one = Successor(lambda: engine, lambda *given: installed.append(given))
    constrained = Sampling(max_tokens=500, beginning=PrefixConstraint((b"x",)))
    latest = EngineRequest([1, 2, 3], constrained, hint=[4, 5], context_end=2, tenant="ada")
    assert advanced(one, latest) is None
    assert engine.asks == []
    assert advanced(one, latest) is None
    (again,) = engine.asks
    assert (again.prompt, again.context_end, again.tenant) == ([1, 2, 3], 2, "ada")
    assert (again.sampling, again.hint) == (Sampling(max_tokens=1), [])
    assert engine.threads == 3
    assert advanced(one, latest) is engine
    one.install()
    assert installed == [(engine, [1, 2, 3])]
    assert engine.released == 1
    one.close()
    assert not engine.closed


def test_advance_evaluates_a_later_prompt_too() -> None:
    engine = ScriptedEngine("word " * 9)
    one = Successor(lambda: engine, lambda *_: None)
    assert advanced(one, EngineRequest([1]), 2) is None
    latest = EngineRequest([1, 2])
    assert advanced(one, latest) is None
    assert advanced(one, latest) is engine
    assert [request.prompt for request in engine.asks] == [[1], [1, 2]]
    assert engine.released == 1


def test_advance_needs_no_prompt() -> None:
    engine = ScriptedEngine()
    one = Successor(lambda: engine, lambda *_: None)
    assert advanced(one, None, 2) is engine
    assert engine.asks == []


def test_due_waits_for_a_pause_and_after_a_refused_load(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(successor.time, "monotonic", lambda: now)
    engines = iter([None, ScriptedEngine()])
    one = Successor(lambda: next(engines), lambda *_: None)
    assert one.due(50.0) == 50.0 + successor.IDLE
    advanced(one, None)
    assert one.due(50.0) == now + successor.IDLE
    advanced(one, None)
    assert one.due(90.0) == 90.0 + successor.PAUSE
    one.close()
    assert one.due(90.0) == 90.0 + successor.IDLE
