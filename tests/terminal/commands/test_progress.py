import sys
import time

import pytest

from jupyter_turbopilot.models.download import DownloadProgress
from jupyter_turbopilot.terminal.commands import progress as module
from jupyter_turbopilot.terminal.commands.progress import WIDTH, Bar


def test_bar_prints_a_line_for_each_tenth_into_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    with Bar("model") as bar:
        for done in range(101):
            bar.show(done, 100, "of 9 MB")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 11
    assert lines[0] == f"model: {'':<{WIDTH}}   0% of 9 MB"
    assert lines[-1] == f"model: {'█' * WIDTH} 100% of 9 MB"


def test_bar_updates_one_line_in_a_terminal(
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


def fetched(
    received: int, total: int = 98_000_000, source: str = "a mirror on the package index"
) -> DownloadProgress:
    return DownloadProgress("downloading", received, total, source)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The mocked clock of progress bars."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_bar_reports_rate_and_time_left_of_this_run(
    capsys: pytest.CaptureFixture[str], clock: list[float]
) -> None:
    with Bar("model") as bar:
        bar.show_download(fetched(50_000_000))  # received by an earlier run
        clock[0] += 2
        bar.show_download(fetched(60_000_000))
        clock[0] += 2
        bar.show_download(fetched(90_000_000, source="another"))
        clock[0] += 100
        bar.show_download(fetched(100_000_000, 200_000_000, source="another"))
    words = [line.partition("% ")[2].partition(", from")[0] for line in capsys.readouterr().err.splitlines()]
    assert words == ["of 98 MB", "of 98 MB, 5 MB/s, 8 s left", "of 98 MB", "of 200 MB, 0.1 MB/s, 17 min left"]


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("name", ["qwen2.5-coder-0.5b", "owner/a-long-repository/a-long-file-name.gguf"])
def test_bar_never_wraps_in_a_terminal(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    clock: list[float],
    columns: int,
    name: str,
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(module, "width", lambda: columns - 1)
    with Bar(name) as bar:
        for done in range(0, 98_000_001, 9_800_000):
            clock[0] += 1
            bar.show_download(fetched(done))
        bar.show_download(DownloadProgress("verifying", 1, 1))
    pictures = capsys.readouterr().err.rstrip("\n").split("\r\x1b[2K")[1:]
    assert len(pictures) == 12
    assert max(map(len, pictures)) < columns
    assert all(picture.count("s left") == 1 for picture in pictures[2:-1] if columns >= 80)
    assert ("from a mirror" in pictures[-2]) is (columns == 200)
