from __future__ import annotations

from pathlib import Path

from jupyter_turbopilot.util.notebook_file import NotebookCell
from turbopilot_research.train.corpus import TrainingDocument
from turbopilot_research.train.dataset import Dataset, gather
from turbopilot_research.train.options import TrainingOptions


def document(name: str, language: str, cells: int) -> TrainingDocument:
    sources = tuple(
        NotebookCell("code", f"table{number} = load('part')\ntable{number}['total'].plot(figsize=(8, 3))")
        for number in range(cells)
    )
    return TrainingDocument(name, (NotebookCell("markdown", "# Sales"), *sources), language)


def test_languages_require_enough_cells() -> None:
    data = Dataset(
        [document("a", "r", 21), document("b", "r", 20), document("c", "go", 40)], [document("d", "r", 1)]
    )
    assert data.languages() == ["r"]
    assert [document.name for document in data.only("go").training] == ["c"]
    assert data.only("go").held_out == []
    assert [document.name for document in data.only("r").held_out] == ["d"]


def test_gather_reads_only_the_requested_languages(options: TrainingOptions, tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"{number}.py").write_text(f"def scale{number}(value):\n    return value * {number}\n")
        (tmp_path / f"{number}.go").write_text(
            f"func scale{number}(v int) int {{\n\treturn v * {number}\n}}\n"
        )
    asked = options.replace(paths=[tmp_path], held_out=0.5, language=["go"])
    data = gather(asked)
    assert {document.language for document in (*data.training, *data.held_out)} == {"go"}
    assert data.summary.startswith("6 documents")
    assert data.held_out
    everything = gather(asked.replace(language=[]))
    assert everything.summary.startswith("12 documents")
