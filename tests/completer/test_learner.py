from __future__ import annotations

import errno
import json
import logging
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_turbopilot.completer import learner as module
from jupyter_turbopilot.completer.learner import Learner
from jupyter_turbopilot.completer.outcomes import Terms
from jupyter_turbopilot.files import replace_content
from jupyter_turbopilot.models.personal import LEARNING, personal_files
from jupyter_turbopilot.request import Feedback
from jupyter_turbopilot.suggestion.learning import AS_FITTED

TERMS = Terms("subject", 0.575, 0.65)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "own" / LEARNING


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLE", 0.01)
    monkeypatch.setattr(module, "PATIENCE", 30.0)  # how busy the machine is decides nothing


def show(learner: Learner, name: str, event: str = "dismissed") -> None:
    learner.sent(name, TERMS, 5, 0.7)
    for said in ("shown", event):
        learner.receive(Feedback(id=name, event=said, chars=5))  # type: ignore[arg-type]


def until(true: Callable[[], object]) -> None:
    for _ in range(3000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError


def test_what_was_learned_is_there_after_a_restart(file: Path) -> None:
    learner = Learner(file)
    for number in range(30):
        show(learner, str(number))
    learner.close()
    again = Learner(file)
    assert again.calibration("subject").seen == 30
    assert again.calibration("subject").threshold(0.575) > 0.575
    assert (again.week.shown, again.week.taken) == (30, 0)


def test_the_file_is_the_persons_alone_and_holds_numbers(file: Path) -> None:
    learner = Learner(file)
    show(learner, "a")
    learner.close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == [LEARNING]
    kept = json.loads(file.read_bytes())
    assert kept["calibrations"]["subject"].keys() == {"slope", "offset", "seen"}
    assert kept["week"].keys() == {"number", "shown", "taken"}
    assert list(personal_files(file.parent)) == [file]


def test_several_servers_learn_from_each_other(file: Path) -> None:
    one, other = Learner(file), Learner(file)
    show(one, "a")
    until(lambda: one.calibration("subject").seen == 1)
    until(file.exists)
    show(other, "b")
    until(lambda: other.calibration("subject").seen == 2)
    assert other.week.shown == 2
    one.close()
    other.close()


def test_many_servers_that_write_at_once_leave_a_whole_file(file: Path) -> None:
    learners = [Learner(file) for _ in range(6)]

    def type_on(learner: Learner) -> None:
        for number in range(40):
            show(learner, f"{id(learner)} {number}")
            time.sleep(0.002)
        learner.close()

    threads = [threading.Thread(target=type_on, args=(learner,)) for learner in learners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Learner(file).calibration("subject").seen > 0
    assert [path.name for path in file.parent.iterdir()] == [LEARNING]


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[1]", b"\xff\xfe", b'{"calibrations": {"subject": 3}}', b"[" * 100_000]
)
def test_a_damaged_file_begins_anew(file: Path, damage: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(damage)
    learner = Learner(file)
    assert learner.calibration("subject") == AS_FITTED
    show(learner, "a")
    learner.close()
    assert Learner(file).calibration("subject").seen == 1


def test_what_is_forgotten_is_gone_from_disk_and_memory(file: Path) -> None:
    learner = Learner(file)
    show(learner, "a")
    until(file.exists)
    show(learner, "b")
    learner.sent("c", TERMS, 5, 0.7)
    learner.forget()
    learner.receive(Feedback(id="c", event="dismissed"))
    learner.close()
    assert learner.calibration("subject") == AS_FITTED
    assert learner.week.shown == 0
    assert not file.exists()


def test_another_server_that_runs_forgets_with_its_next_feedback(file: Path) -> None:
    one, other = Learner(file), Learner(file)
    show(one, "a")
    until(file.exists)
    show(other, "b")
    until(lambda: Learner(file).calibration("subject").seen == 2)  # the other one has written it
    one.forget()
    show(other, "c")
    until(lambda: other.calibration("subject").seen == 1)
    one.close()
    other.close()


def test_where_nothing_can_be_written_it_learns_until_it_stops(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "own").write_text("a file in the folder's place")
    learner = Learner(tmp_path / "own" / LEARNING)
    with caplog.at_level(logging.WARNING):
        for number in range(1, 4):
            show(learner, str(number))
            until(lambda number=number: learner.calibration("subject").seen == number)
            until(lambda: learner._behind.trouble)
    learner.close()
    assert len(caplog.records) == 1
    assert "across restarts" in caplog.text


def test_without_feedback_nothing_runs_and_nothing_is_written(file: Path) -> None:
    learner = Learner(file)
    learner.sent("a", TERMS, 5, 0.7)
    learner.receive(Feedback(id="unknown", event="dismissed"))
    learner.close()
    assert not file.parent.exists()


def test_after_a_full_disk_everything_is_written_that_was_learned_meanwhile(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    learner = Learner(file)
    with monkeypatch.context() as patch:
        patch.setattr(module, "replace_content", refuse)
        for number in range(3):
            show(learner, str(number))
            until(lambda number=number: learner.calibration("subject").seen == number + 1)
            until(lambda: learner._behind.trouble)
        assert not file.exists()
    until(file.exists)
    show(learner, "there is room")
    learner.close()
    assert Learner(file).calibration("subject").seen == 4
    assert Learner(file).week.shown == 4


def test_a_file_that_cannot_be_read_for_a_while_loses_nothing(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = Learner(file)
    for number in range(3):
        show(before, str(number))
    before.close()
    learner = Learner(file)

    def refuse(*_: object) -> bytes:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refuse)
        show(learner, "a")
        until(lambda: learner.calibration("subject").seen == 4)
        until(lambda: learner._behind.trouble)
        unread = Learner(file)
        assert json.loads(file.read_text())["calibrations"]["subject"]["seen"] == 3  # as it was
    assert "Too many open files" in caplog.text
    assert unread.calibration("subject") == AS_FITTED
    show(learner, "b")
    learner.close()
    show(unread, "c")
    unread.close()
    assert Learner(file).calibration("subject").seen == 6
    assert Learner(file).week.shown == 6


def test_what_comes_while_the_file_is_written_is_written_after_it(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = Learner(file)
    written: list[int] = []

    def slowly(target: Path, data: bytes, *, private: bool) -> None:
        if not written:
            show(learner, "b")
        written.append(len(data))
        replace_content(target, data, private=private)

    monkeypatch.setattr(module, "replace_content", slowly)
    show(learner, "a")
    until(lambda: len(written) == 2)
    learner.close()
    assert Learner(file).calibration("subject").seen == 2
    assert (Learner(file).week.shown, learner.week.shown) == (2, 2)


def test_what_is_forgotten_while_the_file_is_written_stays_forgotten(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = Learner(file)
    written = threading.Event()

    def slowly(target: Path, data: bytes, *, private: bool) -> None:
        learner.forget()
        replace_content(target, data, private=private)
        written.set()

    monkeypatch.setattr(module, "replace_content", slowly)
    show(learner, "a")
    assert written.wait(30)
    learner.close()
    assert not file.exists()
    assert (learner.calibration("subject"), learner.week.shown) == (AS_FITTED, 0)


def test_the_clock_may_jump(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = Learner(file)
    show(learner, "a", "accepted")
    for jump in (-1e9, 1e9):
        with monkeypatch.context() as patch:
            jumped = time.time() + jump
            patch.setattr(time, "time", lambda jumped=jumped: jumped)
            assert learner.week.taken == 1  # not written yet, so it counts for the week that it is now
            show(learner, f"{jump}")
    learner.close()
    assert Learner(file).calibration("subject").seen == 3
