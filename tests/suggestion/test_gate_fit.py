from __future__ import annotations

import pytest

from jupyter_turbopilot.suggestion.features import CursorFeatures, features
from jupyter_turbopilot.suggestion.gate_fit import DEFAULT, EAGERNESS, FITS, fit_for, is_fitted_to


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
