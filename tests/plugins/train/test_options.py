from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_turbopilot.plugins.train.options import TrainingOptions


def test_tune_takes_a_tenth_of_the_time(
    options: TrainingOptions,
) -> None:
    asked = options.replace(output=Path("to/small.gguf"), minutes=30.0, scratch=True, whole=True)
    tune = asked.tune("go")
    assert (tune.output, tune.scratch, tune.whole) == (Path("to/small-go.gguf"), False, True)
    assert tune.minutes == pytest.approx(3.0)
    assert tune.paths == options.paths


@pytest.mark.parametrize(
    ("language", "name"),
    [
        ("c++", "small-c++.gguf"),
        ("MIT/GNU Scheme", "small-MIT-GNU-Scheme.gguf"),
        ("../../x", "small--x.gguf"),
    ],
)
def test_tune_writes_beside_its_base_for_any_language_name(
    language: str, name: str, options: TrainingOptions
) -> None:
    assert options.replace(output=Path("to/small.gguf")).tune(language).output == Path("to") / name
