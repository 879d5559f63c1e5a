import json
from pathlib import Path

import pytest

from jupyter_turbopilot.cli import read_settings
from jupyter_turbopilot.models.findings import Finding
from jupyter_turbopilot.terminal.commands import doctor
from tests.terminal.commands.running import run
from turbopilot_research.usage.events import Event, line_of
from turbopilot_research.usage.file import older_file

from .test_events import SESSION

EVENTS = [
    SESSION,
    Event("requested", 1.0, id="AbC3.1", doc=3, at="after =", ms=5, requests=1),
    Event("shown", 1.0, id="AbC3.1", chars=5, score=0.9),
]


def write(path: Path, *more: bytes) -> Path:
    path.write_bytes(b"".join((*map(line_of, EVENTS), *more)))
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
    assert "1 unreadable line skipped." in out


def test_report_refuses_files_that_are_not_logs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, _, err = run(capsys, "usage-log", "report")
    assert (status, "Pass the file of a usage log" in err) == (2, True)
    monkeypatch.chdir(tmp_path)
    Path("thesis.txt").write_text("a thesis")
    for name in ("thesis.txt", ".", "..", "/"):
        status, _, err = run(capsys, "usage-log", "report", name)
        assert (status, "is no usage log" in err) == (2, True)
    status, _, err = run(capsys, "usage-log", "report", "nothing.jsonl")
    assert (status, "nothing.jsonl does not exist" in err) == (2, True)


def finding() -> Finding:
    return next(one for one in doctor.examine(read_settings()) if one.name == "usage log")


def test_doctor_describes_the_log_and_its_problems(path: Path) -> None:
    assert (finding().problem, finding().text) == (False, f"kept in {path}: numbers, no text")
    path.mkdir()
    assert finding().problem
    assert "cannot be written (it is a link, a folder or a device" in finding().text


@pytest.mark.parametrize("is_inside", [True, False])
def test_purge_lists_the_log_and_keeps_it(
    capsys: pytest.CaptureFixture[str], path: Path, tmp_path: Path, own_folder: Path, is_inside: bool
) -> None:
    own_folder.mkdir(parents=True, exist_ok=True)
    file = write((own_folder if is_inside else tmp_path) / "usage.jsonl")
    older = write(older_file(file))
    configure(tmp_path, file)
    _, out, _ = run(capsys, "purge", "--yes")
    assert file.exists()
    assert older.exists()
    assert f"it is a usage log:\n  {older}\n  {file}" in out
