from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.stepping import engine as stepping
from jupyter_turbopilot.engine.stepping.engine import PREFILL_MAX, Stepping
from jupyter_turbopilot.engine.stepping.moved_tokens import REEVALUATED
from jupyter_turbopilot.engine.stepping.run import BatchToken, StepRun
from jupyter_turbopilot.engine.stepping.sequences import Sequences
from jupyter_turbopilot.engine.stepping.vocabulary import ByteTable
from jupyter_turbopilot.protocol.engine_request import EngineRequest, PrefixConstraint, Sampling, Usage

from ...waiting import finish
from .cache import SimulatedCache

VOCABULARY = 12
END = 11


def follows(text: Sequence[int]) -> int:
    """Return the next token after a text, which depends on the last three tokens."""
    return (sum((place + 3) * token for place, token in enumerate(text[-3:])) + len(text) // 7) % VOCABULARY


class Arithmetic(Stepping):
    """A model that computes `follows`, with a simulation of llama.cpp's cache."""

    def __init__(self, count: int = 6, capacity: int = 400, parked: int = 0) -> None:
        super().__init__()
        self.context_size = 200
        self.ends = {END}
        self.controls = np.array([END], dtype=np.int64)
        self.table = ByteTable([bytes([97 + token]) for token in range(VOCABULARY)])
        self.cache = SimulatedCache(can_shift=True)
        self.sequences = Sequences(self.cache, count, capacity, parked=parked)
        self.rows: list[np.ndarray] = []
        self.batches: list[Sequence[BatchToken]] = []
        self.abort_next = False
        self.now = 0.0
        self.row_seconds, self.batch_seconds = 0.001, 0.0

    def clock(self) -> float:  # type: ignore[override]
        """Return the simulated time: each batch takes `batch_seconds`, and each row `row_seconds`."""
        return self.now

    def evaluate(self, rows: Sequence[BatchToken], interrupt: Cancel | None) -> bool:
        assert 0 < len(rows) <= self.batch_size
        self.batches.append(rows)
        self.now += self.batch_seconds + len(rows) * self.row_seconds
        if interrupt and (interrupt.is_set() or self.abort_next):
            self.abort_next = False
            return False
        self.rows = []
        self.cache.rotate()
        for row in rows:
            assert row.position == self.cache.length(row.sequence), "positions follow each other"
            self.cache.append(row.sequence, [row.token])
            tokens = self.cache.tokens(row.sequence)
            assert -1 not in tokens
            logits = np.zeros(VOCABULARY, dtype=np.float32)
            logits[follows(tokens)] = 5
            self.rows.append(logits if row.output else np.full(VOCABULARY, np.nan, dtype=np.float32))
        return True

    def logits(self, index: int) -> np.ndarray:
        return self.rows[index]


def alone(prompt: list[int], count: int) -> bytes:
    """Generate a text without cache, drafts or other texts."""
    text = list(prompt)
    for _ in range(count):
        token = follows(text)
        if token == END:
            break
        text.append(token)
    return bytes(97 + token for token in text[len(prompt) :])


LONG_PROMPT = 2 * stepping.LONG - 2
LONG = next([a, b, 3] for a in range(10) for b in range(10) if len(alone([a, b, 3], 12)) == 12)


def start(engine: Arithmetic, engine_request: EngineRequest) -> StepRun:
    """Start a run; there must be a free slot."""
    run = engine.start(engine_request)
    assert run is not None
    return run


def generating() -> tuple[Arithmetic, StepRun]:
    """Return an engine that is generating a text."""
    engine = Arithmetic(capacity=9000)
    engine.context_size = 1000
    engine.drafts = False
    run = start(engine, EngineRequest(LONG, Sampling(max_tokens=50)))
    engine.step([run], Cancel())
    return engine, run


prompts = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=60)
guesses = st.lists(st.integers(0, VOCABULARY - 1), max_size=12)


@settings(max_examples=150)
@given(st.lists(st.tuples(prompts, guesses), min_size=1, max_size=8))
def test_step_generates_sequential_texts_like_separate_ones(asked: list[tuple[list[int], list[int]]]) -> None:
    engine = Arithmetic()
    for prompt, hint in asked:
        run = start(engine, EngineRequest(prompt, Sampling(max_tokens=20), Usage(), hint))
        assert finish(engine, run) == [alone(prompt, 20)]


@settings(max_examples=100)
@given(
    st.lists(st.tuples(prompts, st.integers(0, 3)), min_size=1, max_size=8),
    st.lists(prompts, min_size=4, max_size=4),
)
def test_step_moves_a_suffix_to_the_correct_position(
    typed: list[tuple[list[int], int]], suffixes: list[list[int]]
) -> None:
    engine = Arithmetic(capacity=1000)
    moved = 0
    for prefix, number in typed:
        suffix = [10, *(suffixes[number] * 30)[:30]]
        prompt = [*prefix, *suffix, 9]
        usage = Usage()
        fixed = (len(prefix), len(prefix) + len(suffix))
        run = start(engine, EngineRequest(prompt, Sampling(max_tokens=10), usage, suffix_span=fixed))
        moved += bool(run.sequence.parts)
        assert finish(engine, run) == [alone(prompt, 10)]
        assert engine.cache.tokens(run.sequence.id) == run.sequence.tokens


letters = st.binary(max_size=3).map(lambda data: bytes(97 + byte % VOCABULARY for byte in data))


@settings(max_examples=150)
@given(
    st.lists(prompts, min_size=1, max_size=2),
    st.lists(st.tuples(st.integers(0, 1), letters, st.integers(0, 12)), min_size=1, max_size=8),
)
def test_start_repeats_a_known_text_as_it_was_generated(
    choices: list[list[int]], asked: list[tuple[int, bytes, int]]
) -> None:
    engine = Arithmetic()
    for number, typed, limit in asked:
        beginning = PrefixConstraint((typed,), len(typed)) if typed else PrefixConstraint()
        sampling = Sampling(max_tokens=limit, beginning=beginning)
        asking = EngineRequest(choices[number % len(choices)], sampling, Usage(), automatic=True)
        texts = []
        for each in (engine, Arithmetic()):
            run = start(each, asking)
            finish(each, run)
            texts.append([(token.id, token.data, token.probability) for token in run.fresh])
        assert texts[0] == texts[1]


def test_start_evaluates_nothing_for_a_prompt_with_another_constraint() -> None:
    engine = Arithmetic()
    typed = alone(LONG, 12)[:1]
    for beginning in (PrefixConstraint(), PrefixConstraint((typed,), 1)):
        engine.batches.clear()
        request = EngineRequest(LONG, Sampling(max_tokens=12, beginning=beginning), automatic=True)
        run = start(engine, request)
        finish(engine, run)
        assert len(run.fresh) == request.usage.predicted_tokens == 12
    assert not engine.batches
    assert request.usage.cached_tokens == len(LONG)


cells = st.lists(st.integers(0, VOCABULARY - 1), min_size=12, max_size=60)
edits = st.lists(
    st.tuples(st.integers(0, 179), st.integers(0, 8), st.lists(st.integers(0, VOCABULARY - 1), max_size=8)),
    min_size=1,
    max_size=3,
)


@settings(max_examples=150)
@given(
    cells,
    st.lists(st.tuples(st.integers(0, 1), edits, st.booleans()), min_size=1, max_size=8),
    st.sampled_from([0, 300, 2000]),
    st.booleans(),
)
def test_step_moves_text_after_edits_to_the_correct_position(
    cell: list[int],
    rounds: list[tuple[int, list[tuple[int, int, list[int]]], bool]],
    parked: int,
    interrupts: bool,
) -> None:
    engine = Arithmetic(capacity=700, parked=parked)
    engine.context_size = 600
    whole = [(token * number) % VOCABULARY for number, token in enumerate((cell * 16)[:180], 3)]
    notebooks = [whole, whole[::-1]]
    for number, changes, moves in rounds:
        notebook = notebooks[number]
        for place, removed, added in changes:
            notebook[place : place + removed] = added
        suffix = [10, *[4] * 30]
        prompt = [9, *notebook, *suffix, 9]
        span = (len(notebook) + 1, len(notebook) + 1 + len(suffix))
        more: dict[str, Any] = {"suffix_span": span, "context_end": len(notebook) - 4} if moves else {}
        run = start(engine, EngineRequest(prompt, Sampling(max_tokens=10), **more))
        engine.abort_next = interrupts
        assert finish(engine, run) == [alone(prompt, 10)]
        idle = engine.sequences.idle()
        assert engine.cache.held() == {sequence.id: sequence.tokens for sequence in idle}
        assert engine.sequences.used == len({cell for sequence in idle for cell in sequence.cells})


def notebook_after(edit: list[int]) -> list[int]:
    """Return a prompt of 200 tokens with an edit after the first 20."""
    return [*range(20), *edit, *range(20, 200)]


def evaluated(engine: Arithmetic, prompt: list[int], **more: Any) -> int:
    """Evaluate a prompt; return how many of its tokens were evaluated."""
    usage = Usage()
    finish(engine, start(engine, EngineRequest(prompt, Sampling(max_tokens=0), usage, **more)))
    return usage.prompt_tokens - usage.cached_tokens


def test_start_evaluates_few_tokens_after_an_edit_above() -> None:
    engine = Arithmetic(capacity=2000)
    engine.context_size = 600
    assert evaluated(engine, notebook_after([]), context_end=190) == 200
    assert evaluated(engine, notebook_after([300] * 5), context_end=195) == 5 + REEVALUATED + 10
    # A request that does not allow it gets the same answer as without a cache.
    assert evaluated(engine, [*notebook_after([300] * 5), 7]) == 206 - 20 - 5 - REEVALUATED
    assert evaluated(engine, [*notebook_after([300] * 5), 7]) == 1


def test_start_evaluates_all_tokens_after_many_edits() -> None:
    engine = Arithmetic(capacity=2000)
    engine.context_size = 600
    counts = [evaluated(engine, notebook_after([300 + number] * 20), context_end=200) for number in range(24)]
    assert max(counts[1:]) == 200
    assert sorted(counts)[12] < 60


def test_release_frees_a_detached_suffix() -> None:
    engine = Arithmetic(capacity=1000)
    for end in (20, 22):
        run = start(
            engine,
            EngineRequest(
                [*[1] * end, 10, *[3] * 40, 9], Sampling(max_tokens=1), suffix_span=(end, end + 41)
            ),
        )
        if end == 20:
            finish(engine, run)
    assert run.sequence.parts
    engine.release(run)
    assert engine.sequences.used == sum(map(len, engine.cache.held().values())) == 20


@settings(max_examples=100)
@given(st.lists(prompts, min_size=1, max_size=5))
def test_step_generates_parallel_texts_like_separate_ones(asked: list[list[int]]) -> None:
    engine = Arithmetic(count=8, capacity=1000)
    runs = [start(engine, EngineRequest(prompt, Sampling(max_tokens=20))) for prompt in asked]
    assert finish(engine, *runs) == [alone(prompt, 20) for prompt in asked]


@settings(max_examples=100)
@given(prompts, st.sets(st.integers(0, 30), max_size=6))
def test_step_continues_after_an_interrupt(prompt: list[int], aborted: set[int]) -> None:
    engine = Arithmetic()
    run = start(engine, EngineRequest(prompt * 3, Sampling(max_tokens=15)))
    number = 0
    while not run.done:
        engine.abort_next = number in aborted
        engine.step([run], Cancel())
        number += 1
    assert finish(engine, run) == [alone(prompt * 3, 15)]


def batches_by_sequence(engine: Arithmetic) -> list[Counter[int]]:
    """Count the rows of each sequence, batch by batch."""
    return [Counter(row.sequence for row in rows) for rows in engine.batches]


@pytest.mark.parametrize(
    ("size", "texts", "prompts", "part"),
    [
        (LONG_PROMPT, 1, 1, 1),
        (LONG_PROMPT, 7, 1, 1),
        (LONG_PROMPT, 1, 2, 2),
        (LONG_PROMPT, 4, 4, 8),
        (LONG_PROMPT // 2, 1, 1, 1),
        (LONG_PROMPT // 2, 7, 1, 64),
        (LONG_PROMPT // 2, 2, 2, 4),
    ],
)
def test_step_shares_time_between_prompts_and_texts(size: int, texts: int, prompts: int, part: int) -> None:
    engine = Arithmetic(count=9, capacity=9000)
    engine.context_size, engine.drafts, engine.ends = 2000, False, set()
    engine.row_seconds = 1e-6
    runs = [start(engine, EngineRequest([n, 3, 3], Sampling(max_tokens=900))) for n in range(texts)]
    engine.step(runs, Cancel())
    prefills = [
        start(engine, EngineRequest([n, *[3] * size], Sampling(max_tokens=1))) for n in range(prompts)
    ]
    unfinished = [*runs, *prefills]
    engine.batches.clear()
    while not any(run.wrote for run in unfinished[texts:]):
        engine.step(unfinished, Cancel())
    rows = sum(batches_by_sequence(engine), Counter())
    tokens = sum(rows.pop(run.sequence.id) for run in runs)
    # The texts' share for the last chunk may still be due, and each share is rounded up to a whole token.
    assert abs(tokens * part - rows.total()) <= engine.batch_size + texts * part


def test_stepping_finishes_a_slow_text_beside_many_long_prompts() -> None:
    engine = Arithmetic(count=9, capacity=9000)
    engine.context_size, engine.drafts, engine.ends = 2000, False, set()
    text = start(engine, EngineRequest([1, 2], Sampling(max_tokens=16)))
    engine.step([text], Cancel())
    prompts = [engine.start(EngineRequest([n, *[3] * 1000], Sampling(max_tokens=1))) for n in range(7)]
    engine.row_seconds, engine.batch_seconds = 0.004, 0.016
    begun = engine.now
    while not text.done:
        engine.step([text, *(run for run in prompts if run)], Cancel())
    assert engine.now - begun < 6.0  # 16 seconds if each token waited for a batch of prompts


@settings(max_examples=20)
@given(st.lists(st.integers(1, 300), min_size=2, max_size=8), st.integers(2, 12))
def test_step_limits_prompt_evaluation_between_tokens(sizes: list[int], count: int) -> None:
    engine = Arithmetic(count=9, capacity=9000)
    engine.context_size = 2000
    asks = [
        EngineRequest([number, *[number] * size], Sampling(max_tokens=count))
        for number, size in enumerate(sizes)
    ]
    runs = [run for engine_request in asks if (run := engine.start(engine_request))]
    read = written = 0
    while unfinished := [run for run in runs if not run.done]:
        texts = {run.sequence.id for run in unfinished if run.wrote}
        engine.step(unfinished, Cancel())
        if 0 < len(texts) < len(unfinished):
            rows = len(engine.batches[-1])
            here = engine.batches[-1][0].sequence in texts
            read, written = read + rows * (not here), written + rows * here
        else:
            read = written = 0
        assert read <= PREFILL_MAX * (written + 1) + engine.batch_size


@given(prompt=st.lists(st.integers(0, VOCABULARY - 2), min_size=1, max_size=40))
def test_step_bans_a_token_only_at_the_start(prompt: list[int]) -> None:
    engine = Arithmetic()
    likeliest = follows(prompt)
    run = start(
        engine, EngineRequest(prompt, Sampling(max_tokens=6, beginning=PrefixConstraint(banned=likeliest)))
    )
    while not run.done:
        engine.step([run], Cancel())
    written = run.tokens[len(prompt) :]
    if written:
        assert written[0] != likeliest
        for at in range(1, len(written)):
            assert written[at] == follows([*prompt, *written[:at]])


@settings(max_examples=100)
@given(
    st.lists(st.tuples(prompts, guesses), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=60),
)
def test_resume_continues_a_suspended_text(
    asked: list[tuple[list[int], list[int]]], changes: list[tuple[int, bool]]
) -> None:
    engine = Arithmetic(capacity=1000)
    runs = [
        start(engine, EngineRequest(prompt, Sampling(max_tokens=20), Usage(), hint)) for prompt, hint in asked
    ]
    suspended: set[int] = set()
    for place, step in changes:
        number = place % len(runs)
        run = runs[number]
        if number in suspended:
            assert engine.resume(run)
            suspended.remove(number)
        else:
            engine.suspend(run)
            suspended.add(number)
            # Another run uses the slot and the cached tokens.
            other = start(engine, EngineRequest([*run.tokens[:-1], 1], Sampling(max_tokens=3)))
            finish(engine, other)
        if step and (going := [one for i, one in enumerate(runs) if i not in suspended and not one.done]):
            engine.step(going, Cancel())
    for number in suspended:
        assert engine.resume(runs[number])
    assert finish(engine, *runs) == [alone(prompt, 20) for prompt, _ in asked]


def test_release_frees_a_suspended_run_once() -> None:
    engine = Arithmetic(capacity=100)
    first = start(engine, EngineRequest([1, 2, 3] * 20, Sampling(max_tokens=20)))
    engine.step([first], Cancel())
    assert engine.start(EngineRequest([5] * 60, Sampling(max_tokens=20))) is None
    engine.suspend(first)
    second = start(engine, EngineRequest([5] * 60, Sampling(max_tokens=20)))
    assert not engine.resume(first)
    engine.release(first)
    assert engine.start(EngineRequest([7] * 60, Sampling(max_tokens=20))) is None
    finish(engine, second)


@pytest.mark.parametrize("where", ["evaluate", "choose"])
def test_step_retries_runs_of_a_failed_batch_separately(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Arithmetic(capacity=1000)
    wanted = [[1, 2, 3], [4, 5, 6, 7], LONG]
    going = [start(engine, EngineRequest(prompt, Sampling(max_tokens=12))) for prompt in wanted]
    engine.step(going, Cancel())
    engine.step(going, Cancel())
    calls = 0

    def fail_late(*arguments: object) -> object:
        nonlocal calls
        calls += 1
        if where == "evaluate":
            Arithmetic.evaluate(engine, *arguments)  # type: ignore[arg-type]
            raise OSError("failed in the middle")
        if calls == 2:
            raise ValueError("a sampler")
        return Stepping._write(engine, *arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(engine, "evaluate" if where == "evaluate" else "_write", fail_late)
        with pytest.raises((OSError, ValueError)):
            engine.step(going, Cancel())
    assert [finish(engine, run) for run in going] == [[alone(prompt, 12)] for prompt in wanted]


def test_choose_adds_up_the_tokens_with_the_same_bracket() -> None:
    run = StepRun(EngineRequest([0], Sampling()), [0], 2, PrefixConstraint(), 0.0)
    table = ByteTable([b"x", b"(", b"(a", b"()"])
    for logits in ([0, 1, 2, 1], [2, 1, 1, 1]):
        run.choose(np.array(logits, dtype=np.float32), table, np.array([], dtype=np.int64), set())
    whole = np.exp([0, 1, 2, 1]).sum()
    assert [token.opening for token in run.fresh] == [pytest.approx(1 - 1 / whole), 0.0]


def test_step_limits_the_seconds_of_a_chunk_on_a_slow_machine() -> None:
    engine = Arithmetic()
    engine.row_seconds = 0.02
    run = start(engine, EngineRequest([1] * 190, Sampling(max_tokens=4)))
    finish(engine, run)
    sizes = [len(rows) for rows in engine.batches]
    assert engine.speed.prompt == pytest.approx(50)
    assert sizes[:3] == [64, 25, 25]
    assert engine.speed.generation == pytest.approx(50)
