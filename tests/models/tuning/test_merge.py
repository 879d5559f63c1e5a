from __future__ import annotations

import os
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from jupyter_turbopilot.models.folder import write_note
from jupyter_turbopilot.models.gguf import read_header
from jupyter_turbopilot.models.quantization import order
from jupyter_turbopilot.models.tuning.adapters import AdapterSpec
from jupyter_turbopilot.models.tuning.merge import merge, merged_copy, path_of
from jupyter_turbopilot.plugins.convert.quantize import kinds, quantize
from jupyter_turbopilot.protocol.errors import ModelRefusedError
from jupyter_turbopilot.util import files

from ...plugins.convert import native
from ...tiny_adapter import make
from ...tiny_model import write_tiny_model

TOKENS = np.random.default_rng(5).integers(0, 255, 120).tolist()


def test_fold_equals_applying_the_adapter(tiny_model: Path, tmp_path: Path) -> None:
    adapter = make(tmp_path / "a.gguf")
    copy = merge(tiny_model, [(adapter, 1.0)], tmp_path / "copy.gguf")
    beside, inside = native.logits(tiny_model, TOKENS, adapter), native.logits(copy, TOKENS)
    assert np.abs(beside - inside).max() < 0.02
    assert np.abs(native.logits(tiny_model, TOKENS) - inside).max() > 1.0


def test_fold_scales_several_adapters(tiny_model: Path, tmp_path: Path) -> None:
    adapter = make(tmp_path / "a.gguf")
    twice = merge(tiny_model, [(adapter, 0.5), (adapter, 0.5)], tmp_path / "twice.gguf")
    once = merge(tiny_model, [(adapter, 1.0)], tmp_path / "once.gguf")
    assert np.abs(native.logits(twice, TOKENS) - native.logits(once, TOKENS)).max() < 1e-3


def test_fold_stores_changed_tensors_in_eight_bits(tiny_model: Path, tmp_path: Path) -> None:
    small = quantize(order(tiny_model, tmp_path / "q.gguf", "Q4_0", kinds(), force=True), 2)
    adapter = make(tmp_path / "a.gguf")
    copy = merge(small, [(adapter, 1.0)], tmp_path / "copy.gguf")
    before = {part.name: part.kind for part in read_header(small).parts}
    after = {part.name: part.kind for part in read_header(copy).parts}
    assert {name for name in after if after[name] != before[name]} == {"blk.0.attn_output.weight"}
    assert after["blk.0.attn_output.weight"] == 8
    beside, inside = native.logits(small, TOKENS, adapter), native.logits(copy, TOKENS)
    assert (beside.argmax(1) == inside.argmax(1)).mean() > 0.95


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"kind": "model"}, "is not a LoRA adapter"),
        ({"architecture": "qwen2"}, "trained for a qwen2"),
        ({"width": 32}, "trained for another model"),
        ({"other_rank": 5}, "trained for another model"),
        ({"alpha": float("nan")}, "invalid adapter.lora.alpha"),
        ({"value": float("inf")}, "contains NaN or infinity"),
    ],
)
def test_fold_refuses_other_adapters_and_writes_nothing(
    changed: dict[str, object], reason: str, tiny_model: Path, tmp_path: Path
) -> None:
    adapter = make(tmp_path / "a.gguf", **changed)  # type: ignore[arg-type]
    with pytest.raises(ModelRefusedError, match=reason):
        merge(tiny_model, [(adapter, 1.0)], tmp_path / "new" / "copy.gguf")
    assert not list(tmp_path.rglob("*copy*"))


def test_fold_checks_disk_space_first(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "free")  # noqa: PYI024
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: usage(1000))
    with pytest.raises(ModelRefusedError, match="MB free"):
        merge(tiny_model, [(make(tmp_path / "a.gguf"), 1.0)], tmp_path / "copy.gguf")
    assert not list(tmp_path.glob("*copy*"))


def test_folded_reuses_a_copy_until_an_input_changes(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "tiny.gguf")
    adapter = str(make(tmp_path / "a.gguf"))
    first = merged_copy(tmp_path, model, [AdapterSpec(adapter, 1.0)])
    written = first.stat().st_mtime_ns
    assert merged_copy(tmp_path, model, [AdapterSpec(adapter, 1.0)]) == first
    assert first.stat().st_mtime_ns == written
    others = {merged_copy(tmp_path, model, [AdapterSpec(adapter, 0.5)])}
    make(Path(adapter), width=64).write_bytes(Path(adapter).read_bytes()[:-4] + b"\x01\x02\x03\x04")
    others.add(merged_copy(tmp_path, model, [AdapterSpec(adapter, 1.0)]))
    os.utime(model, ns=(1, 1))
    others.add(merged_copy(tmp_path, model, [AdapterSpec(adapter, 1.0)]))
    assert first not in others
    assert len(others) == 3


def test_folded_finds_copies_of_a_copied_model_by_its_digest(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "tiny.gguf")
    adapters = [AdapterSpec(str(make(tmp_path / "a.gguf")), 1.0)]
    write_note(model, "somewhere", sha256="1" * 64, size=model.stat().st_size)
    copy = merged_copy(tmp_path, model, adapters)
    os.utime(model, ns=(1, 1))  # container images store whole seconds
    assert path_of(tmp_path, model, adapters) == copy
    data = bytearray(model.read_bytes())
    data[-1] ^= 1
    model.write_bytes(data)  # replaced by another file
    assert path_of(tmp_path, model, adapters) != copy
    write_note(model, "somewhere", sha256="2" * 64, size=len(data))
    noted = path_of(tmp_path, model, adapters)
    model.write_bytes(data + b"more")  # not in the note
    unnoted = path_of(tmp_path, model, adapters)
    os.utime(model, ns=(1, 1))
    assert len({copy, noted, unnoted, path_of(tmp_path, model, adapters)}) == 4


def test_folded_makes_a_damaged_copy_again(tiny_model: Path, tmp_path: Path) -> None:
    added = [AdapterSpec(str(make(tmp_path / "a.gguf")))]
    copy = merged_copy(tmp_path, tiny_model, added)
    whole = copy.read_bytes()
    copy.write_bytes(whole[: len(whole) // 2])
    assert merged_copy(tmp_path, tiny_model, added) == copy
    assert copy.read_bytes() == whole
