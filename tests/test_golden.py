"""The real default model at temperature 0, on completions that are the same on every CPU."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.terminal.in_process import InProcess

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def local(default_models: Path) -> Iterator[InProcess]:
    local = InProcess(Turbopilot(models_dir=str(default_models)))
    yield local
    local.close()


def complete(local: InProcess, *sources: str, offset: int | None = None, **more: object) -> str:
    cells = [Cell(source=source) for source in sources]
    reply = local.last(
        Completion(
            cells=cells,
            active=len(cells) - 1,
            offset=len(sources[-1]) if offset is None else offset,
            **more,  # type: ignore[arg-type]
        )
    )
    return reply.items[0].text if reply.items else ""


@pytest.mark.parametrize("trigger", ["invoke", "automatic"])
def test_it_finishes_the_line_that_mirrors_the_one_above(local: InProcess, trigger: str) -> None:
    source = "class Point:\n    def __init__(self, width, height):\n        self.width = width\n        self."
    assert complete(local, source, trigger=trigger, eagerness="eager") == "height = height"


def test_it_closes_the_recursion(local: InProcess) -> None:
    source = "def fibonacci(n):\n    if n < 2:\n        return n\n    return fib"
    assert complete(local, source).replace(" ", "") == "onacci(n-1)+fibonacci(n-2)"


def test_it_uses_the_cells_above(local: InProcess) -> None:
    assert complete(local, "def add(a, b):\n    return a + b", "assert add(1, 2) ==") == " 3"


def test_it_fills_the_middle_without_repeating_what_follows(local: InProcess) -> None:
    source = "numbers = [1, 2, 3]\nprint(sum(num))"
    assert complete(local, source, offset=len(source) - 2) == "bers"


def test_it_writes_a_body_and_stops_where_it_ends(local: InProcess) -> None:
    text = complete(local, "def is_even(n):\n    ")
    assert text.startswith("return n % 2 == 0")
    assert "\n" not in text


def test_a_control_token_in_the_code_changes_nothing_but_the_text(local: InProcess) -> None:
    text = complete(local, "mark = '<|fim_middle|>'\nx = 1\ny = 2\nprint(x,")
    assert text == " y)"


def test_streamed_text_is_the_unstreamed_text(local: InProcess) -> None:
    request = Completion(cells=[Cell(source="def square(x):\n    ")], offset=19, stream=True)
    frames = [reply.items[0].text for reply in local.replies(request) if reply.items]
    assert frames[-1] == complete(local, "def square(x):\n    ")
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(frames))


def test_returning_to_a_place_gives_the_same_text_from_what_was_read(local: InProcess) -> None:
    source = "values = [3, 1, 2]\nsmallest = min("
    first = complete(local, source)
    complete(local, "import os\n", "print(os.")
    assert complete(local, source) == first == "values)"
