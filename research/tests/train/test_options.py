from __future__ import annotations

from pathlib import Path

import pytest

from turbopilot_research.train.options import TrainingOptions


def test_tune_takes_a_tenth_of_the_time(options: TrainingOptions) -> None:
    asked = options.replace(output=Path("to/small.gguf"), minutes=30.0, scratch=True, whole=True)
    tune = asked.tune("go")
    assert (tune.output, tune.scratch, tune.whole) == (Path("to/small-go.gguf"), False, True)
    assert tune.minutes == pytest.approx(3.0)
    assert tune.paths == options.paths
