from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.evaluate.study_report import figured, tables
from jupyter_turbopilot.study.checking import is_valid, other_version
from jupyter_turbopilot.study.events import EVENTS, LOG, schema_of

ANYTHING: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.integers(), max_size=2),
)
LOGGED: list[dict[str, Any]] = [
    {"schema": LOG, "t": 1.0, "event": "session", "session": "AbC3", "version": "0.1.0", "where": "server"}
    | {"zone": 60, "text": False, "model": "m", "eagerness": "quiet"},
    {"t": 1, "event": "requested", "id": "AbC3.1", "doc": 3, "at": "after =", "ms": 5, "requests": 1}
    | {"written": 9},
    {"t": 1.5, "event": "shown", "id": "AbC3.1", "chars": 5, "score": 1, "text": "value"},
    {"t": 2.0, "event": "taken", "id": "AbC3.1", "chars": 5, "after": 1.3},
    {"t": 2.0, "event": "retained", "id": "AbC3.1", "chars": 5, "after": 31},
    {"t": 3.0, "event": "typing", "session": "AbC3", "requests": 200, "written": 9},
    {"t": 3.0, "event": "dropped", "session": "AbC3", "lines": 2},
    {"t": 3.0, "event": "ended", "session": "AbC3", "requests": 0, "written": 0},
]


def test_what_was_logged_is_whole() -> None:
    assert all(map(is_valid, LOGGED))


@given(st.data())
def test_a_line_that_was_edited_is_counted_or_read_and_the_report_is_made(data: st.DataObject) -> None:
    events = [dict(event) for event in LOGGED]
    for _ in range(data.draw(st.integers(1, 4))):
        event = data.draw(st.sampled_from(events))
        name = data.draw(st.sampled_from([name for name in event if name != "event"] or ["t"]))
        if data.draw(st.booleans()):
            event.pop(name, None)
        else:
            event[name] = data.draw(ANYTHING)
    good = [event for event in events if is_valid(event)]
    assert all(event.keys() >= set(schema_of(event["event"])["required"]) for event in good)
    assert tables(figured([good]), 1)


@pytest.mark.parametrize("event", [*EVENTS, "invented"])
def test_a_line_with_nothing_but_its_event_is_broken(event: str) -> None:
    assert not is_valid({"event": event})


@pytest.mark.parametrize("score", [float("nan"), -0.1, 1.1, True, "1", None])
def test_a_score_that_is_none_is_broken(score: object) -> None:
    assert not is_valid(LOGGED[2] | {"score": score})


@pytest.mark.parametrize(
    "change",
    [
        {"path": "a.ipynb"},
        {"model": "/home/ada/x.gguf"},
        {"model": "Ada"},
        {"version": "of ada"},
        {"session": "homes"},
        {"model": "m\n"},
        {"session": "AbC3\n"},
    ],
)
def test_a_field_that_no_schema_has_or_a_text_of_another_form_is_broken(change: dict[str, str]) -> None:
    assert is_valid(LOGGED[0])
    assert not is_valid(LOGGED[0] | change)


def test_sessions_of_another_version_are_named() -> None:
    assert not any(map(other_version, LOGGED))
    later = LOG.replace("v1", "v2")
    assert other_version(LOGGED[0] | {"schema": later}) == later
