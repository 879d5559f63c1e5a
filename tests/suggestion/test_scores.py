import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.suggestion.scores import (
    DEFAULT,
    EAGERNESS,
    FITS,
    CursorFeatures,
    Trees,
    cursor_features,
    features,
    fit_for,
    is_fitted_to,
    sigmoid,
)

BY_HAND = Trees(["sum", "whole"], [(0, -1.0, -2.0, (1, 0.5, 0.5, 1.5)), (1, 0.5, -0.25, 0.25), 0.125])


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
    ("total", "whole", "log_odds"),
    [(-2.0, 1.0, -1.625), (-1.0, 0.0, -2.125), (-0.5, 0.0, 0.375), (-0.5, 1.0, 1.875)],
)
def test_score_is_the_sum_of_the_leaves(total: float, whole: float, log_odds: float) -> None:
    assert BY_HAND.score({"sum": total, "whole": whole}) == pytest.approx(sigmoid(log_odds))


@given(
    st.text(min_size=1),
    st.lists(st.floats(-9, 0), min_size=2, max_size=9),
    st.floats(0, 5),
    st.booleans(),
    st.booleans(),
)
def test_a_less_probable_prefix_never_scores_higher(
    text: str, sure: list[float], less: float, whole: bool, further: bool
) -> None:
    trees, cursor = fit_for(DEFAULT).trees, CursorFeatures("x = ")
    likely = features(text, sure, cursor, whole=whole, further=further)
    unlikely = likely | {"sum": likely["sum"] - less, "worst": likely["worst"] - less}
    assert 0 < trees.score(unlikely) <= trees.score(likely) < 1


def test_fit_for_defaults_to_the_default_model() -> None:
    assert fit_for("custom.gguf") == fit_for(DEFAULT)
    assert is_fitted_to(DEFAULT)
    assert not is_fitted_to("custom.gguf")


@pytest.mark.parametrize("model", FITS)
def test_fits_are_complete(model: str) -> None:
    fit = fit_for(model)
    values = features("a", [0.0], CursorFeatures(), whole=True, further=False)
    assert {*fit.trees.features} == {*values}
    assert 0 < fit.trees.score(values) < 1
    assert set(fit.thresholds) == set(EAGERNESS)
