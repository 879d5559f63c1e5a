from __future__ import annotations

from jupyter_turbopilot.models.catalog import catalog
from jupyter_turbopilot.models.recommend import measured

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
