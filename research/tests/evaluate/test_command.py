from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.cli import main
from tests.terminal.commands.running import run
from turbopilot_research.evaluate import replay
from turbopilot_research.evaluate.sources import API_KEY, OwnSource

from .completion_server import completing

NOTEBOOKS = Path(__file__).parents[3] / "tests" / "data"


def test_eval_replays_notebooks_and_writes_a_report(
    capsys: pytest.CaptureFixture[str], own: str, tmp_path: Path
) -> None:
    report = tmp_path / "report.md"
    asked = ("-m", own, "--requests", "6", "--eagerness", "always", "--report", str(report))
    status, out, err = run(capsys, "eval", "notebooks", str(NOTEBOOKS), *asked)
    assert status == 0, err
    assert "always, append" in out
    assert f"Written: {report}" in out
    assert "2 notebooks of data" in report.read_text()


def test_eval_clears_cached_completions_between_settings(
    capsys: pytest.CaptureFixture[str], own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    known: list[int] = []
    by_keystrokes = replay.by_keystrokes

    def watched(source: OwnSource, *given: Any, **options: Any) -> replay.TypingResult:
        results = source.local.pilot.completer.results
        known.append(results.size)
        typed = by_keystrokes(source, *given, **options)
        assert results.size
        return typed

    monkeypatch.setattr(replay, "by_keystrokes", watched)
    asked = ("-m", own, "--requests", "6", "--eagerness", "always", "always")
    status, _, err = run(capsys, "eval", "notebooks", str(NOTEBOOKS), *asked)
    assert (status, known) == (0, [0, 0]), err


def test_eval_replays_half_of_the_notebooks_and_refuses_a_single_one(
    capsys: pytest.CaptureFixture[str], own: str, tmp_path: Path
) -> None:
    report = tmp_path / "report.md"
    asked = ("-m", own, "--requests", "3", "--half", "held-out", "--report", str(report))
    run(capsys, "eval", "notebooks", str(NOTEBOOKS), *asked)
    assert "1 notebook of data" in report.read_text()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("notebooks nope", "nope does not exist. Pass a notebook"),
        ("notebooks empty", "There are no notebooks with code in empty"),
        ("notebooks text.txt", "text.txt is neither a notebook nor a prepared set"),
        ("notebooks damaged.ipynb", "damaged.ipynb is not a valid notebook"),
        ("notebooks short.ipynb", "short.ipynb has no code cell of more than 40 characters"),
        ("notebooks one.ipynb --half held-out", "--half held-out needs at least two notebooks"),
        ("notebooks one.ipynb --sample 2", "--sample 2 needs 2 notebooks, but there are 1"),
        ("index siblings one.ipynb", "`index siblings` needs at least two notebooks"),
        ("index nope one.ipynb", "There is no folder nope"),
        ("notebooks one.ipynb --trace hop", "no cells that are suitable for --trace hop"),
        ("notebooks one.ipynb --kernel nope", "There is no kernel nope"),
        ("server http://127.0.0.1/ one.ipynb", "is not a URL whose path ends with /infill"),
        ("server http://a:b@127.0.0.1/x one.ipynb", "http://127.0.0.1/x is not a URL"),
    ],
)
def test_eval_refuses_invalid_sources(
    capsys: pytest.CaptureFixture[str],
    own: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    line: str,
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
    status, out, err = run(capsys, "eval", *line.split(), "-m", own)
    assert (status, out) == (2, "")
    assert why in err


@pytest.mark.parametrize(
    "line",
    [
        "notebooks",
        "notebooks a --clock --trace hop",
        "notebooks a --template x",
        "server http://127.0.0.1/infill a --eagerness eager",
        "server http://127.0.0.1/infill a --kernel",
        "compare a --json b",
    ],
)
def test_eval_refuses_options_without_effect(line: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["eval", *line.split()])
    assert ended.value.code == 2


def test_eval_runs_a_kernel_in_real_time(
    capsys: pytest.CaptureFixture[str], own: str, tmp_path: Path
) -> None:
    path = tmp_path / "two.ipynb"
    code = "numbers = [1, 2, 3]", "1 / 0", "total = sum(numbers) + len(numbers) + max(numbers)"
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "source": one} for one in code]}))
    options = ("--clock", "20", "--kernel", "--eagerness", "always")
    status, out, err = run(capsys, "eval", "notebooks", str(path), "-m", own, *options)
    assert status == 0, err
    name = "always, append, 20 ms per keystroke"
    assert f"| {name}, with kernel context | " in out
    assert f"\n{name}, without kernel context: " in out
    assert "before the next keystroke" in out
    assert "two.ipynb failed: cell 1: ZeroDivisionError" in err


def test_eval_prints_no_interval_for_one_notebook(
    capsys: pytest.CaptureFixture[str], own: str, tmp_path: Path
) -> None:
    path = tmp_path / "one.ipynb"
    cells = [{"cell_type": "code", "source": "numbers = [1, 2, 3]\ntotal = sum(numbers) + len(numbers)"}]
    path.write_text(json.dumps({"cells": cells}))
    asked = ("-m", own, "--requests", "6", "--eagerness", "always")
    status, out, err = run(capsys, "eval", "notebooks", str(path), *asked)
    assert status == 0, err
    assert " to " not in out
    assert "they need at least two notebooks" in out


def test_eval_measures_a_server_and_compares_the_result_files(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = [str(tmp_path / "one.json"), str(tmp_path / "two.json")]
    monkeypatch.setenv(API_KEY, "a key")
    for file in files:
        with completing("\n") as server:
            url = server.url("/v1/completions") + "?key=secret"
            asked = ("--requests", "6", "-m", "small", "--template", "{prefix}", "--json", file)
            status, _, err = run(capsys, "eval", "server", url, str(NOTEBOOKS), *asked)
        assert status == 0, err
        assert server.keys == {"Bearer a key"}
    content = json.loads(Path(files[0]).read_text())
    assert "secret" not in str(content)
    assert content["model"] == "small"
    assert content["options"]["template"] == "{prefix}"
    assert content["options"]["trace"] == ["append"]
    page = tmp_path / "page.md"
    status, out, err = run(capsys, "eval", "compare", *files, "--report", str(page))
    assert status == 0, err
    assert f"| one: {content['source']}, append |" in out
    assert "| two | http://127.0.0.1" in page.read_text()


def test_eval_refuses_to_compare_a_missing_file(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "eval", "compare", "nope.json")
    assert status == 2
    assert "nope.json cannot be read" in err
