from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest

from jupyter_turbopilot.protocol.errors import TurbopilotError
from jupyter_turbopilot.util.notebook_file import NotebookCell
from turbopilot_research.train.corpus import TrainingDocument, clean, read, split, split_into_parts

GOOD = "import numpy as np\nvalues = np.arange(12)\nprint(values.mean())\n"


def notebook(path: Path, *sources: str, language: str = "python") -> Path:
    cells = [{"cell_type": "code", "source": source} for source in sources]
    cells.insert(0, {"cell_type": "markdown", "source": ["# Title\n", "and text"]})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": cells, "metadata": {"kernelspec": {"language": language}}}))
    return path


def one(code: str, name: str = "a.ipynb", group: str = "a", language: str = "python") -> TrainingDocument:
    return TrainingDocument(name, (NotebookCell("code", code),), language, group)


def test_read_searches_folders_and_skips_private_files(tmp_path: Path) -> None:
    notebook(tmp_path / "work" / "one.ipynb", GOOD)
    (tmp_path / "work" / "tool.py").write_text(GOOD)
    (tmp_path / "work" / "model.R").write_text("fit <- lm(y ~ x)\n")
    notebook(tmp_path / ".ipynb_checkpoints" / "one.ipynb", GOOD)
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "a.js").write_text("let a = 1\n")
    (tmp_path / "secrets.py").write_text("a = 1\n")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    (tmp_path / "broken.ipynb").write_text("{")
    (tmp_path / "odd.ipynb").write_text('{"cells": [{"cell_type": "code"}]}')
    (tmp_path / "latin.py").write_bytes(b"# caf\xe9\n")
    found = {document.name: document for document in read([tmp_path])}
    assert sorted(found) == ["work/model.R", "work/one.ipynb", "work/tool.py"]
    assert found["work/one.ipynb"].cells == (
        NotebookCell("markdown", "# Title\nand text"),
        NotebookCell("code", GOOD),
    )
    assert found["work/model.R"].language == "r"


def test_read_accepts_compressed_and_plain_corpora(tmp_path: Path) -> None:
    lines = "\n".join(
        json.dumps(line) for line in ({"p": "pkg", "t": GOOD}, {"p": "pkg", "c": [["code", GOOD]], "l": "r"})
    )
    (tmp_path / "a.jsonl").write_text(lines)
    (tmp_path / "a.jsonl.xz").write_bytes(lzma.compress(lines.encode()))
    for name in ("a.jsonl", "a.jsonl.xz"):
        text, cells = read([tmp_path / name])
        assert text.group == cells.group == "pkg"
        assert text.code.strip() == GOOD.strip()
        assert cells.language == "r"


@pytest.mark.parametrize("content", [b"no json", b'{"p": 1}', b'{"c": [1]}', b"[]"])
def test_read_refuses_an_invalid_corpus(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    with pytest.raises(TurbopilotError, match="is not a prepared corpus"):
        list(read([tmp_path / "a.jsonl"]))
    (tmp_path / "a.xz").write_bytes(content)
    with pytest.raises(TurbopilotError, match="is not a prepared corpus"):
        list(read([tmp_path / "a.xz"]))


def test_clean_removes_and_counts_copies_secrets_and_invalid_code() -> None:
    found = clean(
        [
            one(GOOD),
            one(GOOD.replace("\n", "\n\n"), name="copy"),
            one("password = 'correct horse battery'\nimport os\n", name="secret"),
            one("def (:\n", name="broken"),
            one("   \n", name="empty"),
            one("def (:\n", name="other", language="julia"),
        ]
    )
    assert [document.name for document in found.documents] == ["a.ipynb", "secret", "other"]
    assert found.documents[1].code == "import os\n"
    assert dict(found.left_out) == {
        "duplicated": 1,
        "lines that look like secrets": 1,
        "unparsable": 1,
        "without code": 1,
    }
    assert "3 documents" in found.summary()
    assert "1 duplicated" in found.summary()


def test_clean_removes_unusually_large_documents_and_long_lines() -> None:
    usual_ones = [one(f"{GOOD}a = {n}\n", name=str(n)) for n in range(150)]
    huge = one(GOOD * 1000, name="huge")
    long = one(f"data = '{'x' * 5000}'", name="long")
    found = clean([*usual_ones, huge, long])
    assert {"huge", "long"}.isdisjoint(document.name for document in found.documents)
    assert len(found.documents) >= 148


def test_split_keeps_groups_together_and_is_reproducible() -> None:
    documents = [one(GOOD, name=str(n), group=f"g{n // 3}") for n in range(30)]
    learnt, held = split(documents, 0.2)
    assert len(held) == 6
    assert {d.group for d in learnt}.isdisjoint(d.group for d in held)
    assert split(documents[::-1], 0.2)[1] == held[::-1]
    assert split(documents, 0.0) == (documents, [])
    assert split(documents[:2], 0.5) == (documents[:2], [])


def test_in_parts_splits_files_but_not_notebooks(tmp_path: Path) -> None:
    text = "\n\n".join(f"def scale{number}(value):\n    return value * {number}\n" for number in range(60))
    (tmp_path / "a.py").write_text(text)
    (tmp_path / "b.kt").write_text("fun main() {}\n")
    file, other = read([tmp_path])
    assert [cell.source for cell in file.cells] == [text]
    assert other.language == "kotlin"
    parts = split_into_parts(file).cells
    assert len(parts) > 4
    assert max(len(part.source) for part in parts) <= 600
    assert " ".join(part.source for part in parts).split() == text.split()
    book = TrainingDocument("a.ipynb", (NotebookCell("markdown", "# A"), NotebookCell("code", text)))
    assert split_into_parts(book) is book
