import random
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.terminal.commands.running import run
from turbopilot_research.usage.command import ENOUGH, EXECUTED, SECONDS, LogStatistics, tables
from turbopilot_research.usage.events import Event

from .test_checks import write as write_log
from .test_events import SESSION


def requested(number: int, **more: object) -> Event:
    request = Event("requested", 0.0, id=f"AbC3.{number}", at="after =", ms=10, requests=1, written=100)
    return replace(request, model="m", **more)


def shown(number: int, chars: int = 5) -> Event:
    return Event("shown", 0.0, id=f"AbC3.{number}", chars=chars, score=0.5)


def taken(number: int, chars: int) -> Event:
    return Event("accepted", 0.0, id=f"AbC3.{number}", chars=chars, after=1)


def executed(number: int, chars: int) -> Event:
    return Event("executed", 0.0, id=f"AbC3.{number}", chars=chars, after=3)


def retained(number: int, chars: int, after: float) -> Event:
    return Event("retained", 0.0, id=f"AbC3.{number}", chars=chars, after=after)


def log(accepted: int = 3) -> list[Event | None]:
    events: list[Event | None] = [SESSION]
    for number in range(10):
        at = ["after =", "in a word"][number % 2]
        events += [requested(number, at=at, ms=10 * number), shown(number, 10)]
        if number < accepted:
            events += [taken(number, 10), executed(number, 9)]
            events += [retained(number, 8, after=30), retained(number, 6, after=300)]
    return events


def test_tables_summarise_suggestion_outcomes() -> None:
    text = tables(LogStatistics([log()]))
    assert "1 log, 10 requests, 10 suggestions shown, 1000 characters written." in text
    assert "95 % bootstrap intervals from sessions; fewer than 5 give none." in text
    assert "Keystrokes saved: 0.027 of the characters written" in text
    assert "| all | 10 | 3 | 0.300 | 0.900 | 0.800 | 0.600 |" in text
    assert "| m, balanced | 10 | 3 | 0.300 |" in text
    assert "| after = | 5 | 2 | 0.400 |" in text
    assert "| in a word | 5 | 1 | 0.200 |" in text
    assert "median 40 ms, 95th percentile 80 ms" in text
    assert "could not be written" not in text
    lost = Event("dropped", 0.0, session="AbC3", lines=2)
    text = tables(LogStatistics([[*log(), lost, None]]))
    assert "2 lines could not be written, 1 unreadable line skipped." in text


def story(*events: Event, written: int = 100) -> list[Event | None]:
    """Return a log with the events of one suggestion."""
    return [SESSION, requested(0, written=written), shown(0, 10), *events]


@pytest.mark.parametrize(
    ("events", "taken_characters", "saved"),
    [
        ([taken(0, 4), taken(0, 10)], 10, 8),
        ([taken(0, 10), taken(0, 4)], 10, 8),
        ([replace(taken(0, 10), typed=3)], 10, 6),
        ([replace(taken(0, 2), typed=3)], 2, 0),
        ([], 0, 0),
    ],
)
def test_saved_is_what_was_accepted_minus_keystrokes(
    events: list[Event], taken_characters: int, saved: int
) -> None:
    found = LogStatistics([story(*events)])
    assert [one.taken for one in found.suggested] == [taken_characters]
    assert (found.saved.part, found.saved.of) == (saved, 100)


def test_killed_process_wrote_at_least_the_accepted_characters() -> None:
    found = LogStatistics([story(taken(0, 10), written=4), story(written=40)])
    assert (found.requests, found.written.total()) == (2, 44)
    assert (found.saved.part, found.saved.of) == (9, 10 + 40)


@pytest.mark.parametrize(
    ("events", "kept"),
    [
        ([executed(0, 7), executed(0, 2)], {EXECUTED: 7}),
        ([retained(0, 8, after=12)], {}),
        ([retained(0, 8, after=31)], {"after 30 s": 8}),
        ([retained(0, 8, after=31), retained(0, 5, after=305)], {"after 30 s": 8, "after 5 min": 5}),
        ([retained(0, 8, after=700)], dict.fromkeys(SECONDS, 8)),
    ],
)
def test_retained_characters_count_at_each_time_once(events: list[Event], kept: dict[str, int]) -> None:
    (found,) = LogStatistics([story(taken(0, 10), *events)]).suggested
    assert found.kept == kept


def test_first_retained_event_of_a_terminal_is_final() -> None:
    session, *events = story(taken(0, 10), retained(0, 8, after=1))
    assert session
    (found,) = LogStatistics([[replace(session, where="terminal"), *events]]).suggested
    assert found.kept == dict.fromkeys(SECONDS, 8)


def test_no_more_characters_are_retained_than_accepted() -> None:
    text = tables(LogStatistics([story(taken(0, 4), executed(0, 6))]))
    assert "| all | 1 | 1 | 1.000 | 1.000 |" in text


def test_intervals_resample_the_sessions_of_a_log_together() -> None:
    parts = [((number, name), part, 5) for number in range(ENOUGH) for name, part in (("a", 1), ("b", 3))]
    share = LogStatistics([log()] * ENOUGH).share(parts)
    assert share == (20, 50, pytest.approx((0.4, 0.4)))


def test_intervals_resample_logs() -> None:
    assert not LogStatistics([[SESSION, requested(0)]] * ENOUGH).by_log  # there is nothing to resample
    accepted = [number % 4 for number in range(40)]
    share = LogStatistics([log(each) for each in accepted]).share(
        ((number, ""), each, 10) for number, each in enumerate(accepted)
    )
    assert (share.part, share.of) == (60, 400)
    rng = random.Random(7)
    means = sorted(sum(rng.choices(accepted, k=40)) / 400 for _ in range(2000))
    assert share.interval == pytest.approx((means[50], means[1950]), abs=0.01)


def test_report_counts_the_renamed_file_of_a_log_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = [tmp_path / "participant-7.jsonl", tmp_path / "participant-7.1.jsonl"]
    for path in named:
        write_log(path)
    assert run(capsys, "usage-log", "report", *map(str, named))[1].startswith("1 log, ")
