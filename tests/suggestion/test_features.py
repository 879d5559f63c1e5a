from jupyter_turbopilot.suggestion.features import (
    cursor_features,
    features,
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
