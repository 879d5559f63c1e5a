from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.plugins.remote.dialect import EventContent
from jupyter_turbopilot.plugins.remote.statistics import MOST_SESSIONS, Figures

END = EventContent(ended=True)


def answer(
    figures: Figures, address: str = "a", session: str = "s", *, replica: str = "", cached: int | None = None
) -> None:
    counted = figures.sent(address, session, 1.0)
    for received in (EventContent(replica=replica), EventContent(cached=cached), END):
        counted.received(received, 1.25)
    counted.end()


def test_figures_count_no_hit_for_a_new_session() -> None:
    figures = Figures(["a"])
    answer(figures, cached=3)
    answer(figures, session="t", cached=0)
    assert (figures.hits, figures.misses, figures.moved) == (0, 0, 0)
    assert (figures.addresses["a"].requests, figures.addresses["a"].waited) == (2, 0.5)


def test_figures_count_reported_hits_and_misses() -> None:
    figures = Figures(["a"])
    for cached in (0, 9, 9, 0, None):
        answer(figures, cached=cached)
    assert (figures.hits, figures.misses, figures.moved) == (2, 1, 0)


def test_figures_count_sessions_that_moved() -> None:
    figures = Figures(["a", "b"])
    for address, replica in (("a", "x"), ("a", "x"), ("a", "y"), ("b", "y"), ("b", "y"), ("a", "y")):
        answer(figures, address, replica=replica)
    assert figures.moved == 3


def test_metrics_are_per_address_and_name_no_session() -> None:
    figures = Figures(["gpu:1", "gpu:2"])
    for address, cached in (("gpu:1", 0), ("gpu:1", 7), ("gpu:2", 0)):
        answer(figures, address, "SECRET-SESSION", replica="SECRET-REPLICA", cached=cached)
    figures.addresses["gpu:2"].throttled = 3
    samples = [sample for family in figures.metrics() for sample in family.samples]
    assert {(sample.name, *sample.labels.values()): sample.value for sample in samples} == {
        ("turbopilot_engine_requests_total", "gpu:1"): 2,
        ("turbopilot_engine_requests_total", "gpu:2"): 1,
        ("turbopilot_engine_throttled_total", "gpu:1"): 0,
        ("turbopilot_engine_throttled_total", "gpu:2"): 3,
        ("turbopilot_engine_first_token_seconds_count", "gpu:1"): 2,
        ("turbopilot_engine_first_token_seconds_sum", "gpu:1"): 0.5,
        ("turbopilot_engine_first_token_seconds_count", "gpu:2"): 1,
        ("turbopilot_engine_first_token_seconds_sum", "gpu:2"): 0.25,
        ("turbopilot_engine_affinity_total", "hit"): 1,
        ("turbopilot_engine_affinity_total", "miss"): 1,
        ("turbopilot_engine_sessions_moved_total",): 1,
    }


def test_figures_count_only_requests_without_session_or_answer() -> None:
    figures = Figures(["a"])
    for _ in range(3):
        answer(figures, session="", cached=5)
    figures.sent("a", "s", 1.0).end()
    counted = figures.addresses["a"]
    assert (counted.requests, counted.answers, figures.hits, figures.moved) == (4, 3, 0, 0)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.text(max_size=2), st.sampled_from(["", "x"]))))
def test_figures_hits_and_misses_equal_repeated_answers(
    answers: list[tuple[str, str, str]],
) -> None:
    figures = Figures(["a", "b"])
    for number, (address, session, replica) in enumerate(answers):
        answer(figures, address, session, replica=replica, cached=number % 2)
    sessions = [session for _, session, _ in answers if session]
    assert figures.hits + figures.misses == len(sessions) - len(set(sessions))
    assert figures.moved <= figures.hits + figures.misses


def test_figures_limit_the_stored_sessions() -> None:
    figures = Figures(["a"])
    for number in range(MOST_SESSIONS + 5):
        answer(figures, session=str(number))
    assert len(figures._last) == MOST_SESSIONS
