from __future__ import annotations

from pathlib import Path

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
