"""The figures that the documents take from benchmarks/RESULTS.md."""

from __future__ import annotations

from pathlib import Path

import headline
import pytest

RESULTS = """
| | measured | target |
| --- | --- | --- |
| time of a key | 0.41 | 0.5 |
| memory | 697 MB | |

| | measured | target |
| --- | --- | --- |
| bytes | 340 | 400 |
"""


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "RESULTS.md"
    path.write_text(RESULTS)
    monkeypatch.setattr(headline, "RESULTS", path)
    return path


def test_a_figure_is_found_by_the_beginning_of_its_row(results: Path) -> None:
    assert headline.figure("time of") == "0.41"
    assert headline.figure("bytes", 1) == "400"


@pytest.mark.parametrize("more", ["| time of a key | 0.99 | |\n", "| time of a day | 0.99 | |\n"])
def test_a_row_that_is_there_twice_is_refused(results: Path, more: str) -> None:
    results.write_text(RESULTS + more)
    with pytest.raises(LookupError, match="2 rows that begin with 'time of'"):
        headline.figure("time of")


def test_a_row_that_is_missing_is_refused(results: Path) -> None:
    with pytest.raises(LookupError, match="0 rows"):
        headline.figure("speed")


def test_the_tables_of_the_documents_can_be_made() -> None:
    for make in (headline.gains, headline.beside_llama_server, headline.quality, headline.eagerness):
        assert make()
