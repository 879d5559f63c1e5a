from __future__ import annotations

import errno
import json
import stat
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.completer.learning import learner as module
from jupyter_turbopilot.completer.learning.calibration import AS_FITTED, Calibration
from jupyter_turbopilot.completer.learning.learner import LearnedState, Learner, WeekCounts, read, week_of
from jupyter_turbopilot.completer.learning.outcomes import DisplayConditions, Observations, Verdict
from jupyter_turbopilot.models.user_cache import LEARNING, personal_files
from jupyter_turbopilot.protocol.reply import Item, Reply
from jupyter_turbopilot.protocol.request import Cell, Completion, Feedback
from jupyter_turbopilot.util.files import replace_content

from ...index.folders import until

TERMS = DisplayConditions("subject", 0.575, 0.65)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "own" / LEARNING


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLE", 0.01)
    monkeypatch.setattr(module, "PATIENCE", 30.0)  # independent of the load of the machine


def show(learner: Learner, name: str, event: str = "dismissed") -> None:
    learner.sent(name, TERMS, 5, 0.7)
    for message in ("shown", event):
        learner.receive(Feedback(id=name, event=message, chars=5))  # type: ignore[arg-type]


def test_learner_writes_a_private_file_with_numbers_only(file: Path) -> None:
    learner = Learner(file)
    show(learner, "a")
    learner.close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == [LEARNING]
    kept = json.loads(file.read_bytes())
    assert kept["calibrations"]["subject"].keys() == {"slope", "offset", "seen"}
    assert kept["week"].keys() == {"number", "shown", "accepted", "saved", "executed", "retained"}
    assert list(personal_files(file.parent)) == [file]


def test_learners_share_what_they_learn(file: Path) -> None:
    one, other = Learner(file), Learner(file)
    show(one, "a")
    until(lambda: one.calibration("subject").seen == 1)
    until(file.exists)
    show(other, "b")
    until(lambda: other.calibration("subject").seen == 2)
    assert other.week.shown == 2
    one.close()
    other.close()


def test_learners_writing_at_once_leave_a_valid_file(file: Path) -> None:
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
def test_learner_resets_a_damaged_file(file: Path, damage: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(damage)
    learner = Learner(file)
    assert learner.calibration("subject") == AS_FITTED
    show(learner, "a")
    learner.close()
    assert Learner(file).calibration("subject").seen == 1


def test_forget_deletes_file_and_memory(file: Path) -> None:
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


def test_forget_reaches_another_server_with_its_next_feedback(file: Path) -> None:
    one, other = Learner(file), Learner(file)
    show(one, "a")
    until(file.exists)
    show(other, "b")
    until(lambda: Learner(file).calibration("subject").seen == 2)  # written by the other learner
    one.forget()
    show(other, "c")
    until(lambda: other.calibration("subject").seen == 1)
    one.close()
    other.close()


def test_learner_loses_nothing_while_the_file_is_unreadable(
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
        until(lambda: learner._behind.error)
        unread = Learner(file)
        assert json.loads(file.read_text())["calibrations"]["subject"]["seen"] == 3  # unchanged
    assert "Too many open files" in caplog.text
    assert unread.calibration("subject") == AS_FITTED
    show(learner, "b")
    learner.close()
    show(unread, "c")
    unread.close()
    assert Learner(file).calibration("subject").seen == 6
    assert Learner(file).week.shown == 6


def test_forget_during_a_write_takes_effect(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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


NOW = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()  # a Wednesday
DAY = 86400


def verdict(*, right: bool, subject: str = "subject", promised: float | None = 0.65) -> Verdict:
    return Verdict(DisplayConditions(subject, 0.575, promised), 0.7, right)


def test_week_counts_only_this_week() -> None:
    learned = LearnedState().after(Observations(2, 1, saved=7), NOW)
    assert learned.week == WeekCounts(week_of(NOW), 2, 1, 7)
    assert learned.counted(Observations(), NOW) == learned.week
    assert learned.counted(Observations(), NOW + 7 * DAY) == WeekCounts(week_of(NOW) + 1)
    later = learned.after(Observations(1), NOW + 7 * DAY)
    assert (later.week.shown, later.week.accepted) == (1, 0)


@given(st.lists(st.builds(verdict, right=st.booleans(), subject=st.sampled_from("abc")), max_size=30))
def test_read_returns_what_was_written(verdicts: list[Verdict]) -> None:
    learned = LearnedState().after(Observations(1, 1, tuple(verdicts)), NOW)
    assert read(json.loads(msgspec.json.encode(learned))) == learned


GOOD = {"slope": 1.1, "offset": 0.2, "seen": 9}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@pytest.mark.parametrize(
    "damaged",
    [[], GOOD | {"slope": 9}, GOOD | {"slope": "1"}, GOOD | {"offset": float("nan")}, GOOD | {"seen": -1}],
)
def test_read_resets_damaged_parts_only(damaged: Any) -> None:
    kept = read(
        {"calibrations": {"good": GOOD, "bad": damaged}, "week": {"number": 1, "shown": 2, "accepted": 1}}
    )
    assert kept == LearnedState({"good": Calibration(1.1, 0.2, 9)}, WeekCounts(1, 2, 1))


@given(st.dictionaries(st.sampled_from(["calibrations", "week", "x"]), JSON))
def test_read_accepts_any_json(content: dict[str, Any]) -> None:
    assert read(content).counted(Observations(), NOW).shown >= 0


@pytest.mark.parametrize("from_index", [True, False])
def test_learner_does_not_calibrate_index_matches(file: Path, from_index: bool) -> None:
    learner = Learner(file)
    item = Item("alpha", 0.7, "stop", from_index=from_index)
    plan: Any = SimpleNamespace(automatic=True, terms=lambda: TERMS)
    listen = learner.requested(Completion(cells=[Cell()], offset=0), plan)
    assert listen
    listen(Reply("a", items=(item,)))
    for event in ("shown", "dismissed"):
        learner.receive(Feedback(id="a", event=event, chars=5))  # type: ignore[arg-type]
    learner.close()
    assert learner.calibration("subject").seen == (0 if from_index else 1)
