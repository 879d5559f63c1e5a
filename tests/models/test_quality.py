from __future__ import annotations

from jupyter_turbopilot.models.catalog import catalog
from jupyter_turbopilot.models.quality import measured, share_saved

DEFAULT = "qwen2.5-coder-0.5b"


def test_what_was_measured_is_of_models_in_the_catalogue_and_shares() -> None:
    assert {one.model for one in measured()} <= catalog().keys()
    for one in measured():
        assert {*one.eagerness} == {"quiet", "balanced", "eager"}
        assert one.memory > catalog()[one.model].size
        for quality in one.eagerness.values():
            assert 0 < quality.saved < 1
            assert 0 < quality.precision <= 1
            assert quality.ms > 0


def test_an_eager_model_saves_more_and_is_right_less_often_than_a_quiet_one() -> None:
    for one in measured():
        assert one.eagerness["quiet"].precision > one.eagerness["eager"].precision
        assert one.eagerness["quiet"].saved < one.eagerness["eager"].saved


def test_the_default_model_was_measured_with_its_adapter_and_without_and_a_large_one_was_not() -> None:
    saved = {
        one.without_adapter: one.eagerness["balanced"].saved for one in measured() if one.model == DEFAULT
    }
    assert {*saved} == {True, False}
    assert share_saved(DEFAULT) == saved[False]
    assert share_saved("qwen2.5-coder-32b") is None
