from __future__ import annotations

from collections.abc import Callable

import pytest

from jupyter_turbopilot.request import Cell, Completion

from .desk import Desk, request


def test_the_prompt_holds_context_prefix_and_suffix_in_the_models_own_form(desk: Callable[..., Desk]) -> None:
    d = desk("1")
    cells = [Cell(source="import os"), Cell(source="x = \nprint(x)"), Cell(source="y")]
    d.ask(Completion(cells=cells, active=1, offset=4))
    assert d.engine.prompts == ["<|fim_prefix|>import os\n\ny\n\nx = <|fim_suffix|>\nprint(x)<|fim_middle|>"]


def test_a_credential_is_no_context(desk: Callable[..., Desk]) -> None:
    d = desk("1")
    d.ask(
        Completion(cells=[Cell(source="password = 'hunter22'\na = 1"), Cell(source="b")], active=1, offset=1)
    )
    assert "hunter22" not in d.engine.prompts[0]
    assert "a = 1" in d.engine.prompts[0]


def test_warming_reads_the_prompt_and_writes_nothing(desk: Callable[..., Desk]) -> None:
    d = desk("a b c")
    (reply,) = d.ask(request(trigger="warm"))
    assert [item.text for item in reply.items] in ([], [""])
    assert d.engine.samplings[0].max_tokens == 0


@pytest.mark.parametrize("source", ["", " ", "\n\n"])
def test_nothing_to_go_by_is_no_error(desk: Callable[..., Desk], source: str) -> None:
    assert desk("x = 1").ask(request(source))[-1].error is None


def test_a_prefix_ten_times_the_context_is_cut_at_the_far_end(desk: Callable[..., Desk]) -> None:
    d = desk("1", context_size=512)
    long = "".join(f"line {number}\n" for number in range(1000))
    d.ask(request(long + "x = "))
    assert d.engine.prompts[0].split("<|fim_suffix|>")[0].endswith("x = ")
    assert len(d.engine.tokenize(d.engine.prompts[0])) < 512 + 40


def test_another_cell_below_or_another_path_is_another_question(desk: Callable[..., Desk]) -> None:
    d = desk("1")
    for path, below in (("a", "x"), ("b", "x"), ("b", "y")):
        d.ask(Completion(cells=[Cell(source="q"), Cell(source=below)], active=0, offset=1, path=path))
    assert len(d.engine.asks) == 3
