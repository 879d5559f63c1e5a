from __future__ import annotations

import random
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.analysis.kernel_context import KernelContext, ObjectInfo
from jupyter_turbopilot.context.notebook import gather
from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.engine.load.plan import LoadPlan
from jupyter_turbopilot.prompt.layout import Layout
from jupyter_turbopilot.protocol.request import Cell, Completion
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.util.notebook_file import NotebookCell
from tests.tiny_model import write_tiny_model
from turbopilot_research.train.corpus import TrainingDocument
from turbopilot_research.train.samples import (
    BRANCHES,
    NEAR,
    PLAIN,
    Example,
    branches_of,
    examples,
    sample,
)

from .conftest import CELLS, END

DOCUMENT = TrainingDocument("a.ipynb", CELLS, group="a")


def text_of(layout: Layout, tokens: tuple[int, ...]) -> str:
    return b"".join(layout.vocabulary.piece(token) for token in tokens).decode()


@given(st.integers(0, 10_000), st.sampled_from([1, 2, 3]))
def test_examples_split_the_cell_into_request_and_future(seed: int, active: int) -> None:
    source = CELLS[active].source
    for example in examples(random.Random(seed), DOCUMENT, active, BRANCHES, 6):
        request = example.request
        assert request.prefix + example.future + request.suffix == source
        assert example.future.strip()
        assert example.whole
        assert [cell.source for cell in request.cells[: request.active]] == [
            cell.source for cell in CELLS[:active]
        ]


def test_sample_contains_kernel_context(layout: Layout) -> None:
    kernel = KernelContext(names={"sales": ObjectInfo(type="DataFrame", columns=["revenue"])})
    request = Completion(cells=[Cell(source="sales[")], offset=6, path="a.ipynb")
    made = sample(random.Random(1), Example(request, "'revenue']", whole=True), layout, END, 0.4, kernel)
    assert made
    prompt = text_of(layout, made.prompt)
    assert "# sales: DataFrame with revenue" in prompt


def test_sample_is_the_prompt_of_inference_and_the_following_text(layout: Layout) -> None:
    request = Completion(cells=[Cell(source="import os\nos.pa")], offset=15, path="a.ipynb")
    made = sample(random.Random(1), Example(request, "th.join(a, b)\nprint(1)", whole=True), layout, END, 0.4)
    assert made
    assert list(made.prompt) == layout.prompt(request, gather(request)).tokens
    assert text_of(layout, made.answer).startswith("th.join(a, b)")


def test_sample_answer_starts_with_the_healed_token(tmp_path: Path) -> None:
    path = write_tiny_model(tmp_path / "merged.gguf", merges=[("p", "a")])
    engine = LlamaEngine(path, LoadPlan(256, 1), name="merged")
    layout = Layout(engine, Turbopilot(prompt_tokens=64, max_tokens=40))
    request = Completion(cells=[Cell(source="os.pa")], offset=5, path="a.ipynb")
    made = sample(random.Random(1), Example(request, "th.join(a, b)", whole=True), layout, END, 0.4)
    assert made
    assert text_of(layout, made.answer).startswith("path.join(a, b)")
    engine.close()


@given(seed=st.integers(0, 200))
def test_sample_answer_ends_only_where_the_text_ends(seed: int, layout: Layout) -> None:
    request = Completion(cells=[Cell(source="x = (")], offset=5, path="a.ipynb")
    rng = random.Random(seed)
    made = sample(rng, Example(request, "1, 2)", whole=True), layout, END, 0.4)
    assert made
    assert made.answer[-1] == END
    cut = sample(rng, Example(request, "1, 2)", whole=False), layout, END, 0.4)
    assert cut
    assert END not in cut.answer
    line = sample(rng, Example(request, "1, 2)\nmore(values)", whole=False), layout, END, 0.4)
    assert line
    assert text_of(layout, line.answer) in {"1, 2)\n", "1, 2)\nmore(values)"}


@given(seed=st.integers(0, 200))
def test_branches_train_on_the_text_before_the_cursor_once(seed: int, layout: Layout) -> None:
    found = branches_of(random.Random(seed), DOCUMENT, 2, layout, END)
    assert found[0].text > 1
    assert all(example.text == 0 for example in found[1:])
    marks = set(layout.form.markers.values())
    assert marks.isdisjoint(found[0].prompt[1 : found[0].text])


def test_examples_of_a_file_use_only_nearby_text() -> None:
    text = "".join(f"value{number} = compute({number})\n" for number in range(2000)).rstrip()
    file = TrainingDocument("a.py", (NotebookCell("code", text),))
    found = list(examples(random.Random(1), file, 0, PLAIN, 50))
    for example in found:
        cell = example.request
        assert len(cell.prefix) <= NEAR + 40
        assert len(cell.suffix) <= NEAR
        assert cell.prefix + example.future + cell.suffix in text
        assert cell.prefix.startswith("value")
    assert max(len(example.request.prefix) for example in found) > NEAR - 40
    assert {bool(example.request.suffix) for example in found} == {True, False}
