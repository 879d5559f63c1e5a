from __future__ import annotations

import builtins
import json
import os
from pathlib import Path

import pytest
from filelock import FileLock
from msgspec.structs import replace

from jupyter_turbopilot.cli import read_settings
from jupyter_turbopilot.models.findings import Finding
from jupyter_turbopilot.plugins.usage import file as log_file
from jupyter_turbopilot.plugins.usage.events import SCHEMA, Requested, Session, Shown, line_of
from jupyter_turbopilot.plugins.usage.file import lock_path
from jupyter_turbopilot.terminal.commands import doctor

from ...terminal.commands.running import run

SESSION = Session(1.0, SCHEMA, "AbC3", "0.1.0", "server", 0, False, "m", "quiet")
REQUESTED = Requested(1.0, "AbC3.1", doc=3, at="after =", ms=5, requests=1, written=0)
SHOWN = Shown(1.0, "AbC3.1", chars=5, score=0.9)
WITH_TEXT = line_of(replace(SHOWN, text="value"))


def write(path: Path, *more: bytes) -> Path:
    path.write_bytes(b"".join((*map(line_of, (SESSION, REQUESTED, SHOWN)), *more)))
    return path


def configure(folder: Path, log: Path | str) -> None:
    """Set a log in the configuration in a folder."""
    settings = {"Turbopilot": {"usage_log": str(log)}}
    (folder / "jupyter_turbopilot_config.json").write_text(json.dumps(settings))


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configured log."""
    path = tmp_path / "usage.jsonl"
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    configure(tmp_path, path)
    return path


def test_report_reads_the_configured_or_the_named_logs(
    capsys: pytest.CaptureFixture[str], path: Path, tmp_path: Path
) -> None:
    write(path)
    status, out, _ = run(capsys, "usage-log", "report")
    assert status == 0
    assert "1 log, 1 request, 1 suggestion shown" in out
    other = write(tmp_path / "other.jsonl", b'{"event": "sho')
    status, out, _ = run(capsys, "usage-log", "report", str(path), str(other))
    assert "2 logs, 2 requests, 2 suggestions shown" in out
    assert "other.jsonl: skipped 1 unreadable line." in out


WITH_LINKS = pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")


@pytest.mark.parametrize(
    "target",
    ["usage.jsonl", "other.md", "participant.txt", "plots.svg", pytest.param("link.md", marks=WITH_LINKS)],
)
def test_report_overwrites_neither_logs_nor_its_own_plots(
    capsys: pytest.CaptureFixture[str], path: Path, tmp_path: Path, target: str
) -> None:
    write(path)
    write(tmp_path / "other.md")
    write(tmp_path / "participant.svg")
    if target == "link.md":
        (tmp_path / target).symlink_to(tmp_path / "other.md")
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
    status, _, err = run(capsys, "usage-log", "report", str(path), "--into", str(tmp_path / target))
    assert (status, "Pass " in err or "Choose " in err) == (2, True)
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == before


def test_commands_refuse_files_that_are_not_logs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    status, _, err = run(capsys, "usage-log", "report")
    assert (status, "Pass the file of a usage log" in err) == (2, True)
    (tmp_path / "thesis.txt").write_text("a thesis")
    for name, why in (("thesis.txt", "is no usage log"), ("nothing.jsonl", "does not exist")):
        for action in ("report", "info", "clear"):
            status, _, err = run(capsys, "usage-log", action, str(tmp_path / name))
            assert (status, f"{name} {why}" in err) == (2, True)


def test_info_describes_the_log_and_its_problems(capsys: pytest.CaptureFixture[str], path: Path) -> None:
    assert "nothing is logged yet" in run(capsys, "usage-log", "info")[1]
    write(path, b"{")
    status, out, _ = run(capsys, "usage-log", "info")
    assert status == 0
    assert "3 lines about 1 suggestion, 0.1 MB of at most 100 MB." in out
    assert "No text is logged." in out
    assert "This log contains no text." in out
    assert "1 unreadable line." in out
    path.unlink()
    path.mkdir()
    status, out, _ = run(capsys, "usage-log", "info")
    assert (status, "The file cannot be written: it is a link, a folder or a device" in out) == (1, True)


def test_info_reports_text_in_a_log_independently_of_the_setting(
    capsys: pytest.CaptureFixture[str], path: Path
) -> None:
    write(path, WITH_TEXT)
    assert "This log contains the text of suggestions." in run(capsys, "usage-log", "info")[1]


def test_commands_report_that_no_log_is_set(capsys: pytest.CaptureFixture[str]) -> None:
    for action in ("info", "clear"):
        status, out, _ = run(capsys, "usage-log", action)
        assert (status, out.startswith("No usage log is kept")) == (0, True)


def test_clear_asks_and_deletes_only_the_log(
    capsys: pytest.CaptureFixture[str], path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "Nothing was logged." in run(capsys, "usage-log", "clear")[1]
    write(path)
    lock_path(path).write_text("")
    path.with_name("usage.jsonl.2").write_text("a thesis")
    monkeypatch.setattr(builtins, "input", lambda _: "n")
    assert run(capsys, "usage-log", "clear")[0] == 1
    assert path.exists()
    status, out, _ = run(capsys, "usage-log", "clear", "--yes")
    assert (status, f"{path} was deleted." in out) == (0, True)
    left = {one.name for one in tmp_path.iterdir() if "usage" in one.name}
    assert left == {"usage.jsonl.2"}


@pytest.mark.parametrize("name", [".", "..", "/", "...1", "..1"])
def test_commands_report_a_missing_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for action in ("report", "info", "clear"):
        status, _, err = run(capsys, "usage-log", action, name)
        assert (status, "is no usage log" in err or "does not exist" in err) == (2, True)


@pytest.mark.parametrize("target", [".", "..", "/", "folder"])
def test_report_refuses_a_folder_as_its_file(
    capsys: pytest.CaptureFixture[str],
    path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
) -> None:
    write(path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.rglob("*"))
    status, _, err = run(capsys, "usage-log", "report", "--into", target)
    assert (status, "is a folder. Pass a Markdown file" in err) == (2, True)
    assert sorted(tmp_path.rglob("*")) == before


def finding() -> Finding:
    return next(one for one in doctor.examine(read_settings()) if one.name == "usage log")


def test_doctor_describes_the_log_and_its_problems(path: Path) -> None:
    assert (finding().problem, finding().text) == (False, f"kept in {path}: numbers, no text")
    path.mkdir()
    assert finding().problem
    assert "cannot be written (it is a link, a folder or a device" in finding().text


@pytest.mark.parametrize("inside", [True, False])
def test_purge_deletes_logs_in_own_folders_and_lists_others(
    capsys: pytest.CaptureFixture[str], path: Path, tmp_path: Path, own_folder: Path, inside: bool
) -> None:
    own_folder.mkdir(parents=True, exist_ok=True)
    file = write((own_folder if inside else tmp_path) / "usage.jsonl")
    configure(tmp_path, file)
    _, out, _ = run(capsys, "purge", "--yes")
    assert file.exists() != inside
    assert ("jupyter turbopilot usage-log clear" in out) != inside


def test_purge_lists_a_log_that_another_process_holds(
    capsys: pytest.CaptureFixture[str],
    path: Path,
    tmp_path: Path,
    own_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_file, "PATIENCE", 0.05)
    own_folder.mkdir(parents=True, exist_ok=True)
    file = write(own_folder / "usage.jsonl")
    configure(tmp_path, file)
    with FileLock(lock_path(file)):
        status, out, _ = run(capsys, "purge", "--yes")
    assert (status, f"Could not be deleted:\n  {file}" in out) == (1, True)
