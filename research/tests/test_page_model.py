from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from msgspec import structs
from page_model import PageModel

from jupyter_turbopilot.protocol.request import Cell, Completion
from tests.shared_cases import missing

RECTANGLES = Path(__file__).parents[2] / "labextension" / "ui-tests" / "model" / "rectangles.gguf"
BEGUN = "def area(width, height):\n    ret"  # the model of the browser tests knows the rest


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_page_model_answers_like_a_page() -> None:
    model = PageModel(RECTANGLES, "always")
    with closing(model):
        request = Completion(
            cells=[Cell(source=BEGUN)], offset=len(BEGUN), path="a.ipynb", trigger="automatic"
        )
        answer = model.last(request)
        assert answer.items[0].shown == "urn width * height"
        assert answer.timings.total_ms > 0
        assert model.last(structs.replace(request, eagerness="quiet")).shown in {"", answer.shown}
