"""The report is compared with independent counts of the logged events."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from jupyter_turbopilot.plugins.usage import file
from jupyter_turbopilot.plugins.usage.command import (
    CHECKS,
    ENOUGH,
    EXECUTED,
    SECONDS,
    LogStatistics,
    tables,
)
from jupyter_turbopilot.plugins.usage.events import Event
from jupyter_turbopilot.plugins.usage.file import read
from jupyter_turbopilot.plugins.usage.log import UsageLog
from jupyter_turbopilot.protocol.reply import Item, Reply
from jupyter_turbopilot.protocol.request import Cell, Completion, Feedback

from .test_events import SESSION
from .test_log import NO_PLAN

BEFORE = {
    "x = ": "after =",
    "np.": "after a dot",
    "f(": "in brackets",
    "": "an empty line",
    "x + ": "elsewhere",
}

STORY = st.fixed_dictionaries(
    {
        "before": st.sampled_from([*BEFORE]),
        "text": st.text("abc", min_size=1, max_size=40),
        "keys": st.integers(0, 5),  # unanswered requests before this one
        "shown": st.booleans(),
        "along": st.integers(0, 3),
        "end": st.sampled_from(["taken", "taken", "pieces", "dismissed", "typed_over", "nothing"]),
        "kept": st.tuples(st.floats(0, 1), st.floats(0, 1)),
        "executed": st.lists(st.floats(0, 1), max_size=2),
        "seconds": st.sampled_from([(), (12,), (31,), (31, 120), (31, 300), (45, 900), (700,)]),
        "path": st.sampled_from(["one.ipynb", "two.ipynb"]),
    }
)


# A logging process: text typed first, events, and whether the process is killed at the end.
STORIES = st.one_of(st.lists(STORY, min_size=1, max_size=1), st.lists(STORY, max_size=10))
PROCESS = st.tuples(st.sampled_from([0, 300]), STORIES, st.booleans())


class Counts:
    """Independent counts."""

    def __init__(self) -> None:
        self.requests = self.written = self.shown = self.taken = self.characters = self.worth = self.all = 0
        self.at: Counter[str] = Counter()
        self.taken_at: Counter[str] = Counter()
        self.kept = {check: [0, 0] for check in CHECKS}
        self.begin()

    def begin(self) -> None:
        """Start another process."""
        self.lengths: dict[str, int] = {}
        self.asked = self.typed = self.got = 0
        self.reported = (0, 0)  # requests and characters logged so far

    def end(self, *, killed: bool) -> None:
        """Count the logged requests, and the minimum of written characters."""
        requests, written = self.reported if killed else (self.asked, self.typed)
        self.requests += requests
        self.written += written
        self.all += max(written, self.got)


def ask(usage_log: UsageLog, source: str, path: str, counts: Counts) -> Callable[[Reply], None]:
    """Send and count a request at the end of a cell; return the listener."""
    counts.asked += 1
    if 0 < (grown := len(source) - counts.lengths.get(path, len(source))) <= 400:
        counts.typed += grown
    counts.lengths[path] = len(source)
    cells = [Cell(source=source)]
    asked = Completion(cells=cells, offset=len(source), trigger="automatic", client="editor", path=path)
    observe = usage_log.requested(asked, NO_PLAN)
    assert observe
    return observe


def tell(usage_log: UsageLog, number: int, story: dict[str, Any], counts: Counts) -> None:
    """Use a suggestion, and count the outcome."""
    text, before, path = story["text"], story["before"], story["path"]
    for key in range(story["keys"] + 1):
        source = "y" * (number * 7 % 50) + "\n" + before if key == story["keys"] else "y" * (key + number)
        listen = ask(usage_log, source, path, counts)
    name = str(number)
    listen(Reply(name, "m", (Item(text, 0.5, "stop"),), done=True))
    counts.reported = counts.asked, counts.typed

    def write(more: int) -> None:
        counts.typed += more
        counts.lengths[path] += more

    def feedback(event: str, chars: int, seconds: float = 1.0, before: int = 0) -> None:
        asked = Feedback(
            id=name,
            event=event,  # type: ignore[arg-type]
            chars=chars,
            length=len(text),
            before=before,
            seconds=seconds,
        )
        usage_log.receive(asked)

    if not story["shown"]:
        return
    feedback("shown", len(text), 0.0)
    counts.shown += 1
    counts.at[BEFORE[before]] += 1
    taken = 0
    along = min(story["along"], len(text) // 2)  # typed before the rest is taken
    if story["end"] == "pieces":
        feedback("accepted", (len(text) + 1) // 2)
        feedback("shown", len(text))
        taken = (len(text) + 1) // 2
        write(taken)
    if story["end"] in {"taken", "pieces"}:
        feedback("accepted", len(text), before=taken + along)
        write(len(text) - taken)
        taken = len(text)
    elif story["end"] != "nothing":
        feedback(story["end"], len(text) // 2)
    if not taken:
        return
    counts.taken += 1
    counts.taken_at[BEFORE[before]] += 1
    counts.characters += taken
    counts.got += taken
    counts.worth += max(0, taken - (2 if story["end"] == "pieces" else 1) - along)
    left: dict[str, int] = {}
    for share in story["executed"]:
        feedback("executed", int(taken * share))
        left.setdefault(EXECUTED, int(taken * share))
    for seconds, share in zip(story["seconds"], story["kept"], strict=False):
        remaining = int(taken * share)
        feedback("retained", remaining, seconds)
        for check, least in SECONDS.items():
            if seconds >= least and check not in left:
                left[check] = remaining
    for check, remaining in left.items():
        counts.kept[check][0] += remaining
        counts.kept[check][1] += taken


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file, "END_PATIENCE", 30.0)


@settings(max_examples=40)
@given(st.lists(st.lists(PROCESS, min_size=1, max_size=4), min_size=1, max_size=ENOUGH + 1))
def test_figures_match_independent_counts(
    tmp_path_factory: pytest.TempPathFactory, people: list[list[tuple[int, list[dict[str, Any]], bool]]]
) -> None:
    folder: Path = tmp_path_factory.mktemp("study")
    counts, logs = Counts(), []
    for person, processes in enumerate(people):
        path = folder / f"{person}.jsonl"
        events: list[Event | None] = []
        lines = 0
        for typed, stories, killed in processes:
            usage_log = UsageLog(path, text=False)
            counts.begin()
            for source in ("", "y" * typed):
                ask(usage_log, source, "three.ipynb", counts)
            for number, story in enumerate(stories):
                tell(usage_log, number, story, counts)
            usage_log.close()
            counts.end(killed=killed)
            new = list(read(path))[lines:] if path.exists() else []
            lines += len(new)
            events += [event for event in new if event and not (killed and event.event == "ended")]
        logs.append(events)
    found = LogStatistics(logs)
    assert (found.requests, found.written.total()) == (counts.requests, counts.written)
    assert (sum(one.taken for one in found.suggested), found.saved.part) == (counts.characters, counts.worth)
    assert found.saved.of == counts.all
    copies = LogStatistics(logs * ENOUGH)  # enough logs to resample them instead of sessions
    assert copies.by_log == bool(counts.shown)
    assert (copies.saved.part, copies.saved.of) == (counts.worth * ENOUGH, counts.all * ENOUGH)
    rows = rows_of(found)
    kept = [f"{part / of:.3f}" if of else "" for part, of in counts.kept.values()]
    if counts.shown:
        shown, taken, _, *retained = rows["all"]
        assert (int(shown), int(taken)) == (counts.shown, counts.taken)
        assert [each.partition(" ")[0] for each in retained] == kept
    assert {at: int(rows[at][0]) for at in BEFORE.values() if at in rows} == counts.at
    assert {at: int(rows[at][1]) for at in BEFORE.values() if at in rows and rows[at][1] != "0"} == (
        counts.taken_at
    )
    assert found.dropped == 0


def rows_of(found: LogStatistics) -> dict[str, list[str]]:
    """Return the fields of the table's rows by their name."""
    rows = (line.strip("|").split(" |") for line in tables(found).splitlines() if line.startswith("| "))
    return {name.strip(): [each.strip() for each in fields] for name, *fields in rows}


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


def test_intervals_resample_logs() -> None:
    accepted = [number % 4 for number in range(40)]
    share = LogStatistics([log(each) for each in accepted]).share(
        ((number, ""), each, 10) for number, each in enumerate(accepted)
    )
    assert (share.part, share.of) == (60, 400)
    rng = random.Random(7)
    means = sorted(sum(rng.choices(accepted, k=40)) / 400 for _ in range(2000))
    assert share.interval == pytest.approx((means[50], means[1950]), abs=0.01)
