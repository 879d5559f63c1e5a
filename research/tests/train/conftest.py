from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jupyter_turbopilot.cli import parser
from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.engine.load.plan import LoadPlan
from jupyter_turbopilot.prompt.layout import Layout
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.util.notebook_file import NotebookCell
from turbopilot_research.train.corpus import TrainingDocument
from turbopilot_research.train.options import TrainingOptions

END = 256
CELLS = (
    NotebookCell("markdown", "# Prices"),
    NotebookCell("code", "import pandas as pd\nframe = pd.read_csv('prices.csv')\nframe.head()"),
    NotebookCell(
        "code", "frame['mean'] = frame['price'].rolling(20).mean()\nframe['mean'].plot(figsize=(8, 3))"
    ),
    NotebookCell(
        "code",
        "def normed(column):\n    low, high = column.min(), column.max()\n    return (column - low) / high",
    ),
)


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> Iterator[LlamaEngine]:
    """An engine whose tokens are single bytes."""
    engine = LlamaEngine(tiny_model, LoadPlan(1024, 1), name="tiny")
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def layout(engine: LlamaEngine) -> Layout:
    return Layout(engine, Turbopilot(prompt_tokens=256, max_tokens=40))


@pytest.fixture
def documents() -> list[TrainingDocument]:
    return [
        TrainingDocument(
            f"{n}.ipynb",
            tuple(replace(cell, source=cell.source.replace("frame", f"frame{n}")) for cell in CELLS),
            group=str(n),
        )
        for n in range(4)
    ]


@pytest.fixture
def options(tmp_path: Path) -> TrainingOptions:
    """The options of `train work`, a short training."""
    asked = ["train", "work", "-o", str(tmp_path / "to.gguf"), "--minutes", "0.02", "--rank", "4"]
    return TrainingOptions(**vars(parser().parse_args(asked)))
