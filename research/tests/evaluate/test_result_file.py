from __future__ import annotations

import json
from pathlib import Path

import pytest

from jupyter_turbopilot.protocol.errors import BadRequestError
from turbopilot_research.evaluate import notebooks, replay, report, result_file, traces

from .conftest import notebook
from .test_replay import Knows, rest_of_line


@pytest.fixture
def written(appended: list[traces.Trace], tmp_path: Path) -> Path:
    typed = replay.by_keystrokes(Knows(rest_of_line), appended, lambda _: None)  # type: ignore[arg-type]
    typed.notebooks["b.ipynb"] = typed.notebooks["a.ipynb"]
    folder = notebook(tmp_path / "a.ipynb")
    made = result_file.Made("llama", "small", "set", {"clock": 200})
    result_file.write(tmp_path / "a.json", made, notebooks.read(folder), {"balanced": typed})
    return tmp_path / "a.json"


def test_write_adds_the_metrics_with_their_intervals(written: Path) -> None:
    content = json.loads(written.read_text())
    assert content["results"]["balanced"]["metrics"]["precision"] == {"value": 1.0, "low": 1.0, "high": 1.0}


def test_compare_returns_the_results_of_all_files(written: Path, tmp_path: Path) -> None:
    other = json.loads(written.read_text()) | {"source": "http://127.0.0.1/infill"}
    (tmp_path / "b.json").write_text(json.dumps(other))
    head, results = result_file.compare([written, tmp_path / "b.json"])
    assert "| b | http://127.0.0.1/infill | small | set |" in head
    assert "do not compare" not in head
    table = report.table(results)
    assert "| a: balanced | 1.000 (1.00 to 1.00)" in table
    assert "| b: balanced | 1.000 (1.00 to 1.00)" in table


def test_compare_keeps_files_of_one_name_apart(written: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / written.name
    other.parent.mkdir()
    other.write_bytes(written.read_bytes())
    _, results = result_file.compare([written, other, written])
    assert [*results] == [f"{written}: balanced", f"{other}: balanced"]


@pytest.mark.parametrize(("options", "differ"), [({"clock": 100}, True), ({"model": "large"}, False)])
def test_digest_depends_on_the_options_of_the_user(
    written: Path, tmp_path: Path, options: dict[str, object], differ: bool
) -> None:
    made = result_file.Made("llama", "small", "set", {"clock": 200} | options)
    result_file.write(tmp_path / "b.json", made, notebooks.read(tmp_path), {})
    digests = {result_file.read(path).digest for path in (written, tmp_path / "b.json")}
    assert (len(digests) == 2) == differ


def test_compare_warns_of_different_notebooks(written: Path, tmp_path: Path) -> None:
    (tmp_path / "b.json").write_text(json.dumps(json.loads(written.read_text()) | {"digest": "other"}))
    assert "do not compare" in result_file.compare([written, tmp_path / "b.json"])[0]


@pytest.mark.parametrize(
    ("text", "why"),
    [("[]", "is not a result file"), (None, "cannot be read"), ("rules", "version 0 of the rules")],
)
def test_read_refuses_other_files(written: Path, tmp_path: Path, text: str | None, why: str) -> None:
    path = tmp_path / "b.json"
    if text:
        path.write_text(
            text if text != "rules" else json.dumps(json.loads(written.read_text()) | {"rules": 0})
        )
    with pytest.raises(BadRequestError, match=why):
        result_file.read(path)
