from __future__ import annotations

import pytest

from jupyter_turbopilot.suggestion.features import CursorFeatures, features
from jupyter_turbopilot.suggestion.gate_fit import (
    AIMS,
    DEFAULT,
    EAGERNESS,
    FITS,
    fit_for,
    is_fitted_to,
    subject_of,
)


def test_fit_for_defaults_to_the_default_model() -> None:
    assert fit_for("custom.gguf") == fit_for(DEFAULT)
    assert is_fitted_to(DEFAULT)
    assert not is_fitted_to("custom.gguf")
    assert "eager" in fit_for("custom.gguf").promised


@pytest.mark.parametrize("model", FITS)
def test_fits_are_complete(model: str) -> None:
    fit = fit_for(model)
    values = features("a", [0.0], CursorFeatures(), whole=True, further=False)
    assert {*fit.trees.features} == {*values}
    assert 0 < fit.trees.score(values) < 1
    assert set(fit.thresholds) == set(EAGERNESS)
    assert {*fit.promised} == {*AIMS, "eager"}
    assert 0 < fit.promised["eager"] < fit.promised["balanced"] < fit.promised["quiet"] < 1


def test_subject_of_is_a_digest_of_model_and_setting() -> None:
    models = ("custom.gguf", "qwen2.5-coder-1.5b", "code at gpu.example.org")
    subjects = {subject_of(model, eagerness) for model in models for eagerness in EAGERNESS}
    assert len(subjects) == len(models) * len(EAGERNESS)
    assert all(set(subject) <= set("0123456789abcdef") for subject in subjects)


def test_subject_of_changes_with_the_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    before = subject_of("custom.gguf", "balanced")
    refitted = FITS[DEFAULT] | {"trees": FITS[DEFAULT]["trees"] | {"trees": [0.5]}}
    monkeypatch.setitem(FITS, "custom.gguf", refitted)
    fit_for.cache_clear()
    subject_of.cache_clear()
    try:
        assert subject_of("custom.gguf", "balanced") != before
    finally:
        fit_for.cache_clear()
        subject_of.cache_clear()
