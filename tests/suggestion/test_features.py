import pytest

from jupyter_turbopilot.suggestion.features import (
    ELSEWHERE,
    KINDS,
    cursor_features,
    features,
    kind_of_position,
)


def test_cursor_features_include_names_of_the_notebook() -> None:
    cursor = cursor_features("total = 1\nsum", ")\nx", ["import numpy as np\n\n"])
    assert cursor.line == "sum"
    assert cursor.rest == ")"
    assert {"numpy", "np", "total", "for"} <= cursor.words


def test_features_count_unknown_names() -> None:
    cursor = cursor_features("values = 1\n", "", [])
    found = features("values + other", [-0.1, -0.2], cursor, whole=True, further=False)
    assert found["unknown"] == 1


def test_features_describe_the_position_in_the_line() -> None:
    cursor = cursor_features("if x:\n    y = ", "", [])
    found = features("1", [-0.1], cursor, whole=True, further=False)
    assert (found["column"], found["indentation"]) == (len("y = "), 4)
    assert features("z = 2", [-0.1], cursor, whole=True, further=True)["column"] == 0


@pytest.mark.parametrize(
    ("before", "kind"),
    [
        ("x\n    ", "an empty line"),
        ("np.ar", "after a dot"),
        ("df['col", "in a string"),
        ("df['a'] + 'b' + va", "in a word"),
        ("# don't\nf(", "in brackets"),
        ("s = 'x\ny = ", "after ="),
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
