from __future__ import annotations

from jupyter_turbopilot.models.catalog import catalog
from jupyter_turbopilot.models.quality import measured, share_saved


def test_what_was_measured_is_of_models_in_the_catalogue_and_shares() -> None:
    assert measured().keys() <= catalog().keys()
    for by_eagerness in measured().values():
        assert {*by_eagerness} == {"quiet", "balanced", "eager"}
        for quality in by_eagerness.values():
            assert 0 < quality.saved < 1
            assert 0 < quality.precision <= 1
            assert quality.ms > 0


def test_an_eager_model_saves_more_and_is_right_less_often_than_a_quiet_one() -> None:
    for by_eagerness in measured().values():
        assert by_eagerness["quiet"].precision > by_eagerness["eager"].precision
        assert by_eagerness["quiet"].saved < by_eagerness["eager"].saved


def test_the_default_model_was_measured_and_a_large_one_was_not() -> None:
    assert share_saved("qwen2.5-coder-0.5b") == measured()["qwen2.5-coder-0.5b"]["balanced"].saved
    assert share_saved("qwen2.5-coder-32b") is None
