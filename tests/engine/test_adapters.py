from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import pytest

from jupyter_turbopilot.engine.adapters import check, read_spec
from jupyter_turbopilot.engine.cancel import Cancel
from jupyter_turbopilot.engine.generation import Sampling, Usage
from jupyter_turbopilot.engine.llama import LlamaEngine
from jupyter_turbopilot.engine.machine import Hardware
from jupyter_turbopilot.engine.stepping import write
from jupyter_turbopilot.errors import BadRequestError, ModelRefusedError, TurbopilotError

from ..tiny_model import EMBED

RANK = 4


def make(path: Path, *, architecture: str = "llama", kind: str = "adapter", width: int = EMBED) -> Path:
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_type(kind)
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 64.0)
    random = np.random.default_rng(2)
    for end, shape in (("a", (RANK, width)), ("b", (width, RANK))):
        values = random.standard_normal(shape).astype(np.float32)
        writer.add_tensor(f"blk.0.attn_output.weight.lora_{end}", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def text(model: Path, *adapters: tuple[str, float]) -> bytes:
    hardware = Hardware(adapters=adapters)
    engine = LlamaEngine(model, name="t", context_size=256, threads=1, hardware=hardware)
    try:
        found = write(engine, engine.tokenize("abc"), Sampling(max_tokens=12), Usage(), Cancel())
        return b"".join(token.data for token in found)
    finally:
        engine.close()


def test_an_adapter_changes_what_is_written_as_much_as_it_counts(tiny_model: Path, tmp_path: Path) -> None:
    adapter = str(make(tmp_path / "a.gguf"))
    plain = text(tiny_model)
    assert text(tiny_model, (adapter, 4.0)) != plain
    assert text(tiny_model, (adapter, 1e-6)) == plain
    assert text(tiny_model) == plain


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"kind": "model"}, "is no LoRA adapter"),
        ({"architecture": "qwen2"}, "trained for a qwen2, and the model is a llama"),
        ({"width": 32}, "for another model"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(
    changed: dict[str, object], reason: str, tiny_model: Path, tmp_path: Path
) -> None:
    adapter = make(tmp_path / "a.gguf", **changed)  # type: ignore[arg-type]
    with pytest.raises(TurbopilotError, match=reason):
        text(tiny_model, (str(adapter), 1.0))


def test_a_model_or_nothing_is_no_adapter(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelRefusedError, match="is no LoRA adapter"):
        check(tiny_model)
    with pytest.raises(ModelRefusedError, match="There is no file"):
        check(tmp_path / "none.gguf")


def test_how_strongly_it_counts_stands_behind_its_path() -> None:
    assert read_spec("a.gguf") == ("a.gguf", 1.0)
    assert read_spec("a.gguf=0.5") == ("a.gguf", 0.5)
    assert read_spec("x=y/a.gguf") == ("x=y/a.gguf", 1.0)
    assert read_spec("~/a.gguf")[0].startswith("/")
    for spec in ("a=0", "a=-1", "a=99", "a=nan"):
        with pytest.raises(BadRequestError, match="counts between"):
            read_spec(spec)


def test_an_adapter_that_was_trained_anew_is_another_setting(tmp_path: Path) -> None:
    # What was read with the old one must not be taken up, nor its trial's verdict.
    adapter = make(tmp_path / "a.gguf")
    before = Hardware(adapters=((str(adapter), 1.0),)).stamp
    assert Hardware(adapters=((str(adapter), 1.0),)).stamp == before
    make(adapter, width=32)
    assert Hardware(adapters=((str(adapter), 1.0),)).stamp != before
