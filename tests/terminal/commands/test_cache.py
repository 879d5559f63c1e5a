import os
from contextlib import closing
from pathlib import Path

import pytest

from jupyter_turbopilot.jupyter import runtime
from jupyter_turbopilot.terminal.commands import cache
from jupyter_turbopilot.util import sqlite_file

from ...completer.cache.answers import answers, open_file, texts
from .running import run


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configured cache file."""
    path = tmp_path / "answers.db"
    (tmp_path / "jupyter_turbopilot_config.py").write_text(f"c.Turbopilot.cache_file = {str(path)!r}\n")
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    return path


def fill(path: Path) -> None:
    database = open_file(path)
    database.add(answers(range(7)))
    database.close()


@pytest.mark.parametrize("action", ["info", "clear"])
def test_cache_commands_succeed_without_a_file(capsys: pytest.CaptureFixture[str], action: str) -> None:
    status, out, _ = run(capsys, "cache", action)
    assert status == 0
    assert "No cache file is set" in out


@pytest.mark.parametrize("name", ["answers.db", "/an\0swers.db"])
@pytest.mark.parametrize("action", ["info", "clear"])
def test_cache_commands_refuse_an_invalid_path(
    capsys: pytest.CaptureFixture[str], named: Path, action: str, name: str
) -> None:
    settings = named.parent / "jupyter_turbopilot_config.py"
    settings.write_text(f"c.Turbopilot.cache_file = {name!r}\n")
    status, out, error = run(capsys, "cache", action)
    assert (status, out) == (2, "")
    assert "The file in c.Turbopilot.cache_file" in error
    assert "Traceback" not in error
    assert ("write an absolute one" in error) == (name == "answers.db")


def test_info_prints_the_number_and_size_of_completions(
    capsys: pytest.CaptureFixture[str], named: Path
) -> None:
    assert run(capsys, "cache", "info")[:2] == (0, f"{named}: nothing is cached yet.\n")
    assert not named.exists()
    fill(named)
    assert run(capsys, "cache", "info")[1].splitlines() == [
        f"{named}: 7 completions, 0.1 MB of at most 64 MB.",
        "A starting server loads 7 of them into 8 MB of memory.",
    ]
    assert len(texts(named)) == 7


def test_clear_lists_only_servers_with_this_file(capsys: pytest.CaptureFixture[str], named: Path) -> None:
    fill(named)
    link = named.with_name("link.db")
    link.symlink_to(named)
    for name in ("", "relative.db", str(named.with_name("other.db"))):
        runtime.write(runtime.Runtime("http://127.0.0.1:8888/", "s", os.getpid(), name))
        assert run(capsys, "cache", "clear")[1].splitlines()[1:] == []
    for name in (str(named), str(link)):
        runtime.write(runtime.Runtime("http://127.0.0.1:8888/", "s", os.getpid(), name))
        assert run(capsys, "cache", "clear")[1].splitlines() == [
            "0 completions deleted.",
            "These servers keep their completions in memory until they stop:",
            "  http://127.0.0.1:8888/",
        ]
    named.unlink()
    assert run(capsys, "cache", "clear")[1] == "Nothing is cached.\n"


def test_clear_keeps_foreign_files(capsys: pytest.CaptureFixture[str], named: Path) -> None:
    named.write_text("thesis")
    for action in ("info", "clear"):
        status, out, _ = run(capsys, "cache", action)
        assert status == 1
        assert "not created by Turbopilot" in out
    assert named.read_text() == "thesis"


def test_info_reports_a_damaged_file_and_clear_deletes_it(
    capsys: pytest.CaptureFixture[str], named: Path
) -> None:
    fill(named)
    named.write_bytes(named.read_bytes()[:5000])
    status, out, _ = run(capsys, "cache", "info")
    assert status == 1
    assert "creates a new one" in out
    assert run(capsys, "cache", "clear")[0] == 0
    assert not named.exists()


def test_info_deletes_nothing_and_reports_how_many_are_loaded(
    capsys: pytest.CaptureFixture[str], named: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "CACHE_BYTES", 1_000_000)
    monkeypatch.setattr(cache, "FILE_BYTES", 1_000_000)
    database = open_file(named)
    database.add(answers(range(1200), "longer {} " + "text " * 30))
    database.close()
    size = named.stat().st_size
    status, out, _ = run(capsys, "cache", "info")
    assert status == 0
    assert "1200 completions" in out
    read = int(out.split("loads ")[1].split()[0])
    assert read == 1_000_000 // answers([1199], "longer {} " + "text " * 30)[0].size
    assert named.stat().st_size == size


def test_clear_fails_while_a_server_reads_the_file(
    capsys: pytest.CaptureFixture[str], named: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "WAIT", 0.05)
    fill(named)
    with closing(sqlite_file.connect(named)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM answers").fetchall()
        status, out, error = run(capsys, "cache", "clear")
    assert (status, out) == (1, "")
    assert "another process has locked it for too long" in error
    assert run(capsys, "cache", "clear")[:2] == (0, "7 completions deleted.\n")


def test_cache_commands_refuse_a_folder_that_others_can_write_to(
    capsys: pytest.CaptureFixture[str], named: Path
) -> None:
    fill(named)
    named.parent.chmod(0o1777)
    for action in ("info", "clear"):
        status, _, error = run(capsys, "cache", action)
        assert status == 2
        assert "others may write" in error
        assert error.count("c.Turbopilot.cache_file") == 1
        assert "Errno" not in error
