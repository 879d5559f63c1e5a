from __future__ import annotations

import pytest

from jupyter_turbopilot.suggestion.position import ELSEWHERE, KINDS, kind_of_position


@pytest.mark.parametrize(
    ("before", "kind"),
    [
        ("x\n    ", "an empty line"),
        ("np.", "after a dot"),
        ("np.ar", "after a dot"),
        ("df['col", "in a string"),
        ("df['a'] + 'b' + va", "in a word"),
        ("# don't\nf(", "in brackets"),
        ("s = 'x\ny = ", "after ="),
        ("print(\"it's ", "in a string"),
        ("f('a', \"", "in a string"),
        ('f("", ', "in brackets"),
        ("f(a, ", "in brackets"),
        ("x = ", "after ="),
        ("x + ", "elsewhere"),
    ],
)
def test_positions_are_told_apart(before: str, kind: str) -> None:
    assert kind_of_position(before) == kind
    assert kind in KINDS


def test_what_is_far_before_the_cursor_is_not_looked_at() -> None:
    assert kind_of_position("'" + "\n" * 10 + "x" * 1000 + " + ") == ELSEWHERE
