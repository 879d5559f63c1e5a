from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.study.lines import events_of, line_of

EVENT = st.fixed_dictionaries(
    {"event": st.text(max_size=9)}, optional={"text": st.text(), "score": st.floats(0, 1), "n": st.integers()}
)


@given(st.lists(EVENT))
def test_events_come_back_as_they_were(events: list[dict[str, object]]) -> None:
    lines = [line_of(event) for event in events]
    assert all(line.endswith(b"\n") and line.count(b"\n") == 1 for line in lines)
    read, broken = events_of(b"".join(lines).split(b"\n"))
    assert (read, broken) == ([*events], 0)


@given(st.lists(EVENT, min_size=1), st.data())
def test_of_a_log_that_was_cut_anywhere_one_line_is_lost_at_most(
    events: list[dict[str, object]], data: st.DataObject
) -> None:
    whole = b"".join(map(line_of, events))
    cut = data.draw(st.integers(0, len(whole)))
    complete = whole[:cut].count(b"\n")
    read, broken = events_of(whole[:cut].split(b"\n"))
    assert read[:complete] == events[:complete]
    assert len(read) + broken <= complete + 1


def test_lines_that_are_no_events_are_counted() -> None:
    assert events_of([b"", b"  ", b"{", b"[1]", b'{"event": 3}', b"\xff", b"[" * 100_000]) == ([], 5)
