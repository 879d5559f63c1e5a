from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.plugins.evaluate import replay
from jupyter_turbopilot.terminal.in_process import InProcess

from ...terminal.commands.running import run

NOTEBOOKS = Path(__file__).parents[2] / "data"


def test_eval_replays_notebooks_and_writes_a_report(
    capsys: pytest.CaptureFixture[str], own: str, tmp_path: Path
) -> None:
    report = tmp_path / "report.md"
    asked = ("-m", own, "--requests", "6", "--eagerness", "always", "--report", str(report))
    status, out, err = run(capsys, "eval", str(NOTEBOOKS), *asked)
    assert status == 0, err
    assert "always, append" in out
    assert f"Written: {report}" in out
    assert "2 notebooks of data" in report.read_text()


def test_eval_clears_cached_completions_between_settings(
    capsys: pytest.CaptureFixture[str], own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[int] = []
    by_keystrokes = replay.by_keystrokes

    def watched(local: InProcess, *given: Any) -> replay.TypingResult:
        known.append(local.pilot.completer.results.size)
        typed = by_keystrokes(local, *given)
        assert local.pilot.completer.results.size
        return typed

    monkeypatch.setattr(replay, "by_keystrokes", watched)
    status, _, err = run(
        capsys, "eval", str(NOTEBOOKS), "-m", own, "--requests", "6", "--eagerness", "always", "always"
    )
    assert (status, known) == (0, [0, 0]), err


def test_eval_replays_half_of_the_notebooks_and_refuses_a_single_one(
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
    assert "1 notebook of data" in report.read_text()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["nope"], "nope does not exist. Pass a notebook"),
        (["empty"], "There are no notebooks with code in empty"),
        (["text.txt"], "text.txt is neither a notebook nor a prepared set"),
        (["damaged.ipynb"], "damaged.ipynb is not a valid notebook"),
        (["short.ipynb"], "short.ipynb has no code cell of more than 40 characters"),
        (["one.ipynb", "--half", "held-out"], "--half held-out needs at least two notebooks"),
        (["one.ipynb", "--index", "siblings"], "--index siblings needs at least two notebooks"),
        (["one.ipynb", "--index", "nope"], "There is no folder nope"),
        (["one.ipynb", "--trace", "hop"], "no cells that are suitable for --trace hop"),
        (["one.ipynb", "--kernel", "nope"], "There is no kernel nope"),
        (["nope", "--humaneval"], "HumanEval could not be read from nope"),
        (["text.txt", "--humaneval"], "HumanEval could not be read from text.txt"),
    ],
)
def test_eval_refuses_invalid_sources(
    capsys: pytest.CaptureFixture[str],
    own: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    why: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("text.txt").write_text("text")
    Path("damaged.ipynb").write_text("{")
    for name, code in (
        ("short", "x = 1"),
        ("one", "numbers = [1, 2, 3]\ntotal = sum(numbers) + len(numbers)"),
    ):
        cells = [{"cell_type": "code", "source": code}]
        Path(f"{name}.ipynb").write_text(json.dumps({"cells": cells}))
    status, out, err = run(capsys, "eval", *arguments, "-m", own)
    assert (status, out) == (2, "")
    assert why in err


def test_eval_prints_no_interval_for_one_notebook(
    capsys: pytest.CaptureFixture[str], own: str, tmp_path: Path
) -> None:
    path = tmp_path / "one.ipynb"
    cells = [{"cell_type": "code", "source": "numbers = [1, 2, 3]\ntotal = sum(numbers) + len(numbers)"}]
    path.write_text(json.dumps({"cells": cells}))
    status, out, err = run(capsys, "eval", str(path), "-m", own, "--requests", "6", "--eagerness", "always")
    assert status == 0, err
    assert " to " not in out
    assert "they need at least two notebooks" in out
