import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import fields

from jupyter_turbopilot.models.catalog import catalog
from turbopilot_research.usage import events
from turbopilot_research.usage.command import LogStatistics, tables
from turbopilot_research.usage.events import SCHEMA, Event, event_of, line_of

SESSION = Event("session", 1.0, SCHEMA, session="AbC3", version="0.1.0")
LOGGED = [
    SESSION,
    Event("requested", 1, id="AbC3.1", doc=3, at="after =", ms=5, requests=1, written=9, model="m"),
    Event("shown", 1.5, id="AbC3.1", chars=5, score=1, text="value"),
    Event("accepted", 2.0, id="AbC3.1", chars=5, after=1.3, typed=2),
    Event("executed", 2.0, id="AbC3.1", chars=5, after=9.5),
    Event("retained", 2.0, id="AbC3.1", chars=5, after=31),
    Event("dismissed", 2.0, id="AbC3.2", after=2.1),
    Event("typed_over", 2.0, id="AbC3.3", chars=3, after=0.9),
    Event("dropped", 3.0, session="AbC3", lines=2),
    Event("ended", 3.0, session="AbC3"),
]
ANYTHING: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.integers(), max_size=2),
)


def changed(event: Event, /, **change: object) -> bytes:
    """Return the line of an event with other fields, whether a schema allows them or not."""
    return json.dumps(json.loads(line_of(event)) | change).encode()


def test_line_of_writes_one_line_that_is_read_as_the_event() -> None:
    lines = [line_of(event) for event in LOGGED]
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)
    assert [*map(event_of, lines)] == LOGGED


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
        {"schema": SCHEMA.replace("v1", "v2")},
        {"event": "invented"},
    ],
)
def test_event_of_rejects_other_fields_and_free_text(change: dict[str, str]) -> None:
    assert event_of(changed(SESSION))
    assert event_of(changed(SESSION, **change)) is None


@pytest.mark.parametrize(
    "line", [b"", b"  ", b"{", b"[1]", b'{"event":3}', b"\xff", b"[" * 100_000, b'{"a":' * 100_000]
)
def test_event_of_rejects_lines_without_an_event(line: bytes) -> None:
    assert event_of(line) is None


@given(st.data())
def test_event_of_accepts_only_events_that_the_report_can_use(data: st.DataObject) -> None:
    lines = [json.loads(line_of(event)) for event in LOGGED]
    for _ in range(data.draw(st.integers(1, 4))):
        line = data.draw(st.sampled_from(lines))
        name = data.draw(st.sampled_from([*line]))
        if data.draw(st.booleans()):
            line.pop(name, None)
        else:
            line[name] = data.draw(ANYTHING)
    assert tables(LogStatistics([[event_of(json.dumps(line).encode()) for line in lines]]))


def test_session_allows_every_model_of_the_catalogue() -> None:
    for name in catalog():
        assert event_of(changed(SESSION, model=name)), name


def test_docstring_explains_every_field() -> None:
    explained = re.findall(r"^- `(\w+)`:|; `(\w+)`:", events.__doc__ or "", re.MULTILINE)
    assert {field.name for field in fields(Event)} <= {first or second for first, second in explained}
