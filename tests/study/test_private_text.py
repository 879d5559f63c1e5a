from __future__ import annotations

import pytest

from jupyter_turbopilot.study.private_text import LONGEST, loggable, surroundings_of


@pytest.mark.parametrize(
    ("before", "text", "after"),
    [
        ("x = 1\n", 'password = "hunter2"', ""),
        ('password = "', 'hunter22"', ""),
        ('password = "', "hunter22", '"'),
        ("password = (\n    ", '"hunter22")', "\n"),
        ("", 'x = 1\npassword = "hunter2"', ""),
        ("", "x" * (LONGEST + 1), ""),
    ],
)
def test_what_may_be_a_secret_in_its_place_is_left_out(before: str, text: str, after: str) -> None:
    assert loggable(text, surroundings_of(before, after)) is None


@pytest.mark.parametrize(
    ("before", "text", "after"),
    [("x = ", "values.mean()", ""), ('password = "hunter2"\n\n\n\n\n', "x = 1", "\ny = 2"), ("", "😀", "")],
)
def test_anything_else_is_logged_as_it_is(before: str, text: str, after: str) -> None:
    assert loggable(text, surroundings_of(before, after)) == text


def test_little_is_kept_of_a_long_cell() -> None:
    kept = surroundings_of("x = 1\n" * 100_000, "y" * 100_000)
    assert len(kept.before) + len(kept.after) <= 2 * LONGEST
