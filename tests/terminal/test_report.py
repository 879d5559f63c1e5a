from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.protocol.errors import TurbopilotError
from jupyter_turbopilot.terminal.report import write_report


def draw(figure: Any) -> None:
    figure.subplots(1, 1).plot([1, 2])


def test_write_report_writes_reproducible_plots(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    text, plots = write_report(tmp_path / "new" / "report.md", "# Text", draw)
    assert text.read_text("utf-8") == "# Text\n![report](report.svg)\n"
    first = plots.read_bytes()
    write_report(text, "# Text", draw)
    assert plots.read_bytes() == first


def test_write_report_writes_no_plots_without_matplotlib(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert write_report(tmp_path / "report.md", "# Text", draw) == [tmp_path / "report.md"]
    assert (tmp_path / "report.md").read_text("utf-8") == "# Text"


def test_write_report_names_an_unwritable_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TurbopilotError, match="The report could not be written"):
        write_report(tmp_path / "file" / "report.md", "# Text", draw)
