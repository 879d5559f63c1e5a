from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_turbopilot.engine.isolated.hosted import HostedLlama
from jupyter_turbopilot.engine.isolated.messages import Load, Reply, Step, encode
from jupyter_turbopilot.engine.isolated.process import ChildProcess, ProcessEndedError

from .children import PLAN, play

LOAD = Load(HostedLlama("x.gguf", PLAN, "x"))


def said(request: Load | Step = LOAD) -> str:
    """Return how a child that somebody plays ended."""
    process = ChildProcess(urgent=1)
    with pytest.raises(ProcessEndedError) as ended:
        process.ask(request, 30)
    with pytest.raises(ProcessEndedError) as again:
        process.ask(request, 30)
    assert again.value.verdict == ended.value.verdict == process.end()
    assert process._process.returncode is not None
    return ended.value.verdict.words


@pytest.fixture
def acts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda script: play(tmp_path, monkeypatch, script)


def test_how_it_ended_is_said_in_words(acts: Callable[[str], None]) -> None:
    for script, words in {
        "kill -SEGV $$": "it crashed (signal 11)",
        "kill -KILL $$": "it was killed, as by a system without memory",
        "echo MemoryError >&2; exit 1": "there was not enough memory",
        "echo 'it is no model' >&2; exit 3": "it failed (it is no model)",
        "exit 0": "it ended",
    }.items():
        acts(script)
        assert said() == words


def test_what_it_printed_after_the_load_is_not_quoted(acts: Callable[[str], None]) -> None:
    acts("echo 'somebody typed this' >&2; exit 1")
    assert said(Step((1,))) == "it failed (exit status 1)"
    acts("echo 'somebody typed this: out of memory' >&2; exit 1")
    assert said(Step((1,))) == "there was not enough memory"


@pytest.mark.parametrize(
    "script",
    [
        "printf '\\377\\377\\377\\377 and so on'",
        "printf 'HTTP/1.1 200 OK\\r\\n\\r\\n<html>%65536s' x",
        "printf '\\001\\000\\000\\000\\301'",
        "printf '\\000\\000\\000\\000'",
    ],
)
def test_one_that_does_not_keep_to_the_protocol_is_ended(acts: Callable[[str], None], script: str) -> None:
    acts(f"{script}; cat > /dev/null")
    assert said() == "it did not keep to the protocol"


def test_half_a_reply_is_none(acts: Callable[[str], None]) -> None:
    acts("printf '\\011\\000\\000\\000half'; exit 1")
    assert said() == "it failed (exit status 1)"


def test_it_is_not_given_secrets(
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
    said()
    assert (tmp_path / "environment").read_text().count("hunter2") == 1


def test_a_request_that_is_interrupted_ends_it(
    acts: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    acts("exec sleep 60")
    process = ChildProcess(urgent=1)

    def interrupt() -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(process._pipe, "receive", interrupt)
    with pytest.raises(KeyboardInterrupt):
        process.ask(LOAD, 30)
    assert process.end().words == "a request was interrupted"


def test_one_that_does_not_listen_is_killed_in_the_end(
    acts: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from jupyter_turbopilot.engine.isolated import process as module

    monkeypatch.setattr(module, "ENDS_WITHIN", 0.05)
    acts("exec sleep 60")
    process = ChildProcess(urgent=1)
    assert process.end().words == "it was killed, as by a system without memory"


def test_a_request_that_cannot_be_sent_leaves_it_alone(acts: Callable[[str], None], tmp_path: Path) -> None:
    reply = tmp_path / "reply"
    message = encode(Reply(granted=False))
    reply.write_bytes(len(message).to_bytes(4, "little") + message)
    acts(f"head -c 1 > /dev/null; cat {reply}; cat > /dev/null")
    process = ChildProcess(urgent=1)
    with pytest.raises(UnicodeEncodeError):
        process.ask(Load(HostedLlama("\ud800", PLAN, "x")), 30)
    assert not process.ask(LOAD, 30).granted
    assert process.end().words == "it ended"


def test_no_process_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(subprocess, "Popen", full)
    with pytest.raises(ProcessEndedError, match="Cannot allocate memory") as refused:
        ChildProcess(urgent=1)
    assert refused.value.verdict.code == "memory"
