import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.engine.base import CHUNK, generate_one
from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.engine.load.plan import LoadPlan
from jupyter_turbopilot.engine.stepping.engine import Stepping
from jupyter_turbopilot.plugins.convert.conversion import convert
from jupyter_turbopilot.plugins.transformers.checkpoint import TransformersOptions
from jupyter_turbopilot.plugins.transformers.engine import SequenceCache, TransformersEngine, new_cache
from jupyter_turbopilot.protocol.engine_request import EngineRequest, Sampling, Token, Usage
from jupyter_turbopilot.protocol.errors import BadRequestError, EngineError, ModelRefusedError
from jupyter_turbopilot.terminal.commands.loading import write
from tests.plugins.convert import families
from tests.waiting import finish

from . import checkpoints

ONE = TransformersOptions(threads=1)
SOURCE = "\n".join(families._SAMPLE)
CLOSE = 0.05  # the largest difference of logprobs for which rounding may swap two tokens


def snippets(count: int) -> list[str]:
    chosen = random.Random(3)
    starts = [chosen.randrange(len(SOURCE) - 400) for _ in range(count)]
    return [SOURCE[start : start + chosen.randrange(20, 300)] for start in starts]


def generate(engine: Stepping, prompt: Sequence[int], **more: Any) -> list[Token]:
    usage = more.pop("usage", Usage())
    return list(write(engine, prompt, Sampling(**({"max_tokens": 12} | more)), usage, Cancel()))


def ids(tokens: Sequence[Token]) -> list[int]:
    return [token.id for token in tokens]


def alone(engine: TransformersEngine, prompt: Sequence[int], count: int) -> list[int]:
    """Generate the most likely tokens without a cache."""
    text = list(prompt)
    while len(text) < len(prompt) + count:
        row = families.true_logits(engine._model, text)[-1]
        row[engine.controls] = -np.inf
        text.append(int(row.argmax()))
    return text[len(prompt) :]


@pytest.mark.parametrize("family", ["qwen2", "bigcode-shared"])
def test_engine_generates_the_same_text_as_llama_cpp(family: str, tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path, family)
    engine = checkpoints.load(folder, ONE, name=family)
    path = convert(folder, tmp_path / "model.gguf", outtype="f32")
    other = LlamaEngine(path, LoadPlan(256, 1), name=family)
    for text in snippets(20):
        prompt = engine.vocabulary.tokenize(text)[:180]
        assert prompt == other.vocabulary.tokenize(text)[:180]
        ours, theirs = ids(generate(engine, prompt)), ids(generate(other, prompt))
        if ours != theirs:
            same = next(at for at in range(len(ours)) if ours[: at + 1] != theirs[: at + 1])
            (token,) = generate(engine, [*prompt, *ours[:same]], max_tokens=1, top=8)
            logprobs = dict(token.top)  # the most likely one can be a control token, which is never generated
            assert abs(logprobs[ours[same]] - logprobs[theirs[same]]) <= CLOSE
    engine.close()
    other.close()


@settings(max_examples=8)
@given(data=st.data())
def test_engine_text_does_not_depend_on_earlier_prompts(checkpoint: Path, data: st.DataObject) -> None:
    engine = checkpoints.load(checkpoint, TransformersOptions(threads=1, sequence_bytes=1 << 22), name="tiny")
    tokens = engine.vocabulary.tokenize(SOURCE)
    prompts = data.draw(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 150)), min_size=2, max_size=6))
    for start, size in prompts:
        prompt = tokens[start * 40 :][:size] if start else tokens[:size]
        got = generate(engine, prompt, max_tokens=4, ignore_end=True, top=2)
        for at, token in enumerate(got):
            row = families.true_logits(engine._model, [*prompt, *ids(got[:at])])[-1]
            row[engine.controls] = -np.inf
            assert row[token.id] == pytest.approx(row.max(), abs=1e-3)
    engine.close()


def test_engine_accepts_a_correct_draft_in_one_step(engine: TransformersEngine) -> None:
    prompt = engine.vocabulary.tokenize(SOURCE)[:50]
    plain = ids(generate(engine, prompt))
    usage = Usage()
    run = engine.start(
        EngineRequest(prompt, Sampling(max_tokens=12), usage, hint=[*plain[:3], 5, *plain[4:]])
    )
    assert run is not None
    finish(engine, run)
    assert ids(run.fresh) == plain
    assert usage.accepted_tokens >= 2


class SetAtCheck(Cancel):
    """A cancel that is set at the given check, like a keystroke during a step."""

    def __init__(self, checks: int) -> None:
        super().__init__()
        self.checks = checks
        self.late = 0

    def is_set(self) -> bool:
        self.checks -= 1
        if not self.checks:
            self.set("superseded")
        self.late += self.checks < 0
        return super().is_set()


@pytest.mark.parametrize("checks", range(1, 9))
def test_engine_stops_between_layers_if_interrupted(engine: TransformersEngine, checks: int) -> None:
    prompt = engine.vocabulary.tokenize(SOURCE)[: CHUNK + 20]
    run = engine.start(EngineRequest(prompt, Sampling(max_tokens=8, ignore_end=True)))
    assert run is not None
    interrupt = SetAtCheck(checks)
    while not interrupt.reason:
        engine.step([run], interrupt)
    assert not interrupt.late  # not one more layer was computed
    assert len(run.sequence.tokens) % CHUNK == 0 or len(run.sequence.tokens) >= len(prompt)
    assert engine.sequences.cache.length(run.sequence.id) == len(run.sequence.tokens)
    finish(engine, run)
    assert ids(run.fresh) == alone(engine, prompt, 8)


def test_engine_stops_at_end_tokens_unless_ignored(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path)
    plain = checkpoints.load(folder, ONE, name="tiny")
    prompt = plain.vocabulary.tokenize(SOURCE)[:40]
    likely = ids(generate(plain, prompt))
    checkpoints.change(folder, "config.json", eos_token_id=[0, likely[2]])
    engine = checkpoints.load(folder, ONE, name="tiny")
    assert ids(generate(engine, prompt)) == likely[: likely.index(likely[2])]
    longer = ids(generate(engine, prompt, ignore_end=True))
    assert len(longer) == 12
    assert likely[2] not in longer
    for each in (plain, engine):
        each.close()


def test_engine_works_after_a_failed_step(
    engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = engine.vocabulary.tokenize(SOURCE)[:80]
    layer = engine._model.model.layers[1]
    with monkeypatch.context() as broken:
        broken.setattr(layer.mlp, "forward", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            generate(engine, prompt)
        with pytest.raises(ZeroDivisionError):
            generate_one(engine)
        broken.setattr(layer.mlp, "forward", lambda x: x * float("nan"))
        with pytest.raises(EngineError, match="float32"):
            generate(engine, prompt)
    generate_one(engine)
    assert ids(generate(engine, prompt, ignore_end=True)) == alone(engine, prompt, 12)


def test_engine_truncates_sliding_window_layers(tmp_path: Path) -> None:
    engine = checkpoints.load(checkpoints.write(tmp_path, "mistral", sliding_window=16), ONE, name="near")
    assert engine.drafts
    prompt = engine.vocabulary.tokenize(SOURCE)[:90]
    for size in (90, 40, 70):
        assert ids(generate(engine, prompt[:size], ignore_end=True)) == alone(engine, prompt[:size], 12)
    engine.close()


def _recurrent(kind: str) -> Any:
    torch.manual_seed(5)
    if kind == "Mamba":
        values: dict[str, Any] = {"state_size": 8, "num_hidden_layers": 2}
    else:
        values = {
            "intermediate_size": 128,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "layer_types": ["conv", "full_attention"] * 2,
        }
    made = getattr(transformers, f"{kind}ForCausalLM")
    config = made.config_class(vocab_size=families.ROWS, hidden_size=64, eos_token_id=0, **values)
    return made(config).eval()


@pytest.mark.parametrize("kind", ["Mamba", "Lfm2"])
def test_engine_never_truncates_a_recurrent_model(kind: str, checkpoint: Path, tmp_path: Path) -> None:
    _recurrent(kind).save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((checkpoint / name).read_bytes())
    engine = checkpoints.load(tmp_path, TransformersOptions(threads=1, context_size=512), name=kind)
    assert not engine.drafts
    prompt = engine.vocabulary.tokenize(SOURCE)[:150]
    cached = []
    for size in (100, 130, 90, 90):
        usage = Usage()
        got = ids(generate(engine, prompt[:size], max_tokens=4, ignore_end=True, usage=usage))
        assert got == alone(engine, prompt[:size], 4)
        cached.append(usage.cached_tokens)
    assert cached == [0, 0, 0, 0]  # the generated tokens cannot be removed from the cache
    longer = [*prompt[:90], *got]
    usage = Usage()
    generate(engine, [*longer, 7], max_tokens=1, usage=usage)
    assert usage.cached_tokens >= len(longer) - 1
    interrupt = SetAtCheck(2)
    run = engine.start(EngineRequest(prompt, Sampling(max_tokens=4, ignore_end=True)))
    assert run is not None
    while not interrupt.reason:
        engine.step([run], interrupt)
    assert engine.sequences.cache.length(run.sequence.id) == len(run.sequence.tokens) == 0
    finish(engine, run)
    assert ids(run.fresh) == alone(engine, prompt, 4)
    engine.close()


def test_load_rejects_a_model_without_a_kv_cache(checkpoint: Path, tmp_path: Path) -> None:
    config = transformers.RwkvConfig(vocab_size=families.ROWS, hidden_size=64, num_hidden_layers=2)
    transformers.RwkvForCausalLM(config).save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((checkpoint / name).read_bytes())
    with pytest.raises(ModelRefusedError, match="does not support a KV cache"):
        checkpoints.load(tmp_path, ONE, name="rwkv")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_engine_generates_the_same_on_gpu_and_cpu(checkpoint: Path) -> None:
    engine = checkpoints.load(checkpoint, TransformersOptions(device="cuda", threads=1), name="tiny")
    prompt = engine.vocabulary.tokenize(SOURCE)[:40]
    (token,) = generate(engine, prompt, max_tokens=1)
    plain = checkpoints.load(checkpoint, ONE, name="tiny")
    (same,) = generate(plain, prompt, max_tokens=1, top=3)
    assert token.id in {number for number, _ in same.top}
    for each in (engine, plain):
        each.close()


CONFIG = transformers.MistralConfig(
    num_hidden_layers=2, hidden_size=8, num_attention_heads=2, num_key_value_heads=2, sliding_window=4
)


def filled(*sizes: int) -> SequenceCache:
    """Return a cache with these numbers of tokens per layer. The key of each token is its position."""
    cache = new_cache(CONFIG)
    for layer, size in enumerate(sizes):
        keys = torch.arange(size, dtype=torch.float32).reshape(1, 1, size, 1).expand(1, 2, size, 4)
        cache.update(keys, keys.clone(), layer)
    return SequenceCache(cache, min(sizes))


def positions(one: SequenceCache) -> list[list[float]]:
    return [layer.keys[0, 0, :, 0].tolist() if layer.get_seq_length() else [] for layer in one.cache.layers]


@given(st.integers(1, 20), st.integers(1, 25))
def test_sequence_cache_truncate_keeps_the_rest(size: int, start: int) -> None:
    one = filled(size, size)
    one.truncate(start)
    assert one.size == min(size, start)
    assert positions(one) == [[float(number) for number in range(one.size)]] * 2


@given(st.integers(1, 20), st.data())
def test_sequence_cache_copies_are_independent(size: int, data: st.DataObject) -> None:
    one = filled(size, size)
    other = one.copied(data.draw(st.integers(1, size)), divisible=True)
    more = torch.full((1, 2, 1, 4), 99.0)
    for layer in range(2):
        other.cache.update(more, more, layer)
    assert positions(one) == [[float(number) for number in range(size)]] * 2
    assert positions(other) == [[*map(float, range(other.size)), 99.0]] * 2


def test_engine_rejects_the_sampler_infill(engine: TransformersEngine) -> None:
    with pytest.raises(BadRequestError, match="infill") as refused:
        engine.sampler(Sampling(temperature=1.0, samplers=("top_k", "infill")), [1])
    assert refused.value.field == "samplers"
