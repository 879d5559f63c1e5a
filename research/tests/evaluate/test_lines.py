from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from jupyter_turbopilot.util.notebook_file import NotebookCell
from turbopilot_research.evaluate.lines import Cursor, ExactLines, complete, gain, positions
from turbopilot_research.evaluate.notebooks import TypedNotebook

if TYPE_CHECKING:
    from jupyter_turbopilot.protocol.request import Completion


def notebook(*sources: str) -> TypedNotebook:
    cells = tuple(NotebookCell("code", source) for source in sources)
    return TypedNotebook("a", cells, typed=tuple(range(len(cells))))


def lines(*exact: tuple[int, bool]) -> ExactLines:
    """Return completions at positions in notebooks."""
    return ExactLines({Cursor(number, 0, at): right for at, (number, right) in enumerate(exact)})


def test_places_are_spread_and_followed_by_text() -> None:
    notebooks = [
        notebook("alpha = 1\n\nbeta = alpha + 2\n"),
        notebook("print('x')"),
        notebook(),
    ]
    chosen = positions(notebooks, 12)
    assert len(chosen) == 12
    assert {place.notebook for place in chosen} == {0, 1}
    for number, cell, at, within in chosen:
        text = notebooks[number].sources[cell]
        line, _, below = text[at:].partition("\n")
        assert line.strip()
        assert below.strip() or not within
    assert positions(notebooks, 12) == chosen
    assert {place.within for place in positions(notebooks, 10_000)} == {True, False}
    assert len(positions(notebooks, 10_000)) < 100  # all positions
    assert positions([], 5) == []


class Answering:
    """Answers each request with the same text, and records the requests."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.asked: list[tuple[str, str]] = []

    def last(self, request: Completion) -> Any:
        self.asked.append((request.prefix, request.suffix))
        return SimpleNamespace(items=[SimpleNamespace(text=self.text)], timings=SimpleNamespace(total_ms=1.0))


def test_complete_keeps_the_lines_below_only_within_a_cell() -> None:
    local: Any = Answering("= 1")
    chosen = [Cursor(0, 0, 6), Cursor(0, 0, 6, within=True), Cursor(0, 0, 16, within=True)]
    answers = complete(local, [notebook("alpha = 1\nbeta = 22\ngamma = 3")], chosen, lambda _: None)
    assert local.asked == [
        ("alpha ", ""),
        ("alpha ", "\nbeta = 22\ngamma = 3"),
        ("alpha = 1\nbeta =", "\ngamma = 3"),
    ]
    assert answers.exact == {chosen[0]: True, chosen[1]: True, chosen[2]: False}
    assert answers.of(within=True).share == 0.5
    assert answers.of(within=False).share == 1.0


def test_gain_is_claimed_only_if_significant() -> None:
    before = lines(*[(n, False) for n in range(40)])
    after = lines(*[(n, n % 2 == 0) for n in range(40)])
    helped = gain(before, after)
    assert helped.summary.startswith(
        "It helps. 0.0% of 40 lines completed exactly without, 50.0% with: +50.0 points"
    )
    assert gain(after, before).summary.startswith("It makes completions worse: do not use it.")
    assert gain(before, before).summary.startswith("No significant difference")
    assert gain(lines(), lines()).summary.startswith("No significant difference")


def test_gain_compares_only_common_positions() -> None:
    assert gain(lines((0, True), (0, False)), lines((0, True))).positions == 1


def test_gain_resamples_notebooks_instead_of_positions() -> None:
    # Only one notebook gained, at many positions, which is not significant.
    before = lines(*[(n // 20, False) for n in range(80)])
    after = lines(*[(n // 20, n < 20) for n in range(80)])
    result = gain(before, after)
    assert result.after == pytest.approx(0.25)
    assert result.low == 0
