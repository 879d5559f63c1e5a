from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.protocol.errors import TurbopilotError
from turbopilot_research.evaluate import replay, report, traces

from .test_replay import Knows, rest_of_line


def test_report_contains_a_table_with_intervals_and_plots(
    appended: list[traces.Trace], tmp_path: Path
) -> None:
    typed = replay.by_keystrokes(Knows(rest_of_line), appended, lambda _: None)  # type: ignore[arg-type]
    typed.notebooks["b.ipynb"] = typed.notebooks["a.ipynb"]
    written = report.write(tmp_path / "new" / "report.md", "A head.", {"balanced": typed})
    text = written[0].read_text()
    assert "| balanced | 1.000 (1.00 to 1.00)" in text
    assert "balanced, in a word" in text
    assert written[1].suffix == ".svg"
    assert f"({written[1].name})" in text


def test_table_reports_the_gain_only_for_a_pair(appended: list[traces.Trace]) -> None:
    typed = replay.by_keystrokes(Knows(rest_of_line), appended, lambda _: None)  # type: ignore[arg-type]
    typed.notebooks["b.ipynb"] = typed.notebooks["a.ipynb"]
    pair = {"x" + report.WITH_CONTEXT: typed, "x" + report.WITHOUT_CONTEXT: typed}
    assert "saves 1.00 times as much (1.00 to 1.00)" in report.table(pair)
    assert "times as much" not in report.table({"x": typed})


def test_table_gives_no_interval_of_one_notebook(appended: list[traces.Trace]) -> None:
    typed = replay.by_keystrokes(Knows(rest_of_line), appended, lambda _: None)  # type: ignore[arg-type]
    table = report.table({"x" + report.WITH_CONTEXT: typed, "x" + report.WITHOUT_CONTEXT: typed})
    assert "| x, with kernel context | 1.000 |" in table
    assert "saves 1.00 times as much." in table
    assert "they need at least two notebooks" in table


def draw(figure: Any) -> None:
    figure.subplots(1, 1).plot([1, 2])


def test_write_report_writes_reproducible_plots(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    text, plots = report.write_report(tmp_path / "new" / "report.md", "# Text", draw)
    assert text.read_text("utf-8") == "# Text\n![report](report.svg)\n"
    first = plots.read_bytes()
    report.write_report(text, "# Text", draw)
    assert plots.read_bytes() == first


def test_write_report_writes_no_plots_without_matplotlib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert report.write_report(tmp_path / "report.md", "# Text", draw) == [tmp_path / "report.md"]
    assert (tmp_path / "report.md").read_text("utf-8") == "# Text"


def test_write_report_names_an_unwritable_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TurbopilotError, match="The report could not be written"):
        report.write_report(tmp_path / "file" / "report.md", "# Text", draw)
