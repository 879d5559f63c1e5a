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


def test_unchanged_sends_new_names_and_translates_them_back(monkeypatch: pytest.MonkeyPatch) -> None:
    unchanged = load("unchanged")
    body = {"trigger": "ahead", "extra": [{"path": "a.py", "source": "x"}], "n": None}
    assert unchanged.renamed(body, "/complete") == body
    monkeypatch.setitem(unchanged.NAMES, "/complete", {"extra": "documents", "ahead": "prefetch"})
    sent = unchanged.renamed(body, "/complete")
    assert sent == {"trigger": "prefetch", "documents": body["extra"], "n": None}
    assert unchanged.renamed(sent, "/complete", back=True) == body
    assert unchanged.renamed(body, "/infill") == body
    error = {"error": {"field": "documents[0].path", "message": "documents: no prefetch"}}
    back = unchanged.renamed(error, "/complete", back=True)
    assert back == {"error": {"field": "extra[0].path", "message": "extra: no ahead"}}
