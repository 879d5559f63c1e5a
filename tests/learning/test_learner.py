from __future__ import annotations

import errno
import json
import logging
import stat
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.files import replace_content
from jupyter_turbopilot.learning import learner as module
from jupyter_turbopilot.learning.calibration import AS_FITTED, Calibration
from jupyter_turbopilot.learning.learner import SUBJECTS, Learned, Learner, Week, read, week_of
from jupyter_turbopilot.learning.outcomes import Observations, Terms, Verdict
from jupyter_turbopilot.models.personal import LEARNING, personal_files
from jupyter_turbopilot.reply import Item, Reply
from jupyter_turbopilot.request import Feedback

from ..memory.folders import until

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
    assert "cannot be saved" in caplog.text


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
    monkeypatch.setattr(module, "SETTLE", 3600.0)  # nothing is written before the end
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


NOW = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()  # a Wednesday
DAY = 86400


def verdict(*, right: bool, subject: str = "subject", promised: float | None = 0.65) -> Verdict:
    return Verdict(Terms(subject, 0.575, promised), 0.7, right)


def judged(*verdicts: Verdict) -> Observations:
    return Observations(verdicts=verdicts)


@pytest.fixture
def _in_auckland(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "NZDT-13")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_in_auckland")
def test_a_week_begins_on_monday_where_the_server_is() -> None:
    monday = datetime(2026, 11, 22, 11, tzinfo=UTC).timestamp()  # Monday, 0:00 there
    assert week_of(monday) == week_of(monday + 7 * DAY - 1) == week_of(monday - 1) + 1


def test_the_counts_are_this_weeks() -> None:
    learned = Learned().after(Observations(2, 1), NOW)
    assert learned.week == Week(week_of(NOW), 2, 1)
    assert learned.counted(Observations(), NOW) == learned.week
    assert learned.counted(Observations(), NOW + 7 * DAY) == Week(week_of(NOW) + 1)
    later = learned.after(Observations(1), NOW + 7 * DAY)
    assert (later.week.shown, later.week.taken) == (1, 0)


@pytest.mark.parametrize("jump", [-40 * 365 * DAY, 40 * 365 * DAY])
def test_after_the_clock_has_jumped_the_counts_begin_anew_and_what_was_learned_stays(jump: float) -> None:
    learned = Learned().after(Observations(2, 1, (verdict(right=False),)), NOW)
    jumped = learned.after(Observations(1), NOW + jump)
    assert jumped.week == Week(week_of(NOW + jump), 1, 0)
    assert jumped.calibrations == learned.calibrations


def test_what_was_shown_last_week_may_be_taken_in_this_one() -> None:
    week = Learned().after(Observations(1), NOW).after(Observations(0, 1), NOW + 7 * DAY).week
    assert (week.shown, week.taken) == (1, 1)


def test_each_subject_is_learned_of_for_itself() -> None:
    learned = Learned().after(judged(verdict(right=False), verdict(right=True, subject="other")), NOW)
    assert learned.calibration("subject").offset < 0 < learned.calibration("other").offset
    assert learned.calibration("third") == AS_FITTED


def test_where_a_setting_promises_nothing_suggestions_are_only_counted() -> None:
    assert Learned().after(judged(verdict(right=False, promised=None)), NOW).calibrations == {}


def test_the_subject_that_was_used_longest_ago_is_forgotten() -> None:
    verdicts = [verdict(right=True, subject=str(number)) for number in range(SUBJECTS)]
    again = [verdict(right=True, subject="0"), verdict(right=True, subject="new")]
    learned = Learned().after(judged(*verdicts, *again), NOW)
    assert len(learned.calibrations) == SUBJECTS
    assert {"0", "new"} <= learned.calibrations.keys()
    assert "1" not in learned.calibrations


@given(st.lists(st.builds(verdict, right=st.booleans(), subject=st.sampled_from("abc")), max_size=30))
def test_what_is_written_is_read_again(verdicts: list[Verdict]) -> None:
    learned = Learned().after(Observations(1, 1, tuple(verdicts)), NOW)
    assert read(json.loads(msgspec.json.encode(learned))) == learned


GOOD = {"slope": 1.1, "offset": 0.2, "seen": 9}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@pytest.mark.parametrize(
    "damaged",
    [
        [],
        GOOD | {"slope": 9},
        GOOD | {"slope": "1"},
        GOOD | {"offset": float("nan")},
        GOOD | {"seen": -1},
    ],
)
def test_what_is_damaged_begins_anew_and_the_rest_stays(damaged: Any) -> None:
    kept = read(
        {"calibrations": {"good": GOOD, "bad": damaged}, "week": {"number": 1, "shown": 2, "taken": 1}}
    )
    assert kept == Learned({"good": Calibration(1.1, 0.2, 9)}, Week(1, 2, 1))


@pytest.mark.parametrize("week", [None, 3, {}, {"number": 1, "shown": 1, "taken": 2}, {"number": -1}])
def test_a_damaged_week_has_no_counts(week: Any) -> None:
    assert read({"calibrations": [], "week": week}) == Learned()


@given(st.dictionaries(st.sampled_from(["calibrations", "week", "x"]), JSON))
def test_no_json_is_too_odd_to_be_read(content: dict[str, Any]) -> None:
    assert read(content).counted(Observations(), NOW).shown >= 0


@pytest.mark.parametrize("recalled", [True, False])
def test_a_line_of_the_index_says_nothing_about_the_models_scores(file: Path, recalled: bool) -> None:
    learner = Learner(file)
    item = Item("alpha", 0.7, "stop", recalled=recalled)
    learner.observe(TERMS, Reply("a", items=(item,)))
    for event in ("shown", "dismissed"):
        learner.receive(Feedback(id="a", event=event, chars=5))  # type: ignore[arg-type]
    learner.close()
    assert learner.calibration("subject").seen == (0 if recalled else 1)
