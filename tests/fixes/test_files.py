from __future__ import annotations

from typing import Any

import pytest

from jupyter_turbopilot.analysis.report import Folder, KernelError, KernelReport
from jupyter_turbopilot.fixes.failed_cell import FailedCell
from jupyter_turbopilot.fixes.files import find
from jupyter_turbopilot.protocol.fix import Fix
from jupyter_turbopilot.protocol.request import FixCell

FOLDERS = [
    Folder(path=".", names=["data/", "notes.txt", "a1.csv", "a2.csv"]),
    Folder(path="data", names=["measurements.csv", "stations.csv", "it's.csv", "weather.csv"]),
    Folder(path="data/old", names=["weather.csv"]),
]


def fixes(*sources: str, path: str, folders: list[Folder] = FOLDERS, reported: bool = True) -> list[Fix]:
    """Return the fixes for the error of the last cell."""
    failure = FailedCell(
        cells=[FixCell(source=source, execution_count=n) for n, source in enumerate(sources)],
        failed=len(sources) - 1,
        name="FileNotFoundError",
        message=f"[Errno 2] No such file or directory: {path!r}",
        traceback=[f"Cell In[{len(sources) - 1}], line 1"],
        report=KernelReport(
            error=KernelError(type="FileNotFoundError", path=path if reported else None), folders=folders
        ),
    )
    return list(find(failure))


def corrected(*sources: str, path: str, **options: Any) -> list[str] | None:
    """Correct the error of the last cell."""
    found = fixes(*sources, path=path, **options)
    if not found:
        return None
    (edit,) = found[0].edits
    results = list(sources)
    cell = sources[edit.cell]
    assert cell[edit.start : edit.end] == edit.old
    assert found[0].run == sorted({edit.cell, len(sources) - 1})
    results[edit.cell] = cell[: edit.start] + edit.text + cell[edit.end :]
    return results


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("data/measurments.csv", "data/measurements.csv"),
        ("data/Stations.csv", "data/stations.csv"),
        ("notes.tx", "notes.txt"),
        ("./note.txt", "./notes.txt"),
        ("stations.csv", "data/stations.csv"),
        ("./stations.csv", "./data/stations.csv"),
        ("dta/stations.csv", "data/stations.csv"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "r"])
def test_find_corrects_a_path(path: str, expected: str, prefix: str) -> None:
    source = f"é = open({prefix}'{path}')"
    assert corrected(source, path=path) == [source.replace(path, expected)]
    assert corrected(source, path=path, reported=False) == [source.replace(path, expected)]


def test_find_does_not_resolve_links() -> None:
    folders = [Folder(path=".", names=["reports.csv"]), Folder(path="link/..", names=["tables/"])]
    assert corrected("open('link/../report.csv')", path="link/../report.csv", folders=folders) is None
    folders = [Folder(path="link/..", names=["reports.csv"])]
    assert corrected("open('reports.csv')", path="reports.csv", folders=folders) == [
        "open('link/../reports.csv')"
    ]


def test_find_corrects_a_literal_in_another_cell() -> None:
    cells = ["%ls\nPATH = 'data/station.csv'", "open(PATH)"]
    assert corrected(*cells, path="data/station.csv") == ["%ls\nPATH = 'data/stations.csv'", "open(PATH)"]


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("open('data/station.csv'); 'data/station.csv'", "data/station.csv"),
        ("open('data/' + name)", "data/station.csv"),
        ("open(f'data/station.csv')", "data/station.csv"),
        ("open(f'{note:note.txt}')", "note.txt"),
        ("open('a3.csv')", "a3.csv"),
        ("open('unrelated.bin')", "unrelated.bin"),
        ("open('weather.csv')", "weather.csv"),
        ("open('data/its.csv')", "data/its.csv"),
        ("# 'notes.tx'", "notes.tx"),
        ("open('notes.tx') +", "notes.tx"),
    ],
)
def test_find_offers_nothing(source: str, path: str) -> None:
    assert corrected(source, path=path) is None


@pytest.mark.parametrize(
    ("name", "code", "title"),
    [
        ("rep\u202eort1.csv", r"open('rep\u202eort1.csv')", r"Did you mean 'rep\u202eort1.csv'?"),
        ("report\u20281.csv", r"open('report\u20281.csv')", r"Did you mean 'report\u20281.csv'?"),
    ],
)
def test_find_escapes_formatting_characters(name: str, code: str, title: str) -> None:
    folders = [Folder(path=".", names=[name])]
    assert corrected("open('report1.csv')", path="report1.csv", folders=folders) == [code]
    assert fixes("open('report1.csv')", path="report1.csv", folders=folders)[0].title == title
    assert not fixes("open(f'report1.csv')", path="report1.csv", folders=folders)
