from __future__ import annotations

from collections.abc import Callable

import pytest

from jupyter_turbopilot.analysis.kernel_context import KernelContext, ObjectInfo
from jupyter_turbopilot.completer.alternatives import SAMPLED_TEMPERATURE, branches, ranked
from jupyter_turbopilot.completer.plan import Plan
from jupyter_turbopilot.completer.raw_plan import plan_raw
from jupyter_turbopilot.engine.base import Capabilities
from jupyter_turbopilot.protocol.engine_request import RawRequest, Token
from jupyter_turbopilot.protocol.reply import Item
from jupyter_turbopilot.settings.config import Turbopilot

from ..shared_cases import golden
from ..waiting import until
from .desk import Desk, received, request


def test_alternatives_branch_at_the_least_certain_tokens(desk: Callable[..., Desk]) -> None:
    answers = iter(["a + b", " - b", " - b"])
    d = desk(lambda _: next(answers), probability=0.5)
    (reply,) = d.ask(request("x = ", n=3))
    assert sorted(item.text for item in reply.items) == [" - b", "a + b", "a - b"]
    first, *others = d.engine.asks
    assert [ask.sampling.beginning.banned for ask in (first, *others)] == [None, ord("a"), ord("+")]
    assert [list(ask.prompt)[len(first.prompt) :] for ask in others] == [[], [ord("a")]]
    assert {s.temperature for s in d.engine.samplings} == {0.0}


def test_alternatives_begin_with_the_likeliest_even_if_a_prefix(desk: Callable[..., Desk]) -> None:
    answers = iter(["a + b", "c + d", "\n"])
    d = desk(lambda _: next(answers), probability=0.5)
    (reply,) = d.ask(request("x = ", n=3))
    assert {item.text for item in reply.items} == {"a", "a + b", "c + d"}
    confidences = [item.confidence for item in reply.items]
    assert confidences == sorted(confidences, reverse=True)
    assert reply.items[0].text == "a"


def test_alternatives_differ_in_more_than_white_space(desk: Callable[..., Desk]) -> None:
    answers = iter(["x**2", " x ** 2", "x**2 \n"])
    d = desk(lambda _: next(answers))
    (reply,) = d.ask(request("y =", n=3, temperature=0.8))
    assert len(d.engine.asks) == 3
    assert [item.text for item in reply.items] == ["x**2"]


def test_alternatives_are_sampled_without_prefix_constraints(desk: Callable[..., Desk]) -> None:
    answers = iter(["one", "two", "three"])
    d = desk(lambda _: next(answers), probability=0.5)
    d.engine.capabilities = Capabilities(prefix_constraints=False)
    (reply,) = d.ask(request("x = ", n=3))
    assert sorted(item.text for item in reply.items) == ["one", "three", "two"]
    assert [s.temperature for s in d.engine.samplings] == [0.0, SAMPLED_TEMPERATURE, SAMPLED_TEMPERATURE]
    assert len({s.seed for s in d.engine.samplings[1:]}) == 2


def test_remote_server_gets_the_priority_of_typing_after_a_prefetch(desk: Callable[..., Desk]) -> None:
    d = desk("a + b + c", pause=0.01, settings={"eagerness": "always"})
    d.engine.capabilities = Capabilities(remote=True)
    _, prefetch = d.begin(request("x = ", client="tab", trigger="prefetch"))
    until(lambda: d.engine.asks and d.engine.asks[0].usage.predicted_tokens)
    _, typing = d.begin(request("x = ", client="tab", trigger="automatic"))
    assert received(prefetch)[-1].finish_reason == "superseded"
    assert received(typing)[-1].items[0].text == "a + b + c"
    assert [ask.priority for ask in d.engine.asks] == ["prefetch", "typing"]


def item(text: str, *chances: float, confidence: float = 0.5) -> Item:
    return Item(text, confidence, "stop", tokens=tuple(Token(b"x", chance) for chance in chances))


def test_ranked_keeps_the_most_likely_items_and_renumbers_them() -> None:
    drawn = [item("poor", 0.1, 0.2), item("good", 0.9), item("fair", 0.5, 0.6)]
    task = written(RawRequest("x", n=2, best_of=3))
    assert [(one.text, one.index) for one in ranked(drawn, task)] == [("good", 0), ("fair", 1)]
    every = written(RawRequest("x", n=3))
    assert [one.text for one in ranked(drawn, every)] == ["poor", "good", "fair"]


def written(request: RawRequest) -> Plan:
    return plan_raw(request, Turbopilot())


# The least certain tokens first, without certain ones, in the first line with text, never at white space.
@pytest.mark.parametrize(("texts", "chances", "count", "expected"), golden("candidates", "branches"))
def test_branches_are_at_the_least_certain_tokens_of_the_first_line(
    texts: list[str], chances: list[float], count: int, expected: list[list[int]]
) -> None:
    pairs = enumerate(zip(texts, chances, strict=True))
    tokens = [Token(text.encode(), chance, number) for number, (text, chance) in pairs]
    found = branches(tokens, count)
    assert [[len(kept), banned] for kept, banned in found] == expected
    assert all(tokens[: len(kept)] == [*kept] for kept, _ in found)


def test_alternatives_name_only_columns_of_their_table(desk: Callable[..., Desk]) -> None:
    answers = iter(['"week")', '["total"])', 'by="price")'])
    d = desk(lambda _: next(answers), probability=0.5)
    table = ObjectInfo(type="DataFrame", columns=["price", "week"], all=True)
    asked = request("df.sort_values(", n=3, temperature=0.8)
    (reply,) = received(d.begin(asked, kernel_context=KernelContext(names={"df": table}))[1])
    assert sorted(item.text for item in reply.items) == ['"week")', 'by="price")']
