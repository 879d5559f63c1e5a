from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.remote.dialect import EventContent
from jupyter_turbopilot.engine.remote.statistics import MOST_SESSIONS, Figures

END = EventContent(ended=True)


def answer(
    figures: Figures, address: str = "a", session: str = "s", *, replica: str = "", cached: int | None = None
) -> None:
    counted = figures.sent(address, session, 1.0)
    for heard in (EventContent(replica=replica), EventContent(cached=cached), END):
        counted.heard(heard, 1.25)
    counted.end()


def test_the_first_answer_to_a_session_neither_hits_nor_misses_nor_moves() -> None:
    figures = Figures(["a"])
    answer(figures, cached=3)
    answer(figures, session="t", cached=0)
    assert (figures.hits, figures.misses, figures.moved) == (0, 0, 0)
    assert (figures.addresses["a"].requests, figures.addresses["a"].waited) == (2, 0.5)


def test_what_a_session_finds_is_counted_where_it_is_told() -> None:
    figures = Figures(["a"])
    for cached in (0, 9, 9, 0, None):
        answer(figures, cached=cached)
    assert (figures.hits, figures.misses, figures.moved) == (2, 1, 0)


def test_a_session_that_another_address_or_replica_answers_has_moved() -> None:
    figures = Figures(["a", "b"])
    for address, replica in (("a", "x"), ("a", "x"), ("a", "y"), ("b", "y"), ("b", "y"), ("a", "y")):
        answer(figures, address, replica=replica)
    assert figures.moved == 3


def test_texts_without_a_session_and_without_a_word_are_requests_and_no_more() -> None:
    figures = Figures(["a"])
    for _ in range(3):
        answer(figures, session="", cached=5)
    figures.sent("a", "s", 1.0).end()
    told = figures.addresses["a"]
    assert (told.requests, told.answers, figures.hits, figures.moved) == (4, 3, 0, 0)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.text(max_size=2), st.sampled_from(["", "x"]))))
def test_hits_and_misses_are_no_more_than_the_answers_to_sessions_that_came_back(
    answers: list[tuple[str, str, str]],
) -> None:
    figures = Figures(["a", "b"])
    for number, (address, session, replica) in enumerate(answers):
        answer(figures, address, session, replica=replica, cached=number % 2)
    sessions = [session for _, session, _ in answers if session]
    assert figures.hits + figures.misses == len(sessions) - len(set(sessions))
    assert figures.moved <= figures.hits + figures.misses


def test_only_so_many_sessions_are_remembered() -> None:
    figures = Figures(["a"])
    for number in range(MOST_SESSIONS + 5):
        answer(figures, session=str(number))
    assert len(figures._last) == MOST_SESSIONS
