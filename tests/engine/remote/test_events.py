from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.remote.events import ENDLESS, Events
from jupyter_turbopilot.engine.remote.words import StrangeAnswerError

DATA = st.lists(st.binary(min_size=1, max_size=20).filter(lambda data: not set(data) & {10, 13}), max_size=6)


@given(DATA, st.sampled_from([b"\n", b"\r\n", b"\r"]), st.lists(st.integers(0, 300), max_size=12))
def test_events_come_whole_wherever_they_are_cut(data: list[bytes], end: bytes, cuts: list[int]) -> None:
    stream = b"".join(b"data: " + one + end + end for one in data)
    events, found, at = Events(), [], 0
    for cut in [*sorted(cuts), len(stream)]:
        found += events.feed(stream[at:cut])
        at = max(at, cut)
    # A lone carriage return at the very end may still be followed by a line feed.
    assert found == data


def feed(events: Events, pieces: Sequence[bytes]) -> None:
    for piece in pieces:
        events.feed(piece)


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(data: bytes) -> None:
    feed(Events(), [data[at : at + 1] for at in range(len(data))])


def test_comments_and_other_fields_are_left_out_and_data_lines_joined() -> None:
    stream = b": ping\n\nevent: x\nid: 7\ndata:one\ndata: two\n\nretry: 3\n\ndata\n\n"
    assert Events().feed(stream) == [b"one\ntwo", b""]


@pytest.mark.parametrize("line", [b"x" * 65, b"data: " + b"x" * 65, b"data: 123456789\n" * 5])
def test_a_line_or_an_event_without_end_is_refused(line: bytes) -> None:
    events, pieces = Events(most=64), [line[at : at + 8] for at in range(0, len(line), 8)]
    with pytest.raises(StrangeAnswerError, match=ENDLESS):
        feed(events, pieces)
