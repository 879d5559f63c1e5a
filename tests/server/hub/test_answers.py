from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.server.hub.answers import COUNTS, REFUSED, Answers, digest_of
from jupyter_turbopilot.server.hub.person import Person

ADA = Person("ada", "user", admin=False, groups=(), scopes=frozenset())
BOB = Person("bob", "user", admin=False, groups=(), scopes=frozenset())


def test_who_was_asked_about_longest_ago_is_forgotten_first() -> None:
    answers = Answers(most=2)
    for number, name in enumerate("abac"):
        answers.keep(name, ADA, float(number))
    assert [name for name in "abc" if answers.find(name, 4.0)] == ["a", "c"]


def test_refusals_are_bounded_and_evict_no_answer() -> None:
    answers = Answers(most=2)
    answers.keep("a", ADA, 0.0)
    for number, name in enumerate("uvwx"):
        answers.keep(name, None, float(number))
    assert [name for name in "uvwx" if answers.is_refused(name, 3.0)] == ["w", "x"]
    assert not answers.is_refused("x", 3.0 + REFUSED)
    assert answers.find("a", 3.0) is not None


def test_a_token_counts_as_known_until_the_hub_refuses_it() -> None:
    answers = Answers()
    answers.keep("a", ADA, 0.0)
    assert answers.was_known("a")
    assert answers.find("a", COUNTS) is None
    assert answers.was_known("a")
    answers.keep("a", None, COUNTS)
    assert not answers.was_known("a")


def test_a_digest_says_nothing_of_its_token() -> None:
    assert digest_of("token") != digest_of("tokem")
    assert "token" not in digest_of("token")


STEPS = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from([ADA, BOB, None]), st.floats(0, 200)))


@given(STEPS)
def test_what_is_found_is_what_was_said_last_and_lately(
    steps: list[tuple[str, Person | None, float]],
) -> None:
    answers, said, now = Answers(most=3), dict[str, tuple[Person | None, float]](), 0.0
    for name, person, pause in steps:
        now += pause
        answers.keep(name, person, now)
        said[name] = (person, now)
        found = {name: answer for name in "abcdef" if (answer := answers.find(name, now))}
        assert len(found) <= 3
        for each, answer in found.items():
            assert (answer.person, answer.asked) == said[each]
            assert now - answer.asked < COUNTS
