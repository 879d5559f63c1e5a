from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.base import Engine
from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.child_process.engine import LEAST_PATIENCE, IsolatedEngine, patience_for
from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.protocol.engine_request import EngineRequest, PrefixConstraint, Sampling, Token, Usage
from jupyter_turbopilot.protocol.errors import ContextLengthError, EngineError, EngineGoneError

from ...waiting import generated
from .children import PLAN, WAITS, change, load


@pytest.fixture(scope="module")
def isolated(tiny_model: Path) -> Iterator[IsolatedEngine]:
    engine = load(tiny_model)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def here(tiny_model: Path) -> Iterator[Engine]:
    engine = LlamaEngine(tiny_model, PLAN, name="tiny")
    yield engine
    engine.close()


def write(engine: Engine, text: str, count: int = 8, **sampling: Any) -> tuple[list[Token], Usage]:
    engine_request = EngineRequest(engine.vocabulary.tokenize(text), Sampling(max_tokens=count, **sampling))
    return generated(engine, engine.start(engine_request))[0], engine_request.usage


def text_of(tokens: Sequence[Token]) -> bytes:
    return b"".join(token.data for token in tokens)


def counts(usage: Usage) -> tuple[int, int, int]:
    return usage.prompt_tokens, usage.cached_tokens, usage.predicted_tokens


ALPHABET = "abcdef (),=.\n\téß漢🙂"
PROMPTS = [
    "".join(random.Random(number).choices(ALPHABET, k=random.Random(number).randint(1, 60)))
    for number in range(100)
]
CHOICES: list[dict[str, Any]] = [
    {},
    {"top": 3},
    {"temperature": 1.2, "seed": 7},
    {"temperature": 0.8, "seed": 3, "top": 2, "drawn": True, "repeat_penalty": 1.2},
    {"temperature": 1.0, "seed": 1, "samplers": ("top_p",), "top_p": 0.5},
    {"logit_bias": (("q", 50.0), (65, -5.0))},
    {"beginning": PrefixConstraint((b"cd", b"xyz"), 1, banned=120)},
]


def test_isolated_engine_reports_the_speed_of_the_child(isolated: IsolatedEngine) -> None:
    write(isolated, "speed of a prompt " * 10)
    assert isolated.speed.prompt > 0
    assert isolated.speed.generation > 0


def test_isolated_engine_generates_the_same_tokens_and_usage(isolated: IsolatedEngine, here: Engine) -> None:
    for number, prompt in enumerate(PROMPTS):
        sampling = CHOICES[number % len(CHOICES)]
        (ours, usage), (theirs, their_usage) = (
            write(engine, prompt, **sampling) for engine in (isolated, here)
        )
        # Drafts depend on the duration of batches, and rounding errors on their sizes.
        assert [(token.data, token.id) for token in ours] == [(token.data, token.id) for token in theirs]
        for one, other in zip(ours, theirs, strict=True):
            assert one.probability == pytest.approx(other.probability, rel=1e-3)
            assert dict(one.top) == pytest.approx(dict(other.top), rel=1e-3)
        assert counts(usage) == counts(their_usage)
        assert usage.prompt_ms > 0


@pytest.mark.parametrize("generated", [0, 3])
def test_step_is_interruptible_and_tokenize_does_not_wait(
    generated: int, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(tmp_path, monkeypatch, WAITS)
    engine = load(tiny_model)
    go, computing = tmp_path / "go", tmp_path / "computing"
    go.touch()
    run = engine.start(EngineRequest(engine.vocabulary.tokenize("cut short"), Sampling(max_tokens=9)))
    assert run
    while len(run.fresh) < generated:
        engine.step([run], Cancel())
    go.unlink()
    interrupt, before = Cancel(), len(run.fresh)
    thread = threading.Thread(target=engine.step, args=([run], interrupt))
    thread.start()
    while not computing.exists():
        time.sleep(0.001)
    assert engine.vocabulary.tokenize("meanwhile")
    assert thread.is_alive()
    interrupt.set("interrupt")
    thread.join(30)
    assert not thread.is_alive()
    assert (len(run.fresh), run.done) == (before, False)
    go.touch()
    while not run.done:
        engine.step([run], Cancel())
    engine.release(run)
    assert len(run.fresh) == 9
    engine.close()


def test_step_returns_tokens_generated_before_a_failure(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = """
        from jupyter_turbopilot.engine.stepping.engine import Stepping
        from jupyter_turbopilot.protocol.errors import ContextLengthError

        step = Stepping.step
        failures = [ContextLengthError(1, 2, 3), ValueError("the prompt itself"), MemoryError()]

        def fail(self, runs, interrupt):
            step(self, runs, interrupt)
            if failures:
                raise failures.pop(0)

        Stepping.step = fail
    """
    change(tmp_path, monkeypatch, changes)
    engine = load(tiny_model)
    run = engine.start(EngineRequest(engine.vocabulary.tokenize("fails"), Sampling(max_tokens=5)))
    assert run
    with pytest.raises(ContextLengthError, match="maximum context length is 1 tokens") as length:
        engine.step([run], Cancel())
    assert length.value.field == "prompt"
    assert len(run.fresh) == 1
    for name in ("ValueError", "MemoryError"):
        with pytest.raises(EngineError, match=name) as failure:
            engine.step([run], Cancel())
        assert "itself" not in str(failure.value)
    engine.step([run], Cancel())
    assert len(run.fresh) == 4
    assert run.request.usage.predicted_tokens == 4
    engine.release(run)
    engine.close()


def test_close_saves_evaluated_tokens_if_requested(tiny_model: Path, tmp_path: Path) -> None:
    prompt, snapshot = "def kept(a, b): " * 10, str(tmp_path / ".sequences")
    engine = load(tiny_model, snapshot=snapshot)
    first, _ = write(engine, prompt)
    engine.close(keep=False)
    assert not Path(snapshot).exists()
    engine = load(tiny_model, snapshot=snapshot)
    assert write(engine, prompt)[1].cached_tokens == 0
    engine.close(keep=True)
    engine = load(tiny_model, snapshot=snapshot)
    again, usage = write(engine, prompt)
    engine.close()
    assert usage.cached_tokens == len(prompt) - 1
    assert text_of(again) == text_of(first)


def test_close_frees_all_resources(tiny_model: Path) -> None:
    def open_files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    load(tiny_model).close()  # some files stay open after the first load
    files, threads = open_files(), {*threading.enumerate()}
    engine = load(tiny_model)
    engine.close()
    engine.close()
    assert open_files() == files
    assert {*threading.enumerate()} <= threads  # threads of other tests may end
    assert not psutil.pid_exists(engine.pid)
    with pytest.raises(EngineGoneError):
        engine.start(EngineRequest([1]))
    assert engine.vocabulary.tokenize("x")  # the vocabulary is in this process


def test_load_ends_the_child_if_the_vocabulary_fails(tiny_model: Path) -> None:
    from jupyter_turbopilot.engine.child_process.engine import load_in_child
    from jupyter_turbopilot.engine.llama.engine import HostedLlama

    def fail() -> Any:
        raise EngineError("no vocabulary")

    threads = {*threading.enumerate()}
    with pytest.raises(EngineError, match="no vocabulary"):
        load_in_child(HostedLlama(str(tiny_model), replace(PLAN), "tiny"), fail, Cancel(), timeout=60)
    assert {*threading.enumerate()} <= threads  # threads of other tests may end


@given(st.integers(1, 4000), st.floats(1e-6, 1), st.floats(LEAST_PATIENCE, 600))
def test_patience_is_a_multiple_of_the_measured_time(tokens: int, pace: float, most: float) -> None:
    assert patience_for(tokens, 0.0, most) == most  # without measurements
    patience = patience_for(tokens, pace, most)
    assert LEAST_PATIENCE <= patience <= most
    assert patience >= min(most, 20 * pace * tokens)
