from __future__ import annotations

import pytest

from jupyter_turbopilot.suggestion.features import CursorFeatures, features
from jupyter_turbopilot.suggestion.fit import (
    AIMS,
    BLANK,
    DEFAULT,
    EAGERNESS,
    FITS,
    blank_position,
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
    assert set(fit.coefficients) == set(values)
    assert set(fit.thresholds) == set(EAGERNESS)
    assert fit.blank.keys() <= set(BLANK)
    for position in (*BLANK, ""):
        steps = [fit.threshold(eagerness, position) for eagerness in reversed(EAGERNESS)]
        assert steps == sorted(steps)
        assert steps[0] == 0 < steps[1]
        assert steps[-1] < 1
    assert {*fit.promised} == {*AIMS, "eager"}
    assert 0 < fit.promised["eager"] < fit.promised["balanced"] < fit.promised["quiet"] < 1


@pytest.mark.parametrize(
    ("prefix", "suffix", "position"),
    [
        ("", "", "empty cell"),
        ("\n  ", "\n", "empty cell"),
        ("x = 1\n", "", "empty line"),
        ("if x:\n    ", "\ny = 2", "empty line"),
        ("", "\ny = 2", "empty line"),
        ("", "y = 2", ""),
        ("x = 1\n    ", "  )\n", ""),
        ("x = 1", "", ""),
    ],
)
def test_blank_position_considers_line_and_cell(prefix: str, suffix: str, position: str) -> None:
    assert blank_position(prefix, suffix) == position


def test_other_models_do_not_use_blank_thresholds_of_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {name: FITS[DEFAULT][name] for name in ("coefficients", "thresholds")}
    monkeypatch.setitem(FITS, "own.gguf", own)
    for position in BLANK:
        assert fit_for("own.gguf").threshold("balanced", position) == own["thresholds"]["balanced"]


def test_subject_of_is_a_digest_of_model_setting_and_position() -> None:
    models = ("custom.gguf", "qwen2.5-coder-1.5b", "code at gpu.example.org")
    subjects = {
        subject_of(model, eagerness, position)
        for model in models
        for eagerness in EAGERNESS
        for position in (*BLANK, "")
    }
    assert len(subjects) == len(models) * len(EAGERNESS) * 3
    assert all(set(subject) <= set("0123456789abcdef") for subject in subjects)


def test_subject_of_changes_with_the_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    before = subject_of("custom.gguf", "balanced")
    refitted = FITS[DEFAULT] | {"coefficients": FITS[DEFAULT]["coefficients"] | {"bias": 9.0}}
    monkeypatch.setitem(FITS, "custom.gguf", refitted)
    fit_for.cache_clear()
    subject_of.cache_clear()
    try:
        assert subject_of("custom.gguf", "balanced") != before
    finally:
        fit_for.cache_clear()
        subject_of.cache_clear()
