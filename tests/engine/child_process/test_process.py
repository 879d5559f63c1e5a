from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_turbopilot.engine.child_process.messages import REFUSED, Load, Step
from jupyter_turbopilot.engine.child_process.process import ChildProcess, ProcessEndedError, judge
from jupyter_turbopilot.engine.llama.engine import HostedLlama

from .children import PLAN, play

LOAD = Load.of(HostedLlama("x.gguf", PLAN, "x"))


def ending(request: Load | Step = LOAD) -> str:
    """Return why a scripted child ended."""
    process = ChildProcess(urgent=1)
    with pytest.raises(ProcessEndedError) as ended:
        process.ask(request, 30)
    with pytest.raises(ProcessEndedError) as again:
        process.ask(request, 30)
    assert again.value.verdict == ended.value.verdict == process.end()
    assert process._process.returncode is not None
    return ended.value.verdict.reason


@pytest.fixture
def acts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda script: play(tmp_path, monkeypatch, script)


def test_verdict_does_not_quote_output_after_the_load(acts: Callable[[str], None]) -> None:
    acts("echo 'the prompt' >&2; exit 1")
    assert ending(Step((1,))) == "it failed (exit status 1)"
    acts("echo 'the prompt: out of memory' >&2; exit 1")
    assert ending(Step((1,))) == "there was not enough memory"


@pytest.mark.parametrize(
    "script",
    [
        "printf '\\377\\377\\377\\377 and so on'",
        "printf 'HTTP/1.1 200 OK\\r\\n\\r\\n<html>%65536s' x",
        "printf '\\001\\000\\000\\000\\301'",
        "printf '\\000\\000\\000\\000'",
    ],
)
def test_ask_kills_a_child_that_violates_the_protocol(acts: Callable[[str], None], script: str) -> None:
    acts(f"{script}; cat > /dev/null")
    assert ending() == "it violated the protocol"


def test_child_process_gets_no_secrets(
    acts: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "HF_TOKEN",
        "TURBOPILOT_ENGINE_KEY",
        "JUPYTERHUB_API_TOKEN",
        "OPENAI_API_KEY",
        "SOMETHING_ELSE",
    ):
        monkeypatch.setenv(name, "hunter2")
    acts(f"env > {tmp_path}/environment; exit 1")
    ending()
    assert (tmp_path / "environment").read_text().count("hunter2") == 1


def test_child_process_reports_that_it_could_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(subprocess, "Popen", full)
    with pytest.raises(ProcessEndedError, match="Cannot allocate memory") as refused:
        ChildProcess(urgent=1)
    assert refused.value.verdict.code == "memory"


@pytest.mark.parametrize(
    ("status", "output", "code"),
    [
        (-15, "", "load_test"),
        (-2, "", "load_test"),
        (-6, "GGML_ASSERT(false) failed", "model_refused"),
        (0xC0000005, "", "model_refused"),
        (-4, "", "engine_missing"),
        (0xC000001D, "", "engine_missing"),
        (REFUSED, "unknown model architecture", "model_refused"),
        (REFUSED, "failed to open GGUF file (Too many open files)", "load_test"),
    ],
)
def test_judge_separates_file_errors_from_others(status: int, output: str, code: str) -> None:
    assert judge(status, output).code == code
