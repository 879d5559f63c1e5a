from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.evaluate import typist
from jupyter_turbopilot.shell.in_process import InProcess

from .running import run

if TYPE_CHECKING:
    import pytest

NOTEBOOKS = Path(__file__).parent.parent / "data"


def test_notebooks_are_typed_and_the_figures_written(
    capsys: pytest.CaptureFixture[str], own: str, tmp_path: Path
) -> None:
    report = tmp_path / "report.md"
    asked = ("-m", own, "--requests", "6", "--eagerness", "always", "--report", str(report))
    status, out, err = run(capsys, "eval", str(NOTEBOOKS), *asked)
    assert status == 0, err
    assert "always, append" in out
    assert f"written: {report}" in out
    assert "2 notebooks of data" in report.read_text()


def test_one_setting_does_not_know_what_another_asked(
    capsys: pytest.CaptureFixture[str], own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[int] = []
    by_keystrokes = typist.by_keystrokes

    def watched(local: InProcess, *given: Any) -> typist.TypingResult:
        known.append(len(local.pilot.completer.results._answers))
        typed = by_keystrokes(local, *given)
        assert local.pilot.completer.results._answers
        return typed

    monkeypatch.setattr(typist, "by_keystrokes", watched)
    status, _, err = run(
        capsys, "eval", str(NOTEBOOKS), "-m", own, "--requests", "6", "--eagerness", "always", "always"
    )
    assert (status, known) == (0, [0, 0]), err


def test_half_of_the_notebooks_can_be_typed_and_none_is_an_error(
    capsys: pytest.CaptureFixture[str], own: str, tmp_path: Path
) -> None:
    report = tmp_path / "report.md"
    run(
        capsys,
        "eval",
        str(NOTEBOOKS),
        "-m",
        own,
        "--requests",
        "3",
        "--half",
        "held-out",
        "--report",
        str(report),
    )
    assert "1 notebooks of data" in report.read_text()
    status, out, err = run(capsys, "eval", str(tmp_path), "-m", own)
    assert (status, out) == (1, "")
    assert "There are no notebooks with code" in err
