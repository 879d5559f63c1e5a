from __future__ import annotations

import sys

import pytest

from jupyter_turbopilot.commands.progress import WIDTH, Bar
from jupyter_turbopilot.models.download import DownloadProgress


def test_a_file_gets_a_line_for_each_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar("model") as bar:
        for done in range(101):
            bar.show(done, 100, "of 9 MB")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert lines[0] == f"model: {'':<{WIDTH}}   0% of 9 MB"
    assert lines[-1] == f"model: {'█' * WIDTH} 100% of 9 MB"


def test_a_terminal_gets_one_line_that_is_ended(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    def interrupted() -> None:
        with Bar("model") as bar:
            bar.show(1, 2, "of 9 MB")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    shown = capsys.readouterr().err
    assert shown.startswith("\r\x1b[2Kmodel: ")
    assert shown.count("\n") == 1
    assert shown.endswith("\n")


def test_a_bar_that_showed_nothing_leaves_no_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with Bar("model") as bar:
        bar.show(0, 0, "nothing is to be done")
    assert capsys.readouterr().err == ""


def test_a_download_names_its_source_and_says_when_it_is_checked(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar("model") as bar:
        bar.fetching(DownloadProgress("fetching", 5_000_000, 9_000_000, "https://example.org"))
        bar.fetching(DownloadProgress("verifying", 9_000_000, 9_000_000, "https://example.org"))
    first, second = capsys.readouterr().err.splitlines()
    assert "of 9 MB" in first
    assert first.endswith("MB/s from https://example.org")
    assert second == "model: checking the digest"
