from __future__ import annotations

from jupyter_turbopilot.commands.size_report import Sized, words
from jupyter_turbopilot.evaluate.crowd import Measured
from jupyter_turbopilot.evaluate.sizing import Demand, ModelMemory, memory_needed

DEMAND = Demand(300, 0.3, 0.2, 0.25)
MODEL = ModelMemory(500_000_000, 100_000_000, 12288.0, 4096)
MEMORY = memory_needed(DEMAND, 8, MODEL)
SIZED = Sized(DEMAND, 0.6, 8, "given", "measured here", (Measured(3, 40.0, 180, 24.0),), MODEL, MEMORY)


def test_what_is_measured_and_what_is_assumed_stand_beside_each_figure() -> None:
    rows = {line.strip()[:20]: line for line in words(SIZED).splitlines()}
    assert "assumed" in rows["share typing at once"]
    assert rows["seconds of a replica"].endswith("measured here")


def test_the_memory_comes_with_the_setting_that_gives_it() -> None:
    assert "c.Turbopilot.sequences_memory = 604" in words(SIZED)


def test_one_is_singular() -> None:
    one = Sized(Demand(1, 0.1, 0.1, 0.1), 0.6, 1, "given", "given", (), None, None)
    assert words(one).startswith("1 replica: ")
