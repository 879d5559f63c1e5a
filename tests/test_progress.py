"""The line that `make lab` shows while it prepares."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytest.importorskip("fcntl", reason="make needs a POSIX system")
import progress

SCRIPT = Path(progress.__file__)


def start(log: Path, command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, SCRIPT, log, "bash", "-c", command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def written(path: Path) -> str:
    """Wait for a line of the file."""
    until = time.monotonic() + 30
    while not (path.exists() and path.read_text().endswith("\n")):
        assert time.monotonic() < until
        time.sleep(0.02)
    return path.read_text()


def is_running(pid: int) -> bool:
    """Return whether the process runs; an orphan that has ended stays a zombie for a moment."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_line_names_the_running_steps_and_their_times() -> None:
    steps = progress.Steps(0.0)
    for now, line in enumerate(["> Compiling…", "Starting…", "> Downloading…", "> Downloading: done"], 10):
        steps.read(line, now)
    assert steps.line(85.0, 80) == "1:25  Compiling 1:15"


def test_line_fits_the_terminal() -> None:
    steps = progress.Steps(0.0)
    steps.read("> Compiling the engine…", 0.0)
    assert steps.line(5.0, 20) == "0:05  Compiling th…"


@pytest.mark.parametrize(
    ("line", "is_step"),
    [
        ("> Compiling…", True),
        ("> Compiling: done", True),
        ("> Linking: done", False),
        ("error: failed", False),
    ],
)
def test_only_steps_that_have_begun_end(line: str, is_step: bool) -> None:
    steps = progress.Steps(0.0)
    steps.read("> Compiling…", 0.0)
    assert steps.read(line, 1.0) is is_step
    assert steps.failed == ""


def test_output_goes_to_the_log_and_steps_to_the_terminal(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = start(log, "echo '> Compiling…'; echo warning >&2; echo '> Compiling: done'")
    assert process.communicate() == ("> Compiling…\n> Compiling: done\n", "")
    assert process.returncode == 0
    assert log.read_text() == "> Compiling…\nwarning\n> Compiling: done\n"


def test_failed_step_stops_the_others_and_shows_the_log(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    other = f"(echo $BASHPID > {pid}; exec sleep 600) &"
    failing = f"until [ -s {pid} ]; do sleep 0.05; done; echo '> Fetching…'; echo 'no network'; echo '> Fetching: failed'"
    process = start(tmp_path / "log", f"{other} {failing}; wait")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "no network\n" in errors
    assert errors.endswith(f"The whole log is {tmp_path / 'log'}.\n")
    assert not is_running(int(written(pid)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_all_processes_of_the_command(tmp_path: Path, number: int) -> None:
    pid = tmp_path / "pid"
    process = start(tmp_path / "log", f"sleep 600 & echo $! > {pid}; wait")
    child = int(written(pid))
    process.send_signal(number)
    assert process.wait(timeout=60) == 130
    assert not is_running(child)


def test_second_process_waits_for_the_first(tmp_path: Path) -> None:
    log, go = tmp_path / "log", tmp_path / "go"
    first = start(log, f"echo one; until [ -e {go} ]; do sleep 0.05; done")
    written(log)
    second = start(log, "echo two")
    assert second.stdout is not None
    assert "Waiting" in second.stdout.readline()
    assert log.read_text() == "one\n"
    go.touch()
    assert first.wait(timeout=60) == 0
    assert second.wait(timeout=60) == 0
    assert log.read_text() == "two\n"
