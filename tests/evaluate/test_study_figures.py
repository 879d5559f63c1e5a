"""The figures are those that somebody else counts: here, from what was meant to happen, before it was logged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.evaluate.scoring import drawn
from jupyter_turbopilot.evaluate.study_figures import ENOUGH, LATER, SOON, Figured, Share, read_log
from jupyter_turbopilot.evaluate.study_report import figured
from jupyter_turbopilot.reply import Item, Reply
from jupyter_turbopilot.request import Cell, Completion, Feedback
from jupyter_turbopilot.study import writer
from jupyter_turbopilot.study.file import files_of
from jupyter_turbopilot.study.lines import events_of
from jupyter_turbopilot.study.log import Study

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
        "keys": st.integers(0, 5),  # requests without an answer before this one
        "shown": st.booleans(),
        "along": st.integers(0, 3),
        "end": st.sampled_from(["taken", "taken", "pieces", "dismissed", "typed_over", "nothing"]),
        "kept": st.tuples(st.floats(0, 1), st.floats(0, 1)),
        "seconds": st.sampled_from([(), (12,), (31,), (31, 120), (31, 300), (45, 900), (700,)]),
        "path": st.sampled_from(["one.ipynb", "two.ipynb"]),
    }
)


# A process that logs: what is typed before anything else, what happens then, and whether it is killed in the end.
STORIES = st.one_of(st.lists(STORY, min_size=1, max_size=1), st.lists(STORY, max_size=10))
PROCESS = st.tuples(st.sampled_from([0, 300]), STORIES, st.booleans())


class Counts:
    """Counted while the stories are told."""

    def __init__(self) -> None:
        self.requests = self.written = self.shown = self.taken = self.characters = self.worth = self.all = 0
        self.at: Counter[str] = Counter()
        self.taken_at: Counter[str] = Counter()
        self.kept = {SOON: [0, 0], LATER: [0, 0]}
        self.begin()

    def begin(self) -> None:
        """Begin with another process."""
        self.lengths: dict[str, int] = {}
        self.asked = self.typed = self.got = 0
        self.told = (0, 0)  # how many requests and characters its log has by now

    def end(self, *, killed: bool) -> None:
        """Count what the log of a process has, and what was written at least."""
        requests, written = self.told if killed else (self.asked, self.typed)
        self.requests += requests
        self.written += written
        self.all += max(written, self.got)


def ask(study: Study, source: str, path: str, counts: Counts) -> Callable[[Reply], None]:
    """Ask at the end of a cell, and count that; return what takes the answer."""
    counts.asked += 1
    if 0 < (grown := len(source) - counts.lengths.get(path, len(source))) <= 400:
        counts.typed += grown
    counts.lengths[path] = len(source)
    cells = [Cell(source=source)]
    asked = Completion(cells=cells, offset=len(source), trigger="automatic", client="editor", path=path)
    return study.follow(asked, lambda _: None)


def tell(study: Study, number: int, story: dict[str, Any], counts: Counts) -> None:
    """Have a suggestion answered and used, and count that in the plainest way."""
    text, before, path = story["text"], story["before"], story["path"]
    for key in range(story["keys"] + 1):
        source = "y" * (number * 7 % 50) + "\n" + before if key == story["keys"] else "y" * (key + number)
        listen = ask(study, source, path, counts)
    name = str(number)
    listen(Reply(name, "m", (Item(text, 0.5, "stop"),), done=True))
    counts.told = counts.asked, counts.typed

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
        study.receive(asked)

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
    left: dict[int, int] = {}
    for seconds, share in zip(story["seconds"], story["kept"], strict=False):
        remaining = int(taken * share)
        feedback("retained", remaining, seconds)
        for mark in (SOON, LATER):
            if seconds >= mark and mark not in left:
                left[mark] = remaining
    for mark, remaining in left.items():
        counts.kept[mark][0] += remaining
        counts.kept[mark][1] += taken


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "PATIENCE", 30.0)


@settings(max_examples=40)
@given(st.lists(st.lists(PROCESS, min_size=1, max_size=4), min_size=1, max_size=ENOUGH + 1))
def test_the_figures_are_those_that_were_counted_independently(
    tmp_path_factory: pytest.TempPathFactory, people: list[list[tuple[int, list[dict[str, Any]], bool]]]
) -> None:
    folder: Path = tmp_path_factory.mktemp("study")
    counts, logs = Counts(), []
    for person, processes in enumerate(people):
        for typed, stories, killed in processes:
            study = Study(folder / f"{person}.jsonl", text=False)
            counts.begin()
            for source in ("", "y" * typed):
                ask(study, source, "three.ipynb", counts)
            for number, story in enumerate(stories):
                tell(study, number, story, counts)
            (study._writer if killed else study).close()
            counts.end(killed=killed)
        files = files_of(folder / f"{person}.jsonl")
        events, broken = events_of(part for file in files for part in file.read_bytes().split(b"\n"))
        assert not broken
        logs.append(events)
    found = figured(logs)
    all_of_them = found.of(found.suggested)
    assert (found.requests, found.written) == (counts.requests, counts.written)
    assert (all_of_them.shown, all_of_them.acceptance.part) == (counts.shown, counts.taken)
    assert (all_of_them.taken, found.saved.part) == (counts.characters, counts.worth)
    assert found.saved.of == counts.all
    assert 0 <= found.saved.value <= 1
    copies = figured(logs * ENOUGH)  # of which logs are drawn, not sessions, if there is anything to draw
    assert copies.by_log == bool(counts.shown)
    assert (copies.saved.part, copies.saved.of) == (counts.worth * ENOUGH, counts.all * ENOUGH)
    for mark in (SOON, LATER):
        assert [all_of_them.retained[mark].part, all_of_them.retained[mark].of] == counts.kept[mark]
    by_position = found.by(lambda one: one.at)
    assert {at: one.shown for at, one in by_position.items()} == counts.at
    assert {
        at: one.acceptance.part for at, one in by_position.items() if one.acceptance.part
    } == counts.taken_at
    assert sum(one.shown for one in found.by(lambda one: one.hour).values()) == counts.shown
    assert found.latency.count == counts.shown
    assert (found.dropped, found.unknown) == (0, 0)


SESSION = {
    "event": "session",
    "session": "AbC3",
    "where": "server",
    "zone": 120,
    "model": "m",
    "eagerness": "eager",
}


def requested(number: int, **more: object) -> dict[str, Any]:
    event = {"event": "requested", "id": f"AbC3.{number}", "doc": 1, "at": "after =", "ms": 10, "t": 0.0}
    return event | {"requests": 1, "written": 100} | more


def happened(event: str, number: int, chars: int, **more: object) -> dict[str, Any]:
    return {"event": event, "id": f"AbC3.{number}", "chars": chars, "t": 0.0} | more


def test_hours_are_those_of_the_person() -> None:
    log = read_log([SESSION, requested(1, t=23.5 * 3600), happened("shown", 1, 5)])
    assert log.suggested["AbC3.1"].hour == 1
    assert log.suggested["AbC3.1"].condition == ("m", "eager")


def test_what_is_run_in_a_terminal_stays_as_it_was_when_it_was_run() -> None:
    events = [
        SESSION | {"where": "terminal"},
        requested(1),
        happened("shown", 1, 5),
        happened("taken", 1, 5, after=1),
        happened("retained", 1, 4, after=6.5),
    ]
    assert read_log(events).suggested["AbC3.1"].kept == {SOON: 4, LATER: 4}
    assert read_log([SESSION, *events[1:]]).suggested["AbC3.1"].kept == {}


def test_what_has_no_request_and_what_was_dropped_is_counted() -> None:
    log = read_log([happened("shown", 9, 5), {"event": "dropped", "session": "AbC3", "lines": 7}])
    assert (log.unknown, log.dropped) == (1, 7)


def test_intervals_are_those_of_drawing_the_units() -> None:
    events = [SESSION]
    units = []
    for document in range(40):
        taken = document % 4
        units.append((taken, 4))
        for number in range(4):
            name = 4 * document + number
            events += [requested(name, doc=document), happened("shown", name, 5)]
            if number < taken:
                events.append(happened("taken", name, 5, after=1))
    found = Figured([read_log(events)])
    assert found.units == 40
    low, high = drawn(units, lambda some: sum(a for a, _ in some) / sum(b for _, b in some))
    ours = found.of(found.suggested).acceptance
    assert ours.value == pytest.approx(60 / 160)
    assert ours.interval == pytest.approx((low, high), abs=0.02)


def test_several_logs_are_drawn_as_they_are_and_few_by_their_documents() -> None:
    events = [
        SESSION,
        requested(1, doc=1),
        happened("shown", 1, 5),
        requested(2, doc=2),
        happened("shown", 2, 5),
    ]
    assert figured([events] * ENOUGH).units == ENOUGH
    assert figured([events]).units == 2
    ended = {"event": "ended", "session": "AbC3", "requests": 3, "written": 7}
    assert (figured([[*events, ended]]).units, figured([[*events, ended]]).writers) == (2, 1)


def test_what_a_killed_process_has_not_counted_was_written_if_it_was_taken() -> None:
    events = [SESSION, requested(1, written=0), happened("shown", 1, 50), happened("taken", 1, 50, after=1)]
    assert figured([events]).saved == Share(49, 50)


@pytest.mark.parametrize("logs", [ENOUGH - 1, ENOUGH])
def test_what_one_process_has_not_counted_another_of_the_same_log_does_not_make_up_for(logs: int) -> None:
    counted = [SESSION, requested(1, written=1000), happened("shown", 1, 5)]
    killed = [
        SESSION | {"session": "ZyX9"},
        requested(1, written=0) | {"id": "ZyX9.1"},
        happened("shown", 1, 500) | {"id": "ZyX9.1"},
        happened("taken", 1, 500, after=1) | {"id": "ZyX9.1"},
    ]
    saved = figured([[*counted, *killed]] * logs).saved
    assert (saved.part, saved.of) == (499 * logs, 1500 * logs)


def test_a_log_without_suggestions_makes_no_unit() -> None:
    ended = {"event": "ended", "session": "AbC3", "requests": 3, "written": 7}
    shown = [SESSION, requested(1), happened("shown", 1, 5)]
    few = figured([[*shown, ended], [*shown, ended], *[[SESSION, ended]] * 3])
    assert (few.by_log, few.units, few.writers) == (False, 2, 5)
    enough = figured([*[[*shown, ended]] * ENOUGH, [SESSION, ended]])
    assert (enough.by_log, enough.units, enough.writers) == (True, ENOUGH, ENOUGH + 1)


@pytest.mark.parametrize(("documents", "drawn"), [(1, False), (ENOUGH - 1, False), (ENOUGH, True)])
def test_from_few_units_no_interval_is_drawn(documents: int, drawn: bool) -> None:
    events = [SESSION]
    for number in range(40):
        events += [requested(number, doc=number % documents), happened("shown", number, 5)]
    found = figured([events])
    assert bool(found.of(found.suggested).acceptance.interval) == drawn
    assert bool(found.latency.median_interval) == bool(found.latency.slow_interval) == drawn
    assert found.saved.interval is None, "there is one session"


def test_models_of_ones_own_are_one_condition() -> None:
    log = read_log(
        [SESSION | {"model": "other-123"}, requested(1), SESSION | {"model": "other-9"}, requested(2)]
    )
    assert {one.condition for one in log.suggested.values()} == {("other", "eager")}


def test_nothing_at_all_has_no_figures() -> None:
    found = figured([[]])
    assert found.saved == Share(0, 0)
    assert found.of([]).acceptance.value == 0.0
    assert found.latency.count == 0
    assert found.by(lambda one: one.at) == {}


def test_latency_is_that_of_what_was_shown() -> None:
    events = [SESSION]
    for number in range(100):
        events += [requested(number, ms=number + 1, doc=number), happened("shown", number, 5)]
    events.append(requested(1000, ms=100_000))
    latency = figured([events]).latency
    assert latency.median_interval
    assert latency.slow_interval
    assert (latency.median, latency.slow) == (50, 95)
    assert latency.median_interval[0] < 50 < latency.median_interval[1]
    assert latency.slow_interval[0] < 95 < latency.slow_interval[1] <= 100
