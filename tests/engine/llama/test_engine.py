import ctypes
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.engine import successor
from jupyter_turbopilot.engine.base import SLOTS, Engine
from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.job import Job
from jupyter_turbopilot.engine.llama import bindings
from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.engine.llama.vocabulary import load_vocabulary
from jupyter_turbopilot.engine.load.plan import Hardware, LoadPlan
from jupyter_turbopilot.engine.stepping.run import BatchToken
from jupyter_turbopilot.engine.worker import Worker
from jupyter_turbopilot.models.tuning.adapters import AdapterSpec
from jupyter_turbopilot.prompt.formats import Budget, build, form_for
from jupyter_turbopilot.protocol.engine_request import EngineRequest, Sampling, Usage
from jupyter_turbopilot.protocol.errors import EngineError, TurbopilotError
from jupyter_turbopilot.terminal.commands.loading import write

from ...tiny_adapter import make
from ...tiny_model import write_tiny_model
from ...waiting import finish, until
from ..jobs import Outcome, Work, generation


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> Iterator[LlamaEngine]:
    engine = LlamaEngine(tiny_model, LoadPlan(512, 1), name="tiny")
    yield engine
    engine.close()


def test_engine_keeps_the_evaluated_tokens_of_a_late_request(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = LlamaEngine(tiny_model, LoadPlan(512, 1), name="tiny", chunk=16)
    evaluate = engine.evaluate

    def evaluate_slowly(rows: Sequence[BatchToken], interrupt: Cancel | None) -> bool:
        time.sleep(0.1)
        return evaluate(rows, interrupt)

    monkeypatch.setattr(engine, "evaluate", evaluate_slowly)
    prompt = engine.vocabulary.tokenize("value = compute(value)\n" * 20)[:320]
    requests = [EngineRequest(prompt, Sampling(max_tokens=1), Usage()) for _ in range(2)]
    worker = Worker()
    worker.load("tiny", lambda _: engine)
    for number, deadline in enumerate((0.5, 60.0)):

        def ask(_: Engine, __: Job, number: int = number) -> Work:
            while (yield requests[number]):
                pass

        outcome = Outcome()
        while not worker.state.ready:
            time.sleep(0.01)
        worker.submit(generation(ask, outcome, deadline=deadline))
        outcome.wait()
    worker.stop()
    late, next_one = (one.usage for one in requests)
    assert late.prompt_ms == 0.0
    # The chunk that the deadline interrupts is lost.
    assert next_one.cached_tokens >= 2 * engine.chunk


def complete(engine: LlamaEngine, text: str, count: int = 12, **more: object) -> tuple[bytes, Usage]:
    usage = Usage()
    sampling = Sampling(max_tokens=count, **more)  # type: ignore[arg-type]
    tokens = write(engine, engine.vocabulary.tokenize(text), sampling, usage, Cancel())
    return b"".join(token.data for token in tokens), usage


def test_engine_loads_despite_a_damaged_snapshot(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "state").write_bytes(b"garbage")
    engine = LlamaEngine(tiny_model, LoadPlan(512, 1), name="t", state=tmp_path / "state")
    assert complete(engine, "abc")[0]
    engine.close()


def test_engine_generates_interleaved_texts_like_separate_ones(tiny_model: Path) -> None:
    fresh = {}
    prompts = [f"notebook {number}: " + f"value_{number} = {number}\n" * 12 for number in range(12)]
    for prompt in prompts:
        engine = LlamaEngine(tiny_model, LoadPlan(512, 1), name="t")
        fresh[prompt] = complete(engine, prompt)[0]
        engine.close()
    engine = LlamaEngine(tiny_model, LoadPlan(512, 1, cells=1024, parked=4000), name="t")
    for _ in range(3):
        for prompt in prompts:
            answer, usage = complete(engine, prompt)
            assert answer == fresh[prompt]
    assert usage.cached_tokens == usage.prompt_tokens - 1
    engine.close()


def test_engine_does_not_abort_the_batch_that_rotates_moved_keys(tiny_model: Path) -> None:
    engine = LlamaEngine(tiny_model, LoadPlan(512, 1), name="t")
    interrupted = Cancel()
    interrupted.set("newer")
    for moved in (False, True):
        run = engine.start(
            EngineRequest(engine.vocabulary.tokenize("a = 1\n" * 20), Sampling(max_tokens=1), Usage())
        )
        assert run is not None
        if moved:
            engine.sequences.cache.shift(run.sequence.id, 0, 8, 0)
        engine.step([run], interrupted)
        assert bool(run.sequence.tokens) is moved
        engine.release(run)
    engine.close()


def test_engine_with_separate_caches_generates_the_same_texts(tiny_model: Path) -> None:
    prompts = [f"notebook {number}: " + f"value_{number} = {number}\n" * (4 + number) for number in range(10)]
    prompts += [f"{prompt}y" for prompt in prompts]  # forks of the others
    found = []
    for hardware in (Hardware(), Hardware(separate_caches=True)):
        engine = LlamaEngine(tiny_model, LoadPlan(512, 1, parked=4000, hardware=hardware), name="t")
        results = [complete(engine, prompt) for prompt in prompts]
        found.append([text for text, _ in results])
        assert all(usage.cached_tokens > usage.prompt_tokens - 8 for _, usage in results[len(prompts) // 2 :])
        engine.close()
    assert found[0] == found[1]


def test_engine_with_separate_caches_generates_eight_texts_at_a_time(tiny_model: Path) -> None:
    hardware = Hardware(separate_caches=True)
    engine = LlamaEngine(tiny_model, LoadPlan(512, 1, hardware=hardware), name="t")
    prompts = ["a = 1\n" * (5 + 10 * number) for number in range(SLOTS)]
    alone = [complete(engine, prompt)[0] for prompt in prompts]
    runs = [
        engine.start(EngineRequest(engine.vocabulary.tokenize(prompt), Sampling(max_tokens=12), Usage()))
        for prompt in prompts
    ]
    waiting = engine.start(EngineRequest(engine.vocabulary.tokenize("b"), Sampling(max_tokens=2), Usage()))
    assert waiting is None
    started = [run for run in runs if run]
    assert finish(engine, *started) == alone
    engine.close()


@pytest.mark.model
def test_engine_moves_the_cached_suffix_while_the_user_types(default_model: Path) -> None:
    engine = LlamaEngine(default_model, LoadPlan(1024, 1), name="default")
    rest = "".join(f"\n    print('line {number} of the report')" for number in range(12))
    form = form_for(engine.vocabulary.find_token, engine.vocabulary.markers)
    try:
        evaluated = []
        for end in range(10, 22, 2):
            text = "def area(radius):\n    return math.pi * radius"[: 12 + end]
            tokenize = engine.vocabulary.tokenize
            prompt = build(
                form, tokenize, context=[], prefix=tokenize(text), suffix=rest, budget=Budget(500, 200)
            )
            usage = Usage()
            run = engine.start(
                EngineRequest(prompt.tokens, Sampling(max_tokens=6), usage, suffix_span=prompt.suffix_span)
            )
            text = finish(engine, run)[0].decode()
            evaluated.append(usage.prompt_tokens - usage.cached_tokens)
        assert max(evaluated[1:]) < 20 < evaluated[0]
        assert "return" not in text
    finally:
        engine.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists memory maps")
@pytest.mark.parametrize("mapped", [True, False])
def test_engine_maps_the_weights_only_if_planned(tiny_model: Path, tmp_path: Path, mapped: bool) -> None:
    own = tmp_path / f"{mapped}.gguf"
    own.write_bytes(tiny_model.read_bytes())
    engine = LlamaEngine(own, LoadPlan(512, 1, is_mapped=mapped), name="t")
    assert (str(own) in Path("/proc/self/maps").read_text()) is mapped
    assert list(write(engine, engine.vocabulary.tokenize("ab"), Sampling(max_tokens=4), Usage(), Cancel()))
    engine.close()


@pytest.mark.parametrize("layers", [0, -1])
def test_engine_without_layers_on_a_gpu_uses_none(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, layers: int
) -> None:
    given: list[Any] = []
    monkeypatch.setattr(
        bindings.bindings(), "llama_model_load_from_file", lambda _, parameters: given.append(parameters)
    )
    with pytest.raises(EngineError):
        LlamaEngine(tiny_model, LoadPlan(512, 1, hardware=Hardware(gpu_layers=layers)), name="tiny")
    with pytest.raises(EngineError):
        load_vocabulary(tiny_model)
    devices, of_vocabulary = [
        ctypes.c_void_p.from_address(each.devices) if each.devices else None for each in given
    ]
    assert (devices is None) == (layers != 0)
    assert not any(each and each.value for each in (devices, of_vocabulary))
    assert of_vocabulary is not None


def test_engine_error_names_the_context_that_cannot_be_allocated(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bindings.bindings(), "llama_init_from_model", lambda *_: None)
    with pytest.raises(EngineError, match=r"512 tokens of context.*Lower c\.Turbopilot\.context_size"):
        LlamaEngine(tiny_model, LoadPlan(512, 1), name="t")


def test_engine_never_runs_a_chat_template(tmp_path: Path) -> None:
    hostile = "{% for a in range(10**9) %}{{ ''.__class__.__mro__ }}{% endfor %}"
    path = write_tiny_model(tmp_path / "hostile.gguf", chat_template=hostile)
    engine = LlamaEngine(path, LoadPlan(256, 1), name="hostile")
    prompt = engine.vocabulary.tokenize("x = ")
    assert len(list(write(engine, prompt, Sampling(max_tokens=2), Usage(), Cancel()))) <= 2
    engine.close()


def test_engine_saves_no_sequences_of_a_tenant(tiny_model: Path, tmp_path: Path) -> None:
    texts = {"": "a" * 100, "ada": "b" * 100}

    def reused(engine: LlamaEngine, tenant: str) -> int:
        usage = Usage()
        run = engine.start(
            EngineRequest(engine.vocabulary.tokenize(texts[tenant]), Sampling(1), usage, tenant=tenant)
        )
        finish(engine, run)
        return usage.cached_tokens

    found = []
    for _ in range(2):
        engine = LlamaEngine(tiny_model, LoadPlan(512, 1, parked=512), name="tiny", state=tmp_path / "state")
        found.append({tenant: reused(engine, tenant) for tenant in texts})
        engine.close()
    assert found == [{"": 0, "ada": 0}, {"": 99, "ada": 0}]


def text_with(model: Path, *adapters: tuple[str, float]) -> bytes:
    hardware = Hardware(adapters=tuple(AdapterSpec(*one) for one in adapters))
    engine = LlamaEngine(model, LoadPlan(256, 1, hardware=hardware), name="t")
    try:
        found = write(engine, engine.vocabulary.tokenize("abc"), Sampling(max_tokens=12), Usage(), Cancel())
        return b"".join(token.data for token in found)
    finally:
        engine.close()


def test_adapter_changes_the_text_according_to_its_scale(tiny_model: Path, tmp_path: Path) -> None:
    adapter = str(make(tmp_path / "a.gguf"))
    plain = text_with(tiny_model)
    assert text_with(tiny_model, (adapter, 4.0)) != plain
    assert text_with(tiny_model, (adapter, 1e-6)) == plain
    assert text_with(tiny_model) == plain


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"kind": "model"}, "is not a LoRA adapter"),
        ({"architecture": "qwen2"}, "trained for a qwen2 model, but this model is a llama"),
        ({"width": 32}, "for another model"),
    ],
)
def test_adapter_for_another_model_is_rejected(
    changed: dict[str, object], reason: str, tiny_model: Path, tmp_path: Path
) -> None:
    adapter = make(tmp_path / "a.gguf", **changed)  # type: ignore[arg-type]
    with pytest.raises(TurbopilotError, match=reason):
        text_with(tiny_model, (str(adapter), 1.0))


def test_replaced_engine_has_evaluated_the_latest_prompt(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(successor, "IDLE", 0.05)
    adapted = LoadPlan(512, 1, hardware=Hardware(adapters=(AdapterSpec(str(make(tmp_path / "a.gguf"))),)))
    worker = Worker()
    worker.load("tiny", lambda _: LlamaEngine(tiny_model, adapted, name="tiny"))
    until(lambda: worker.state.ready and worker.engine)
    first = worker.engine
    prompt = [7 + number % 90 for number in range(300)]

    def ask(tenant: str, prompt: list[int]) -> EngineRequest:
        request = EngineRequest(prompt, Sampling(max_tokens=4), Usage(), tenant=tenant)

        def work(*_: object) -> Work:
            while (yield request):
                pass

        outcome = Outcome()
        worker.submit(generation(work, outcome))
        assert outcome.wait() is None
        return request

    assert ask("ada", prompt).usage.cached_tokens == 0
    worker.replace_when_idle(lambda: LlamaEngine(tiny_model, LoadPlan(512, 1), name="tiny"), lambda *_: None)
    until(lambda: worker.engine is not first)
    assert ask("ada", [*prompt, 9]).usage.cached_tokens == len(prompt)
    assert ask("bob", prompt).usage.cached_tokens == 0  # another tenant's prompt is not his
    worker.stop()
