from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document

from jupyter_turbopilot.request import Feedback
from jupyter_turbopilot.shell.outcomes import LONGEST, Kept, Outcomes
from jupyter_turbopilot.suggestion.imports import Insertion


class Desk:
    """A prompt in which somebody types, and what is reported of that."""

    def __init__(self, text: str = "x = ") -> None:
        self.reported: list[Feedback] = []
        self.now = 0.0
        self.outcomes = Outcomes(self.reported.append, lambda: self.now)
        self.buffer = Buffer(document=Document(text), on_text_changed=self.outcomes.changed)

    def show(self, text: str, name: str = "name") -> None:
        self.outcomes.shown(name, self.buffer.document.text_before_cursor, text)

    def type(self, text: str) -> None:
        for key in text:
            self.buffer.insert_text(key)

    def enter(self) -> None:
        self.outcomes.entered()
        self.give_up()

    def give_up(self) -> None:
        self.buffer.reset()
        self.outcomes.begun()

    @property
    def events(self) -> list[tuple[str, int]]:
        return [(feedback.event, feedback.chars) for feedback in self.reported]


def test_what_is_taken_is_reported_and_what_is_left_of_it_when_it_is_run() -> None:
    desk = Desk()
    desk.show("total(values)")
    desk.now = 1.26
    desk.type("to")
    desk.buffer.insert_text("tal(values)")
    desk.now = 9.0
    desk.buffer.delete_before_cursor(3)
    desk.type(")")
    desk.enter()
    assert desk.events == [("shown", 13), ("accepted", 13), ("retained", 10)]
    assert [feedback.seconds for feedback in desk.reported] == [0.0, 1.3, 7.7]
    assert {feedback.length for feedback in desk.reported} == {13}
    assert [feedback.before for feedback in desk.reported] == [0, 2, 0]


def test_taken_word_by_word_the_last_piece_is_followed() -> None:
    desk = Desk()
    desk.show("total(values)")
    desk.buffer.insert_text("total")
    desk.buffer.insert_text("(values")
    desk.type(")")
    desk.enter()
    assert desk.events == [
        ("shown", 13), ("accepted", 5), ("accepted", 12), ("typed_over", 13), ("retained", 12)
    ]  # fmt: skip
    assert [feedback.before for feedback in desk.reported] == [0, 0, 5, 0, 0]


@pytest.mark.parametrize(("typed", "same"), [("tot!", 3), ("x", 0), ("total", 5), ("total!", 5), ("\n", 0)])
def test_it_is_typed_over(typed: str, same: int) -> None:
    desk = Desk()
    desk.show("total")
    desk.type(typed)
    assert desk.events == [("shown", 5), ("typed_over", same)]


LEAVING: list[Callable[[Desk], object]] = [
    Desk.enter,
    lambda desk: desk.show("another", "another"),
    lambda desk: desk.buffer.delete_before_cursor(4),
    lambda desk: setattr(desk.buffer, "document", Document("something else")),
]


@pytest.mark.parametrize("leave", LEAVING)
def test_it_is_dismissed_where_nothing_else_is_typed(leave: Callable[[Desk], object]) -> None:
    desk = Desk()
    desk.show("total")
    desk.type("to")
    leave(desk)
    assert desk.events[1][0] == "dismissed"
    assert desk.events[1][1] in {0, 2}


def test_going_back_within_it_is_no_end() -> None:
    desk = Desk()
    desk.show("total")
    desk.type("tot")
    desk.buffer.delete_before_cursor(2)
    assert desk.events == [("shown", 5)]
    desk.buffer.insert_text("otal")
    assert desk.events == [("shown", 5), ("accepted", 5)]


def test_an_import_that_is_put_in_above_what_was_taken_ends_nothing() -> None:
    desk = Desk()
    desk.show("np.pi + np.e")
    desk.buffer.insert_text("np.pi")
    above = Insertion(0, "import numpy as np\n")
    desk.outcomes.moved_behind(above)
    text = above.into(desk.buffer.text)
    desk.buffer.document = Document(text, len(text))
    desk.type(" + np.e")
    desk.enter()
    assert desk.events == [("shown", 12), ("accepted", 5), ("typed_over", 12), ("retained", 5)]


def test_of_an_input_that_is_given_up_nothing_is_said() -> None:
    desk = Desk()
    desk.show("total")
    desk.buffer.insert_text("total")
    desk.show("(values)", "another")
    desk.give_up()
    desk.type("y")
    desk.enter()
    assert desk.events == [("shown", 5), ("accepted", 5), ("shown", 8)]


def test_in_an_input_of_a_great_length_nothing_is_followed() -> None:
    desk = Desk()
    desk.show("total")
    desk.buffer.insert_text("total")
    desk.buffer.insert_text("k" * LONGEST)
    desk.enter()
    assert desk.events == [("shown", 5), ("accepted", 5)]


def test_without_grey_text_nothing_is_reported() -> None:
    desk = Desk()
    desk.type("total")
    desk.enter()
    assert desk.reported == []


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 5), st.text("yz", max_size=4)), max_size=12),
)
def test_as_much_is_left_as_a_naive_count_says(changes: list[tuple[int, int, str]]) -> None:
    text = "a" * 10 + "x" * 10 + "b" * 10  # only the characters in question are x
    kept = Kept(text, 10, 20)
    for at, deleted, inserted in changes:
        text = text[:at] + inserted + text[at + deleted :]
        kept.change(text)
        assert len(kept) == text.count("x")


def test_a_key_in_a_long_input_costs_little() -> None:
    text = "x = total(values)\n" * (LONGEST // 18)
    kept = Kept(text, 4, 17)
    begun = time.thread_time()
    for _ in range(50):
        text = text[:30_000] + "k" + text[30_000:]
        kept.change(text)
    assert (time.thread_time() - begun) / 50 < 0.002  # a loop over its characters takes ten times as long
    assert len(kept) == 13
