from __future__ import annotations

import pytest

from jupyter_turbopilot.suggestion.features import CursorFeatures, features
from jupyter_turbopilot.suggestion.fit import (
    AIMS,
    DEFAULT,
    EAGERNESS,
    FITS,
    fit_for,
    is_fitted_to,
    subject_of,
)


def test_a_model_without_a_fit_of_its_own_gets_the_default_models() -> None:
    assert fit_for("somebody's.gguf") == fit_for(DEFAULT)
    assert is_fitted_to(DEFAULT)
    assert not is_fitted_to("somebody's.gguf")
    assert "eager" in fit_for("somebody's.gguf").promised


@pytest.mark.parametrize("model", FITS)
def test_each_fit_has_a_number_for_every_feature_and_every_setting(model: str) -> None:
    fit = fit_for(model)
    values = features("a", [0.0], CursorFeatures(), whole=True, further=False)
    assert set(fit.coefficients) == set(values)
    assert set(fit.thresholds) == set(EAGERNESS)
    assert {*fit.promised} == {*AIMS, "eager"}
    assert 0 < fit.promised["eager"] < fit.promised["balanced"] < fit.promised["quiet"] < 1


def test_each_model_and_setting_is_learned_of_for_itself_under_a_digest() -> None:
    models = ("somebody's.gguf", "qwen2.5-coder-1.5b", "code at gpu.example.org")
    subjects = {subject_of(model, eagerness) for model in models for eagerness in EAGERNESS}
    assert len(subjects) == len(models) * len(EAGERNESS)
    assert all(set(subject) <= set("0123456789abcdef") for subject in subjects)


def test_what_was_learned_of_another_fit_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    before = subject_of("somebody's.gguf", "balanced")
    refitted = FITS[DEFAULT] | {"coefficients": FITS[DEFAULT]["coefficients"] | {"bias": 9.0}}
    monkeypatch.setitem(FITS, "somebody's.gguf", refitted)
    fit_for.cache_clear()
    subject_of.cache_clear()
    try:
        assert subject_of("somebody's.gguf", "balanced") != before
    finally:
        fit_for.cache_clear()
        subject_of.cache_clear()
