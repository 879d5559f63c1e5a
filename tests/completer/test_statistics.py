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

from jupyter_turbopilot.completer import statistics as module
from jupyter_turbopilot.completer.statistics import MOST, Counts, Statistics, Week, week_of
from jupyter_turbopilot.models.user_cache import STATISTICS, personal_files
from jupyter_turbopilot.protocol.reply import Item, Reply
from jupyter_turbopilot.protocol.request import Cell, Completion, Feedback
from jupyter_turbopilot.util.files import replace_content

from ..index.folders import until


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "own" / STATISTICS


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SETTLE", 0.01)
    monkeypatch.setattr(module, "PATIENCE", 30.0)  # independent of the load of the machine


def send(statistics: Statistics, name: str = "a", length: int = 10, *, automatic: bool = True) -> None:
    plan: Any = SimpleNamespace(automatic=automatic)
    listen = statistics.requested(Completion(cells=[Cell()], offset=0), plan)
    if listen:
        listen(Reply(name, items=(Item("x" * length, 0.7, "stop"),)))


def receive(statistics: Statistics, *events: tuple[str, int], name: str = "a", **more: int) -> None:
    for event, chars in events:
        statistics.receive(Feedback(id=name, event=event, chars=chars, **more))  # type: ignore[arg-type]


def show(statistics: Statistics, name: str) -> None:
    send(statistics, name)
    receive(statistics, ("shown", 10), ("dismissed", 0), name=name)


def counts(file: Path, *events: tuple[str, int], **more: Any) -> Counts:
    statistics = Statistics(file)
    send(statistics)
    receive(statistics, *events, **more)
    return statistics.week


# Counts --------------------------------------------------------------------------------------------------


def test_receive_counts_shown_and_accepted_once(file: Path) -> None:
    events = [("shown", 10), ("shown", 6), ("accepted", 0), ("accepted", 4), ("shown", 6), ("accepted", 10)]
    found = counts(file, *events, ("retained", 10))
    assert (found.shown, found.accepted) == (1, 1)


@pytest.mark.parametrize(
    ("events", "saved"),
    [
        ([("accepted", 10)], 9),
        ([("accepted", 4), ("accepted", 10)], 8),  # in two parts
        ([("accepted", 10), ("accepted", 10)], 9),  # again after an undo
        ([("accepted", 1)], 0),
        ([("accepted", 1_000_000)], 9),
        ([("typed_over", 10), ("retained", 10)], 0),
    ],
)
def test_receive_counts_keystrokes_saved(file: Path, events: list[tuple[str, int]], saved: int) -> None:
    assert counts(file, ("shown", 10), *events).saved == saved


def test_receive_counts_the_part_that_was_shown(file: Path) -> None:
    assert counts(file, ("shown", 4), ("accepted", 10), length=4).saved == 3
    statistics = Statistics(file)
    for length in (4, 10, 6):  # as more of it arrives
        send(statistics, length=length)
    receive(statistics, ("accepted", 10))
    assert statistics.week.saved == 9


@pytest.mark.parametrize(
    ("events", "counted"),
    [
        ([("accepted", 10), ("executed", 7), ("executed", 2)], (10, 7)),  # the first run counts
        ([("accepted", 4), ("accepted", 10), ("executed", 10)], (10, 10)),  # in two parts
        ([("accepted", 4), ("executed", 1_000_000)], (4, 4)),
        ([("executed", 10)], (0, 0)),
        ([("typed_over", 10), ("executed", 10)], (0, 0)),
    ],
)
def test_receive_counts_characters_retained_at_the_next_run(
    file: Path, events: list[tuple[str, int]], counted: tuple[int, int]
) -> None:
    found = counts(file, ("shown", 10), *events)
    assert (found.executed, found.retained) == counted


def test_receive_ignores_unknown_and_requested_suggestions(file: Path) -> None:
    events = [("shown", 10), ("accepted", 10), ("executed", 10)]
    assert not counts(file, *events, name="another")
    statistics = Statistics(file)
    send(statistics, automatic=False)
    receive(statistics, *events)
    assert not statistics.week


def test_statistics_track_a_limited_number_of_suggestions(file: Path) -> None:
    statistics = Statistics(file)
    for number in range(MOST + 1):
        send(statistics, str(number))
        receive(statistics, ("shown", 10), name="0")  # the one with the latest feedback is kept
    for name, accepted in {"0": 1, "1": 1, str(MOST): 2}.items():
        receive(statistics, ("accepted", 10), name=name)
        assert statistics.week.accepted == accepted


EVENTS = st.sampled_from(["shown", "accepted", "typed_over", "dismissed", "executed", "retained"])


@given(st.lists(st.tuples(st.sampled_from("abc"), EVENTS, st.integers(0, 1_000_000), st.integers(0, 20))))
def test_receive_counts_each_suggestion_at_most_once(events: list[tuple[str, str, int, int]]) -> None:
    statistics = Statistics(Path("missing", STATISTICS))
    statistics.close()  # nothing is written
    for name in "ab":
        send(statistics, name)
    for name, event, chars, length in events:
        receive(statistics, (event, chars), name=name, length=length)
    found = statistics.week
    assert found.accepted <= found.shown <= 2
    assert found.retained <= found.executed <= 40


COUNTS = st.builds(Counts, *[st.integers(0, 9)] * 5)


@given(COUNTS, COUNTS)
def test_counts_are_added_and_subtracted(first: Counts, later: Counts) -> None:
    assert (first + later) - first == later
    assert bool(first + later) == (bool(first) or bool(later))


NOW = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()  # a Wednesday
DAY = 86400


def test_week_has_only_its_own_counts() -> None:
    week = Week().plus(Counts(2, 1, 7), NOW)
    assert week == Week(week_of(NOW), Counts(2, 1, 7))
    assert week.plus(Counts(), NOW) == week
    assert week.plus(Counts(), NOW + 7 * DAY) == Week(week_of(NOW) + 1)
    assert week.plus(Counts(accepted=1), NOW + 7 * DAY).counts == Counts(1, 1)  # shown last week


# The file ------------------------------------------------------------------------------------------------


def test_statistics_are_written_to_a_private_file_with_numbers_only(file: Path) -> None:
    statistics = Statistics(file)
    show(statistics, "a")
    statistics.close()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == [STATISTICS]
    kept = json.loads(file.read_bytes())
    assert kept["counts"] == {"shown": 1, "accepted": 0, "saved": 0, "executed": 0, "retained": 0}
    assert kept == {"number": week_of(time.time()), "counts": kept["counts"]}
    assert list(personal_files(file.parent)) == [file]


def test_servers_share_the_statistics(file: Path) -> None:
    one, other = Statistics(file), Statistics(file)
    show(one, "a")
    until(file.exists)
    show(other, "b")
    until(lambda: other.week.shown == 2)
    one.close()
    other.close()
    assert Statistics(file).week.shown == 2


def test_servers_writing_at_once_leave_a_valid_file(file: Path) -> None:
    servers = [Statistics(file) for _ in range(6)]

    def type_on(statistics: Statistics) -> None:
        for number in range(40):
            show(statistics, str(number))
            time.sleep(0.002)
        statistics.close()

    threads = [threading.Thread(target=type_on, args=(statistics,)) for statistics in servers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Statistics(file).week.shown > 0
    assert [path.name for path in file.parent.iterdir()] == [STATISTICS]


VALID = msgspec.to_builtins(Week().plus(Counts(3, 2, 1), NOW))
DAMAGED = [
    b"",
    b"{",
    b"[1]",
    b"\xff\xfe",
    b"[" * 100_000,
    *(json.dumps(VALID | {"counts": more}).encode() for more in (3, {"shown": -1}, {"shown": "1"})),
    json.dumps(VALID | {"number": 0.5}).encode(),
]


@pytest.mark.parametrize("damage", DAMAGED)
def test_statistics_reset_a_damaged_file(file: Path, damage: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(damage)
    statistics = Statistics(file)
    assert not statistics.week
    show(statistics, "a")
    statistics.close()
    assert Statistics(file).week.shown == 1


def test_statistics_lose_nothing_while_the_file_is_unreadable(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = Statistics(file)
    for number in range(3):
        show(before, str(number))
    before.close()
    statistics = Statistics(file)

    def refuse(*_: object) -> bytes:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refuse)
        show(statistics, "a")
        until(lambda: "The statistics cannot be saved: Too many open files" in caplog.text)
        unread = Statistics(file)
        assert (statistics.week.shown, unread.week.shown) == (4, 0)
        assert json.loads(file.read_text())["counts"]["shown"] == 3  # unchanged
    show(statistics, "b")
    statistics.close()
    show(unread, "c")
    unread.close()
    assert Statistics(file).week.shown == 6


# Resetting -----------------------------------------------------------------------------------------------


def test_reset_deletes_file_and_memory(file: Path) -> None:
    statistics = Statistics(file)
    show(statistics, "a")
    until(file.exists)
    show(statistics, "b")
    send(statistics, "c")
    statistics.reset()
    receive(statistics, ("shown", 10), name="c")
    statistics.close()
    assert not statistics.week
    assert not file.exists()


def test_reset_reaches_another_server_with_its_next_feedback(file: Path) -> None:
    one, other = Statistics(file), Statistics(file)
    show(one, "a")
    until(file.exists)
    show(other, "b")
    until(lambda: Statistics(file).week.shown == 2)  # written by the other server
    one.reset()
    show(other, "c")
    until(lambda: other.week.shown == 1)
    one.close()
    other.close()


def test_reset_during_a_write_takes_effect(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    statistics = Statistics(file)
    resetting = threading.Thread(target=statistics.reset)

    def slowly(target: Path, data: bytes, *, private: bool) -> None:
        resetting.start()
        resetting.join(0.2)  # it waits for this write
        replace_content(target, data, private=private)

    monkeypatch.setattr(module, "replace_content", slowly)
    show(statistics, "a")
    until(lambda: resetting.ident is not None)
    resetting.join()
    statistics.close()
    assert not file.exists()
    assert not statistics.week
