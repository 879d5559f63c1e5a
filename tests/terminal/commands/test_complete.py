import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot import cli
from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.protocol.reply import Item, Reply
from jupyter_turbopilot.protocol.request import Completion
from jupyter_turbopilot.terminal.commands.complete import offset_of
from jupyter_turbopilot.terminal.in_process import InProcess

from .running import run


def test_complete_prints_a_completion_for_a_position(
    capsys: pytest.CaptureFixture[str], own: str, tmp_path: Path
) -> None:
    code = tmp_path / "a.py"
    code.write_text("x = 1\ny = 2\n")
    status, out, _ = run(
        capsys, "complete", str(code), "--line", "1", "--col", "5", "-m", own, "--length", "4", "--json"
    )
    assert status == 0
    assert json.loads(out)["model"] == "tiny.gguf"


@pytest.mark.parametrize(("finish", "words"), [("stop", "position."), ("deadline", "Turbopilot.deadline.")])
def test_complete_reports_that_there_is_no_suggestion(
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
    assert "no suggestion for this position" in err
    assert err.endswith(f"{words}\n")


@pytest.mark.parametrize(
    ("name", "options", "language"),
    [("a.R", [], "r"), ("a.jl", [], "julia"), ("a", [], "python"), ("a.py", ["--language", "R"], "r")],
)
def test_language_of_uses_the_file_suffix(
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


def test_complete_lists_the_languages_for_an_unknown_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "a.py").write_text("x")
    status, _, err = run(capsys, "complete", str(tmp_path / "a.py"), "--language", "klingon")
    assert status == 2
    assert "Unknown --language klingon. Choose one of bash, c, " in err


def test_complete_exits_with_2_for_an_unknown_and_1_for_a_missing_model(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "a.py").write_text("x")
    damaged = tmp_path / "damaged.gguf"
    damaged.write_bytes(b"GGUF")
    for model, status in (
        ("nope", 2),
        (str(tmp_path / "nope.gguf"), 2),
        (str(damaged), 2),
        ("smollm2-135m", 1),
    ):
        assert run(capsys, "complete", str(tmp_path / "a.py"), "-m", model)[0] == status


def test_complete_refuses_files_that_are_not_text(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "b.py").write_bytes(b"\xff\xfe")
    assert "not UTF-8" in run(capsys, "complete", str(tmp_path / "b.py"))[2]


@given(st.text(alphabet="ab\n", max_size=30), st.data())
def test_offset_of_inverts_every_line_and_column(source: str, data: st.DataObject) -> None:
    offset = data.draw(st.integers(0, len(source.removesuffix("\n"))))
    line = source[:offset].count("\n") + 1
    column = offset - (source[:offset].rfind("\n") + 1) + 1
    assert offset_of(source, line, column) == offset


def test_offset_of_starts_no_line_after_a_final_newline() -> None:
    with pytest.raises(BadRequestError, match="from 1 to 2"):
        offset_of("x = 1\ny = 2\n", 3, None)
    assert offset_of("x = 1\ny = 2\n", 2, None) == len("x = 1\ny = 2")
    assert offset_of("x = 1\ny = 2\n", None, 2) == len("x = 1\ny")
    assert offset_of("x = 1\ny = 2\n", None, None) == len("x = 1\ny = 2\n")
    assert offset_of("", 1, 1) == 0
