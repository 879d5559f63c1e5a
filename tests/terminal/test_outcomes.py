from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.terminal.shortcuts import reformat_text_before_cursor
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document

from jupyter_turbopilot.analysis.imports import Insertion
from jupyter_turbopilot.protocol.request import Feedback
from jupyter_turbopilot.terminal.outcomes import LONGEST, Outcomes, retained


class Desk:
    """A prompt with typed input, and the reported outcomes."""

    def __init__(self, text: str = "x = ") -> None:
        self.reported: list[Feedback] = []
        self.now = 0.0
        self.outcomes = Outcomes(self.reported.append, lambda: self.now)
        self.buffer = Buffer(document=Document(text), on_text_insert=self.outcomes.inserted)

    def show(self, text: str, name: str = "name") -> None:
        self.outcomes.shown(name, self.buffer.document.text_before_cursor, text)

    def key(self, command: Callable[..., object], *arguments: object) -> None:
        command(*arguments)
        self.outcomes.key_pressed(self.buffer)

    def accept(self, text: str) -> None:
        self.key(self.buffer.insert_text, text)

    def type(self, text: str) -> None:
        for character in text:
            self.key(self.buffer.insert_text, character)

    def delete(self, count: int) -> None:
        for _ in range(count):
            self.key(self.buffer.delete_before_cursor)

    def enter(self, formatter: Callable[[str], str] = str, then: str = "") -> None:
        """Press Enter in IPython: it runs the input, or inserts a line break and indentation."""

        def enter() -> None:
            shell = SimpleNamespace(reformat_handler=formatter)
            reformat_text_before_cursor(self.buffer, self.buffer.document, shell)
            self.buffer.insert_text(then)

        self.key(enter)
        if not then:
            info: Any = SimpleNamespace(raw_cell=self.buffer.text)
            self.outcomes.entered(info)
            self.give_up()

    def give_up(self) -> None:
        self.buffer.reset()
        self.outcomes.begun()

    @property
    def events(self) -> list[tuple[str, int]]:
        return [(feedback.event, feedback.chars) for feedback in self.reported]


def test_outcomes_report_acceptance_and_retained_text() -> None:
    desk = Desk()
    desk.show("total(values)")
    desk.now = 1.26
    desk.type("to")
    desk.accept("tal(values)")
    desk.now = 9.0
    desk.delete(3)
    desk.type(")")
    desk.enter()
    assert desk.events == [("shown", 13), ("accepted", 13), ("executed", 11), ("retained", 11)]
    assert [feedback.seconds for feedback in desk.reported] == [0.0, 1.3, 7.7, 7.7]
    assert {feedback.length for feedback in desk.reported} == {13}
    assert [feedback.before for feedback in desk.reported] == [0, 2, 0, 0]


@pytest.mark.parametrize(("typed", "same"), [("tot!", 3), ("x", 0), ("total", 5), ("total!", 5), ("\n", 0)])
def test_outcomes_report_typing_over(typed: str, same: int) -> None:
    desk = Desk()
    desk.show("total")
    desk.type(typed)
    assert desk.events == [("shown", 5), ("typed_over", same)]


LEAVING: list[Callable[[Desk], object]] = [
    lambda desk: desk.enter(),
    lambda desk: desk.show("another", "another"),
    lambda desk: desk.delete(4),
    lambda desk: desk.key(setattr, desk.buffer, "document", Document("something else")),
    lambda desk: desk.key(desk.buffer.reset),
]


@pytest.mark.parametrize("leave", LEAVING)
def test_outcomes_report_a_dismissal(leave: Callable[[Desk], object]) -> None:
    desk = Desk()
    desk.show("total")
    desk.type("to")
    leave(desk)
    assert desk.events[1][0] == "dismissed"
    assert desk.events[1][1] in {0, 2}


def test_outcomes_survive_inserted_imports() -> None:
    desk = Desk()
    desk.show("np.pi + np.e")
    above = Insertion(0, "import numpy as np\n")

    def accept() -> None:
        desk.buffer.insert_text("np.pi")
        desk.outcomes.imports_inserted(above)
        text = above.into(desk.buffer.text)
        desk.buffer.document = Document(text, len(text))

    desk.key(accept)
    desk.type(" + np.e")
    desk.enter()
    assert desk.events == [
        ("shown", 12),
        ("accepted", 5),
        ("typed_over", 12),
        ("executed", 5),
        ("retained", 5),
    ]


def test_outcomes_report_nothing_for_an_abandoned_input() -> None:
    desk = Desk()
    desk.show("total")
    desk.accept("total")
    desk.show("(values)", "another")
    desk.give_up()
    desk.type("y")
    desk.enter()
    assert desk.events == [("shown", 5), ("accepted", 5), ("shown", 8)]


def test_outcomes_dismiss_a_suggestion_at_enter() -> None:
    desk = Desk()
    desk.show("total")
    desk.type("to")
    desk.enter()
    assert desk.events == [("shown", 5), ("dismissed", 2)]


def test_outcomes_retain_text_in_inputs_of_several_lines() -> None:
    desk = Desk("for i in ")
    desk.show("range(3):")
    desk.accept("range(3):")
    desk.enter(then="\n    ")
    desk.show("print(i)", "another")
    desk.accept("print(i)")
    desk.enter(then="\n    ")
    desk.enter()
    assert desk.events[-4:] == [("executed", 9), ("retained", 9), ("executed", 8), ("retained", 8)]


def test_outcomes_report_nothing_after_control_c() -> None:
    desk = Desk()
    desk.show("total")
    desk.accept("total")
    desk.key(desk.buffer.reset)
    desk.type("x = 1")
    desk.enter()
    assert desk.events == [("shown", 5), ("accepted", 5)]


@pytest.mark.parametrize(
    ("run", "left"),
    [
        ("x = f('a', [1], k)", 14),
        ('import a\nx = f(\n    "a",\n    [1],\n    k,\n)', 14),  # as formatted by Black
        ("y = f('a', [1], k)", 14),
        ("x = f('a', [1], key)", 14),
        ("x = g('a', [1], k)", 13),
        ("x = f('a', [1])", 11),
        ("x = f", 1),
        ("x = None", 0),
        ("x = ", 0),
        ("print(values)", None),  # replaced by another input
        ("f('a', [1], k)", 14),
        ("x = f('a', [1], k)" + "k" * LONGEST, None),
    ],
)
def test_retained_counts_what_is_left_in_the_executed_input(run: str, left: int | None) -> None:
    text = "x = f('a', [1], k)"
    assert retained(text, 4, len(text), run) == left


@given(
    st.text("ab( '\n", max_size=60), st.integers(0, 60), st.integers(0, 60), st.text("ab( '\n", max_size=60)
)
def test_retained_is_never_more_than_was_accepted(text: str, start: int, length: int, run: str) -> None:
    start = min(start, len(text))
    end = min(start + length, len(text))
    assert 0 <= (retained(text, start, end, run) or 0) <= end - start
    if text.strip():
        assert retained(text, start, end, text) == end - start
