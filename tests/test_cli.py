from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot import cli
from jupyter_turbopilot.errors import BadRequestError, NotWrittenError
from jupyter_turbopilot.models import speed
from jupyter_turbopilot.models.catalog import catalog, find
from jupyter_turbopilot.models.download import pull
from jupyter_turbopilot.models.store import Store
from jupyter_turbopilot.reply import Item, Reply
from jupyter_turbopilot.shell.in_process import InProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jupyter_turbopilot.request import Completion


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


@pytest.fixture
def own(tiny_model: Path, models_folder: Path) -> str:
    (models_folder / "tiny.gguf").write_bytes(tiny_model.read_bytes())
    return str(models_folder / "tiny.gguf")


def test_it_is_a_jupyter_subcommand() -> None:
    said = subprocess.run(
        [str(Path(sys.executable).parent / "jupyter"), "turbopilot", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "doctor" in said.stdout


def test_the_list_names_every_model_of_the_catalogue(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "models", "list")
    assert status == 0
    assert all(name in out for name in catalog())
    assert json.loads(run(capsys, "models", "list", "--json")[1])[0]["name"] == "qwen2.5-coder-0.5b"


def test_a_path_is_printed_and_its_absence_is_the_status(
    capsys: pytest.CaptureFixture[str], own: str
) -> None:
    assert run(capsys, "models", "path", own)[:2] == (0, f"{own}\n")
    status, out, err = run(capsys, "models", "path", "smollm2-135m")
    assert (status, out) == (1, "")
    assert "models pull smollm2-135m" in err
    assert "is not on this machine" in run(capsys, "models", "path", f"{own}.gone.gguf")[2]


def test_a_pull_that_cannot_write_is_one_line_and_no_traceback(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TURBOPILOT_MODELS", str(tmp_path / "file" / "models"))
    status, out, err = run(capsys, "models", "pull", "smollm2-135m", "--mirrors")
    assert (status, out) == (1, "")
    assert "could not be written" in err
    assert len(err.strip().splitlines()) == 1
    # Another source would not help, and JupyterLab's notifications end after 140 characters.
    with pytest.raises(NotWrittenError) as refused:
        pull(Store(tmp_path / "file" / "models"), find("smollm2-135m"))
    assert refused.value.code == "not_written"
    assert len(refused.value.message) < 140


def test_what_the_doctor_measured_is_what_is_recommended_by(
    capsys: pytest.CaptureFixture[str], own: str, models_folder: Path
) -> None:
    assert "guessed" in run(capsys, "models", "recommend")[1]
    run(capsys, "doctor", "-m", own)
    assert "(measured)" in run(capsys, "models", "recommend")[1]
    measured = speed.rate(models_folder)
    speed.remember(models_folder, 2e9)
    speed.remember(models_folder, 1e9, rough=True)
    assert speed.rate(models_folder) == 2e9 != measured


def test_a_file_is_completed_at_a_place(capsys: pytest.CaptureFixture[str], own: str, tmp_path: Path) -> None:
    code = tmp_path / "a.py"
    code.write_text("x = 1\ny = 2\n")
    status, out, _ = run(
        capsys, "complete", str(code), "--line", "1", "--col", "5", "-m", own, "--length", "4", "--json"
    )
    assert status == 0
    assert json.loads(out)["model"] == "tiny.gguf"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("complete", "missing.py"), "cannot be read"),
        (("complete", "FILE", "--line", "9"), "--line 9: there are lines 1 to 2"),
        (("complete", "FILE", "--line", "1", "--col", "99"), "columns 1 to 6"),
        (("models", "pull", "nonsense"), "no model called"),
        (("complete", "FILE"), "models pull"),
    ],
)
def test_an_error_is_one_line_that_says_what_to_do(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    code = tmp_path / "a.py"
    code.write_text("x = 1\ny")
    status, _, err = run(capsys, *(str(code) if a == "FILE" else a for a in arguments))
    assert status == (1 if words == "models pull" else 2)  # 2: what was asked for is wrong
    assert words in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(("finish", "words"), [("stop", "place."), ("deadline", "Turbopilot.deadline.")])
def test_that_there_is_nothing_to_suggest_is_said(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    finish: str,
    words: str,
) -> None:
    (tmp_path / "a.py").write_text("x")
    monkeypatch.setattr(InProcess, "replies", lambda *_: iter([Reply("1", done=True, finish_reason=finish)]))
    status, out, err = run(capsys, "complete", str(tmp_path / "a.py"))
    assert (status, out) == (1, "")
    assert "no suggestion for this place" in err
    assert err.endswith(f"{words}\n")


@pytest.mark.parametrize(
    ("name", "options", "language"),
    [("a.R", [], "r"), ("a.jl", [], "julia"), ("a", [], "python"), ("a.R", ["--language", "s"], "s")],
)
def test_the_name_of_a_file_says_its_language(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, options: list[str], language: str
) -> None:
    asked: list[Completion] = []

    def replies(_: InProcess, request: Completion) -> Iterator[Reply]:
        asked.append(request)
        yield Reply("1", items=(Item("y", 1.0, "stop"),), done=True)

    (tmp_path / name).write_text("x")
    monkeypatch.setattr(InProcess, "replies", replies)
    with pytest.raises(SystemExit):
        cli.main(["complete", str(tmp_path / name), *options])
    assert asked[0].language == language


def test_the_list_of_models_stands_in_columns(capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys, "models", "list")[1].splitlines()[:-2]
    assert len(lines) > 40
    assert len({line.index(" MB") for line in lines}) == 1
    entries = [catalog()[line[2:].split()[0]] for line in lines]
    for words in ([entry.licence for entry in entries], [entry.use for entry in entries]):
        assert len({line.rindex(f"  {word}") for line, word in zip(lines, words, strict=True)}) == 1


def test_what_is_no_text_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "b.py").write_bytes(b"\xff\xfe")
    assert "not UTF-8" in run(capsys, "complete", str(tmp_path / "b.py"))[2]


def test_the_doctor_names_each_problem_and_its_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "doctor")
    assert status == 1
    assert "✗ model" in out
    assert "models pull" in out


def test_the_doctor_measures_the_speed_of_a_model_that_is_here(
    capsys: pytest.CaptureFixture[str], own: str
) -> None:
    _, out, _ = run(capsys, "doctor", "-m", own)
    assert "tokens a second" in out
    assert "unverified" in out


def test_the_doctor_says_when_a_graphics_card_is_asked_for_and_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    assert "✓ graphics     none used" in run(capsys, "doctor")[1]
    (tmp_path / "jupyter_turbopilot_config.json").write_text('{"Turbopilot": {"gpu_layers": -1}}')
    assert "✗ graphics     all layers are to be on a card" in run(capsys, "doctor")[1]


def test_the_doctor_looks_at_adapters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], own: str
) -> None:
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    said = json.dumps({"Turbopilot": {"adapters": [own, str(tmp_path / "none.gguf")]}})
    (tmp_path / "jupyter_turbopilot_config.json").write_text(said)
    out = run(capsys, "doctor")[1]
    assert "tiny.gguf is no LoRA adapter" in out
    assert "There is no file none.gguf" in out


def test_configuration_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    (tmp_path / "jupyter_server_config.py").write_text("c.Turbopilot.threads = 3\n")
    assert cli.settings_from(cli.parser().parse_args(["doctor"])).threads == 3


@given(st.text(alphabet="ab\n", max_size=30), st.data())
def test_every_line_and_column_is_an_offset_and_back(source: str, data: st.DataObject) -> None:
    offset = data.draw(st.integers(0, len(source.removesuffix("\n"))))
    line = source[:offset].count("\n") + 1
    column = offset - (source[:offset].rfind("\n") + 1) + 1
    assert cli.offset_of(source, line, column) == offset


def test_a_last_newline_ends_a_line_and_begins_none() -> None:
    with pytest.raises(BadRequestError, match="lines 1 to 2"):
        cli.offset_of("x = 1\ny = 2\n", 3, None)
    assert cli.offset_of("x = 1\ny = 2\n", 2, None) == len("x = 1\ny = 2")
    assert cli.offset_of("x = 1\ny = 2\n", None, 2) == len("x = 1\ny")
    assert cli.offset_of("x = 1\ny = 2\n", None, None) == len("x = 1\ny = 2\n")
    assert cli.offset_of("", 1, 1) == 0


@pytest.mark.parametrize("text", ["", "-1", "65", "1.5", "00000000099", "9" * 5000])
def test_a_number_of_processes_out_of_bounds_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="from 0 to 64"):
        cli.count(text)
