from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.suggestion.gate import Confidence, first_lines


def written(*tokens: tuple[bytes, float]) -> Confidence:
    confidence = Confidence()
    for data, probability in tokens:
        confidence.add(data, probability)
    return confidence


def test_a_line_is_as_sure_as_all_its_tokens_together() -> None:
    assert written((b"a", 0.5), (b"b", 0.5)).first == 0.25


def test_the_token_that_ends_a_line_counts_for_it() -> None:
    confidence = written((b"a", 0.5), (b"\n", 0.8), (b"b", 0.9))
    assert confidence.lines == [pytest.approx(0.4), 0.9]


def test_empty_lines_count_for_the_line_that_follows() -> None:
    assert written((b"\n", 0.5), (b"    a", 0.5), (b"\n", 1.0)).lines[0] == 0.25


def test_only_whole_lines_are_sure_and_only_up_to_the_first_doubtful_one() -> None:
    confidence = written((b"a\n", 0.9), (b"b\n", 0.1), (b"c\n", 0.9))
    assert confidence.sure_lines(0.5) == 1


def test_a_line_that_fell_below_the_threshold_can_never_be_shown() -> None:
    confidence = written((b"a", 0.4))
    assert confidence.hopeless(0.5)
    assert not confidence.hopeless(0.4)


@given(st.lists(st.tuples(st.sampled_from([b"a", b"\n", b"b\nc", b" "]), st.floats(0.01, 1)), max_size=20))
def test_confidence_never_rises_while_a_line_is_written(tokens: list[tuple[bytes, float]]) -> None:
    confidence = Confidence()
    for data, probability in tokens:
        before = confidence.lines
        confidence.add(data, probability)
        after = confidence.lines
        assert all(later <= earlier for earlier, later in zip(before, after, strict=False))


@pytest.mark.parametrize(
    ("text", "count", "kept"),
    [("a\nb\nc", 2, "a\nb"), ("\n\na\nb", 1, "\n\na"), ("a", 0, ""), ("a\n\nb", 1, "a"), ("a\nb", 9, "a\nb")],
)
def test_lines_are_counted_by_what_they_hold(text: str, count: int, kept: str) -> None:
    assert first_lines(text, count) == kept
