"""`make bench`, all of it in one go, and what its figures are made of."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent.parent / "benchmarks"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"turbopilot_{name}", HERE / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    return load("bench")


def test_every_measurement_is_of_a_program_that_is_there_and_has_its_own_file(
    bench: ModuleType, tmp_path: Path
) -> None:
    for small in (False, True):
        chosen = bench.steps(tmp_path / "set", tmp_path, small=small)
        assert len({step.name for step in chosen}) == len(chosen)
        for step in chosen:
            if step.command[0] == sys.executable:
                text = Path(step.command[1]).read_text("utf-8")
                for option in step.command[2:]:
                    assert not option.startswith("--") or f'"{option}"' in text, (step.name, option)
