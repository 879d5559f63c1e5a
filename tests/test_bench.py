"""`make bench`, all of it in one go, and what its figures are made of."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import psutil
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


def test_notebooks_in_a_relative_path_are_found_from_where_it_is_called(
    bench: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(
        bench, "run", lambda step, into: ran.append(step.command) or bench.Outcome("eval", 0, 1.0, into)
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["bench", "--into", "out", "--set", "mine", "--only", "eval", "drafts"])
    with pytest.raises(SystemExit):
        bench.main()
    assert len(ran) == 2
    assert all(str(tmp_path / "mine") in command for command in ran)


@pytest.mark.parametrize(("system", "unit"), [("linux", 1024), ("darwin", 1)])
def test_the_most_memory_is_in_bytes_whatever_the_system_counts_in(
    system: str, unit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = pytest.importorskip("resource", reason="Windows has another way")
    usage = type("Usage", (), {"ru_maxrss": 5})()
    monkeypatch.setattr(resource, "getrusage", lambda _: usage)
    quality = load("quality")
    monkeypatch.setattr(sys, "platform", system)
    assert quality.peak() == 5 * unit


def test_the_most_memory_of_this_process_is_at_least_what_it_has() -> None:
    assert load("quality").peak() >= 0.9 * psutil.Process().memory_info().rss


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
