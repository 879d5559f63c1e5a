from __future__ import annotations

import math

import pytest

from jupyter_turbopilot.suggestion.features import (
    ELSEWHERE,
    KINDS,
    CursorFeatures,
    cursor_features,
    features,
    kind_of_position,
    score,
)
from jupyter_turbopilot.suggestion.fit import DEFAULT, fit_for

from ..shared_cases import golden

COEFFICIENTS = fit_for(DEFAULT).coefficients

LINE_FEATURES = ("empty line", "after dot", "in word", "in brackets", "after =", "in string")


def test_cursor_features_include_names_and_lines_of_the_notebook() -> None:
    cursor = cursor_features("total = 1\nsum", ")\nx", ["import numpy as np\n\n"])
    assert cursor.line == "sum"
    assert cursor.rest == ")"
    assert {"numpy", "np", "total", "for"} <= cursor.words
    assert "total = 1" in cursor.lines
    assert "sum" not in cursor.lines


def test_features_distinguish_known_and_unknown_names() -> None:
    cursor = cursor_features("values = 1\n", "", [])
    found = features("values + other", [-0.1, -0.2], cursor, whole=True, further=False)
    assert found["known"] == 0.5
    assert found["unknown"] == pytest.approx(math.log(2))


def test_features_have_coefficients_and_scores_grow_with_probability() -> None:
    found = [features("value", [-p], CursorFeatures(), whole=True, further=False) for p in (0.01, 3.0)]
    assert set(found[0]) == set(COEFFICIENTS)
    assert 0 < score(found[1], COEFFICIENTS) < score(found[0], COEFFICIENTS) < 1


@pytest.mark.parametrize(("line", "set_"), golden("features", "line_features"))
def test_line_features_describe_the_line_at_the_cursor(line: str, set_: list[str]) -> None:
    values = features("x", [-0.1], cursor_features(line, "", []), whole=True, further=False)
    assert [name for name in LINE_FEATURES if values[name]] == set_


def test_features_detect_a_repeated_line() -> None:
    cursor = cursor_features("x = 1\nx = ", "", [])
    assert features("1", [-0.1], cursor, whole=True, further=False)["again"]
    assert not features("2", [-0.1], cursor, whole=True, further=False)["again"]
    assert features("x = 1", [-0.1], cursor, whole=True, further=True)["again"]


def test_features_bound_the_odds() -> None:
    assert features("x", [0.0], CursorFeatures(), whole=True, further=False)["odds"] == pytest.approx(
        math.log(999)
    )


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
def test_kind_of_position_distinguishes_positions(before: str, kind: str) -> None:
    assert kind_of_position(before) == kind
    assert kind in KINDS


def test_kind_of_position_ignores_distant_text() -> None:
    assert kind_of_position("'" + "\n" * 10 + "x" * 1000 + " + ") == ELSEWHERE
