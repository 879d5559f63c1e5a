"""`make bench`: all of it in one go."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("turbopilot_bench", HERE / "bench.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_one_that_fails_or_cannot_be_started_does_not_end_the_others(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = [
        bench.Step("broken", [sys.executable, "-c", "print('begun'); raise SystemExit(3)"]),
        bench.Step("absent", [str(tmp_path / "no such program")]),
        bench.Step(
            "whole", [sys.executable, "-c", "import sys; print('12 ms'); print('late', file=sys.stderr)"]
        ),
    ]
    monkeypatch.setattr(bench, "steps", lambda *_, **__: chosen)
    monkeypatch.setattr(sys, "argv", ["bench", "--into", str(tmp_path / "bench"), "--set", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        bench.main()
    assert ended.value.code
    said = capsys.readouterr().out
    assert "FAILED (3)" in said
    assert "FAILED (127)" in said
    assert "2 of 3 failed" in said
    assert f"What they printed is in {tmp_path / 'bench'}" in said
    kept = {path.stem: path.read_text() for path in (tmp_path / "bench").iterdir()}
    assert kept["broken"] == "begun\n"
    assert "No such file" in kept["absent"]
    assert kept["whole"].splitlines() == ["12 ms", "late"] or kept["whole"].splitlines() == ["late", "12 ms"]


def test_every_measurement_is_of_a_program_that_is_there_and_has_its_own_file(
    bench: ModuleType, tmp_path: Path
) -> None:
    for small in (False, True):
        chosen = bench.steps(tmp_path / "set", tmp_path, small=small)
        assert len({step.name for step in chosen}) == len(chosen) == 10
        for step in chosen:
            if step.command[0] == sys.executable:
                text = Path(step.command[1]).read_text("utf-8")
                for option in step.command[2:]:
                    assert not option.startswith("--") or f'"{option}"' in text, (step.name, option)


def test_one_of_them_can_be_asked_for_by_name(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["bench", "--into", str(tmp_path), "--set", str(tmp_path), "--only"]
    monkeypatch.setattr(sys, "argv", [*arguments, "nonsense"])
    with pytest.raises(SystemExit, match="no measurement nonsense"):
        bench.main()
    ran: list[str] = []
    monkeypatch.setattr(
        bench, "run", lambda step, into: ran.append(step.name) or bench.Outcome("load", 0, 1.0, into)
    )
    monkeypatch.setattr(sys, "argv", [*arguments, "load"])
    with pytest.raises(SystemExit) as ended:
        bench.main()
    assert not ended.value.code
    assert ran == ["load"]
