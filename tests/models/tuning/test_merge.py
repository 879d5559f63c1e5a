import errno
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from filelock import FileLock
from gguf import GGUFReader, dequantize

from jupyter_turbopilot.engine.llama.bindings import quantise
from jupyter_turbopilot.models.folder import COPIES, copies, copy_path, note_path, write_note
from jupyter_turbopilot.models.ggml import FILE_TYPES, Q4_0, Q8_0, TYPES
from jupyter_turbopilot.models.gguf import read_header
from jupyter_turbopilot.models.tuning.adapters import AdapterSpec, ours
from jupyter_turbopilot.models.tuning.merge import merge, merged_copy, path_of
from jupyter_turbopilot.models.tuning.recipe import LAYERS, group_of, matrix_path, read_importance
from jupyter_turbopilot.plugins.convert.quantize import kinds, order, quantize
from jupyter_turbopilot.protocol.errors import CancelledError, ModelRefusedError
from jupyter_turbopilot.util import files
from jupyter_turbopilot.util.files import partial_path

from ...plugins.convert import native
from ...tiny_adapter import make
from ...tiny_model import EMBED, FEED, write_tiny_model

TOKENS = np.random.default_rng(5).integers(0, 255, 120).tolist()


def test_fold_equals_applying_the_adapter(tiny_model: Path, tmp_path: Path) -> None:
    adapter = make(tmp_path / "a.gguf")
    copy = merge(tiny_model, [(adapter, 1.0)], tmp_path / "copy.gguf", quantise)
    beside, inside = native.logits(tiny_model, TOKENS, adapter), native.logits(copy, TOKENS)
    assert np.abs(beside - inside).max() < 0.02
    assert np.abs(native.logits(tiny_model, TOKENS) - inside).max() > 1.0


def test_fold_scales_several_adapters(tiny_model: Path, tmp_path: Path) -> None:
    adapter = make(tmp_path / "a.gguf")
    twice = merge(tiny_model, [(adapter, 0.5), (adapter, 0.5)], tmp_path / "twice.gguf", quantise)
    once = merge(tiny_model, [(adapter, 1.0)], tmp_path / "once.gguf", quantise)
    assert np.abs(native.logits(twice, TOKENS) - native.logits(once, TOKENS)).max() < 1e-3


def test_fold_stores_changed_tensors_in_eight_bits(tiny_model: Path, tmp_path: Path) -> None:
    small = quantize(order(tiny_model, tmp_path / "q.gguf", "Q4_0", kinds(), force=True), 2)
    adapter = make(tmp_path / "a.gguf")
    copy = merge(small, [(adapter, 1.0)], tmp_path / "copy.gguf", quantise)
    before = {part.name: part.kind for part in read_header(small).parts}
    after = {part.name: part.kind for part in read_header(copy).parts}
    assert {name for name in after if after[name] != before[name]} == {"blk.0.attn_output.weight"}
    assert after["blk.0.attn_output.weight"] == 8
    beside, inside = native.logits(small, TOKENS, adapter), native.logits(copy, TOKENS)
    assert (beside.argmax(1) == inside.argmax(1)).mean() > 0.95


def write_importance(adapter: Path, *names: str, value: float = 1.0) -> None:
    """Write the importance matrix of an adapter of the tiny model."""
    rows = {name: np.full(FEED if name.endswith("down") else EMBED, value, np.float16) for name in names}
    np.savez(matrix_path(adapter), **rows)


def test_merge_uses_the_recipe_where_importance_is_known(tiny_model: Path, tmp_path: Path) -> None:
    large = quantize(order(tiny_model, tmp_path / "q.gguf", "Q8_0", kinds(), force=True), 2)
    adapter = make(tmp_path / "a.gguf")
    write_importance(adapter, "blk.0.attn", "blk.0.attn_output", "blk.1.ffn", "blk.1.ffn_down", "output")
    copy = merge(large, [(adapter, 1.0)], tmp_path / "copy.gguf", quantise, 2)
    header = read_header(copy)
    smaller = [part.name for part in header.parts if part.kind == LAYERS]
    attention = [f"blk.0.attn_{which}.weight" for which in ("output", "q")]
    assert sorted(smaller) == [*attention, *(f"blk.1.ffn_{which}.weight" for which in ("down", "gate", "up"))]
    assert [part.name for part in header.parts[-len(smaller) :]] == smaller, "repacked tensors are last"
    assert header.resident == header.file_size < read_header(large).file_size
    beside, inside = native.logits(large, TOKENS, adapter), native.logits(copy, TOKENS)
    assert (beside.argmax(1) == inside.argmax(1)).mean() > 0.5


def test_merge_keeps_types_that_are_as_small(tiny_model: Path, tmp_path: Path) -> None:
    small = quantize(order(tiny_model, tmp_path / "q.gguf", "Q4_0", kinds(), force=True), 2)
    adapter = make(tmp_path / "a.gguf")
    write_importance(adapter, "blk.1.ffn")
    copy = read_header(merge(small, [(adapter, 1.0)], tmp_path / "copy.gguf", quantise))
    assert {part.kind for part in copy.parts if part.name.startswith("blk.1.ffn_up")} == {Q4_0}


def test_merge_keeps_eight_bits_for_a_users_own_adapter(tiny_model: Path, tmp_path: Path) -> None:
    large = quantize(order(tiny_model, tmp_path / "q.gguf", "Q8_0", kinds(), force=True), 2)
    bundled, own = make(tmp_path / "a.gguf"), make(tmp_path / "b.gguf")
    write_importance(bundled, "blk.0.attn_output", "blk.1.attn_output")
    copy = merge(large, [(bundled, 1.0), (own, 1.0)], tmp_path / "copy.gguf", quantise)
    after = {part.name: part.kind for part in read_header(copy).parts}
    assert (after["blk.0.attn_output.weight"], after["blk.1.attn_output.weight"]) == (Q8_0, LAYERS)


def test_merge_weighs_columns_by_importance(tiny_model: Path, tmp_path: Path) -> None:
    large = quantize(order(tiny_model, tmp_path / "q.gguf", "Q8_0", kinds(), force=True), 2)
    adapter = make(tmp_path / "a.gguf")
    exact = rows_of(merge(large, [(adapter, 1.0)], tmp_path / "exact.gguf", quantise))
    errors = []
    for column in range(2):
        row = np.full(EMBED, 2.0**-14, np.float16)
        row[column] = EMBED
        np.savez(matrix_path(adapter), **{"blk.0.attn_output": row})
        copy = merge(large, [(adapter, 1.0)], tmp_path / "copy.gguf", quantise)
        errors.append(np.square(rows_of(copy) - exact).sum(0))
    assert errors[0][0] < errors[1][0]
    assert errors[1][1] < errors[0][1]


def rows_of(model: Path) -> Any:
    """Return the matrix that the adapter changes."""
    tensors = {tensor.name: tensor for tensor in GGUFReader(model).tensors}
    tensor = tensors["blk.0.attn_output.weight"]
    return dequantize(tensor.data, tensor.tensor_type)


def test_merge_notes_the_type_of_most_weights(tiny_model: Path, tmp_path: Path) -> None:
    large = quantize(order(tiny_model, tmp_path / "q.gguf", "Q8_0", kinds(), force=True), 2)
    adapter = make(tmp_path / "a.gguf")
    names = (
        "blk.0.attn",
        "blk.0.attn_output",
        "blk.0.ffn",
        "blk.0.ffn_down",
        "blk.1.attn",
        "blk.1.ffn",
        "blk.1.ffn_down",
    )
    write_importance(adapter, *names)
    copy = read_header(merge(large, [(adapter, 1.0)], tmp_path / "copy.gguf", quantise))
    assert FILE_TYPES[copy.metadata["general.file_type"]] == TYPES[LAYERS].name


def test_merge_keeps_only_few_pieces_in_memory(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    living: list[int] = [0]
    most = 0

    class Piece(bytes):
        """A quantised piece, which counts the living ones."""

        def __del__(self) -> None:
            living[0] -= 1

    def pack(kind: int, importance: Any, rows: Any) -> bytes:
        nonlocal most
        living[0] += 1
        most = max(most, living[0])
        return Piece(quantise(kind, importance, rows))

    monkeypatch.setattr("jupyter_turbopilot.models.tuning.merge._NUMBERS", EMBED)
    merge(tiny_model, [(make(tmp_path / "a.gguf"), 1.0)], tmp_path / "copy.gguf", pack)
    assert living == [0]
    assert most < EMBED // 4  # the matrix has as many rows


def test_merge_refuses_weights_that_are_not_finite(tiny_model: Path, tmp_path: Path) -> None:
    header = read_header(tiny_model)
    (part,) = [part for part in header.parts if part.name == "blk.0.attn_output.weight"]
    damaged = tmp_path / "damaged.gguf"
    data = bytearray(tiny_model.read_bytes())
    start = header.start + part.offset
    data[start : start + 4] = b"\xff" * 4  # NaN in F16 and F32
    damaged.write_bytes(data)
    with pytest.raises(ModelRefusedError, match=r"blk\.0\.attn_output\.weight contains NaN"):
        merge(damaged, [(make(tmp_path / "a.gguf"), 1.0)], tmp_path / "copy.gguf", quantise)
    assert not list(tmp_path.glob("*copy*"))


def test_merge_refuses_the_importance_of_another_model(tiny_model: Path, tmp_path: Path) -> None:
    adapter = make(tmp_path / "a.gguf")
    np.savez(matrix_path(adapter), **{"blk.0.ffn": np.ones(EMBED * 2, np.float16)})
    with pytest.raises(ModelRefusedError, match="made for another model"):
        merge(tiny_model, [(adapter, 1.0)], tmp_path / "copy.gguf", quantise)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"none"])
def test_merge_refuses_a_damaged_importance_matrix(tiny_model: Path, tmp_path: Path, content: bytes) -> None:
    adapter = make(tmp_path / "a.gguf")
    matrix_path(adapter).write_bytes(content)
    with pytest.raises(ModelRefusedError, match="is damaged"):
        merge(tiny_model, [(adapter, 1.0)], tmp_path / "copy.gguf", quantise)


def test_merged_copy_changes_with_the_importance_matrix(tiny_model: Path, tmp_path: Path) -> None:
    adapter = make(tmp_path / "a.gguf")
    added = [AdapterSpec(str(adapter))]
    paths = [path_of(tmp_path, tiny_model, added)]
    for value in (1.0, 2.0):
        write_importance(adapter, "output", value=value)
        paths.append(path_of(tmp_path, tiny_model, added))
    assert len({*paths}) == 3


def test_merged_copy_replaces_the_users_own_older_copies(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "tiny.gguf")
    adapter = make(tmp_path / "a.gguf")

    def made(strength: float) -> Path:
        return merged_copy(tmp_path, model, [AdapterSpec(str(adapter), strength)], quantise)

    other, first = made(0.5), made(1.0)
    write_importance(adapter, "output")
    replaced = made(1.0)
    assert {*copies(tmp_path, model)} == {other, replaced} != {other, first}, (
        "the same adapters, another recipe"
    )
    third = made(0.25)
    assert {*copies(tmp_path, model)} == {replaced, third}, "the oldest of other adapters"


def test_merged_copy_keeps_those_of_other_models_with_the_same_name(tmp_path: Path) -> None:
    adapters = [AdapterSpec(str(make(tmp_path / "a.gguf")))]
    made = set()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        model = write_tiny_model(tmp_path / folder / "tiny.gguf")
        os.utime(model, ns=(len(made), 1))
        made.add(merged_copy(tmp_path, model, adapters, quantise))
    assert {*copies(tmp_path, model)} == made


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give files away")
def test_merged_copy_keeps_the_copies_of_other_users(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "tiny.gguf")
    adapter = make(tmp_path / "a.gguf")
    made = []
    for value in (1.0, 2.0):
        write_importance(adapter, "output", value=value)
        made.append(merged_copy(tmp_path, model, [AdapterSpec(str(adapter))], quantise))
        os.chown(made[-1], 12345, -1)
    assert {*copies(tmp_path, model)} == {*made}


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
        merge(tiny_model, [(adapter, 1.0)], tmp_path / "new" / "copy.gguf", quantise)
    assert not list(tmp_path.rglob("*copy*"))


def test_fold_checks_disk_space_first(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "free")  # noqa: PYI024
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: usage(1000))
    with pytest.raises(ModelRefusedError, match="MB free"):
        merge(tiny_model, [(make(tmp_path / "a.gguf"), 1.0)], tmp_path / "copy.gguf", quantise)
    assert not list(tmp_path.glob("*copy*"))


def test_folded_reuses_a_copy_until_an_input_changes(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "tiny.gguf")
    adapter = str(make(tmp_path / "a.gguf"))
    first = merged_copy(tmp_path, model, [AdapterSpec(adapter, 1.0)], quantise)
    written = first.stat().st_mtime_ns
    assert merged_copy(tmp_path, model, [AdapterSpec(adapter, 1.0)], quantise) == first
    assert first.stat().st_mtime_ns == written
    others = {merged_copy(tmp_path, model, [AdapterSpec(adapter, 0.5)], quantise)}
    make(Path(adapter), width=64).write_bytes(Path(adapter).read_bytes()[:-4] + b"\x01\x02\x03\x04")
    others.add(merged_copy(tmp_path, model, [AdapterSpec(adapter, 1.0)], quantise))
    os.utime(model, ns=(1, 1))
    others.add(merged_copy(tmp_path, model, [AdapterSpec(adapter, 1.0)], quantise))
    assert first not in others
    assert len(others) == 3


def test_folded_finds_copies_of_a_copied_model_by_its_digest(tmp_path: Path) -> None:
    model = write_tiny_model(tmp_path / "tiny.gguf")
    adapters = [AdapterSpec(str(make(tmp_path / "a.gguf")), 1.0)]
    write_note(model, "somewhere", sha256="1" * 64, size=model.stat().st_size)
    copy = merged_copy(tmp_path, model, adapters, quantise)
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
    copy = merged_copy(tmp_path, tiny_model, added, quantise)
    whole = copy.read_bytes()
    copy.write_bytes(whole[: len(whole) // 2])
    assert merged_copy(tmp_path, tiny_model, added, quantise) == copy
    assert copy.read_bytes() == whole


def test_merged_copy_removes_old_copies_despite_a_locked_one(tiny_model: Path, tmp_path: Path) -> None:
    (locked := copy_path(tmp_path, tiny_model, "0" * 12)).mkdir(parents=True)
    (gone := copy_path(tmp_path, tiny_model, "1" * 12)).symlink_to("removed")
    old = [copy_path(tmp_path, tiny_model, digit * 12) for digit in "23"]
    for path in old:
        path.touch()
    for age, path in enumerate((locked, *old)):
        os.utime(path, (age, age))
    added = [AdapterSpec(str(make(tmp_path / "a.gguf")))]
    copy = merged_copy(tmp_path, tiny_model, added, quantise)
    assert {*copies(tmp_path, tiny_model)} == {locked, gone, old[1], copy}


def test_merged_copy_leaves_nothing_on_a_full_disk(tiny_model: Path, tmp_path: Path) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    added = [AdapterSpec(str(make(tmp_path / "a.gguf")))]
    with pytest.raises(ModelRefusedError, match="No space left on device"):
        merged_copy(tmp_path, tiny_model, added, fail)
    assert [path.suffix for path in (tmp_path / COPIES).iterdir()] == [".lock"]


def test_merged_copy_ignores_that_of_a_killed_process(tiny_model: Path, tmp_path: Path) -> None:
    adapter = make(tmp_path / "a.gguf")
    code = (
        "import os, sys; from pathlib import Path\n"
        "from jupyter_turbopilot.models.tuning.adapters import AdapterSpec\n"
        "from jupyter_turbopilot.models.tuning.merge import merged_copy\n"
        "folder, model, adapter = sys.argv[1:]\n"
        "merged_copy(Path(folder), Path(model), [AdapterSpec(adapter)], lambda *_: os._exit(1))"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path, tiny_model, adapter], check=False)
    added = [AdapterSpec(str(adapter))]
    assert partial_path(path_of(tmp_path, tiny_model, added)).exists()
    assert copies(tmp_path, tiny_model) == []
    copy = merged_copy(tmp_path, tiny_model, added, quantise)
    assert {*(tmp_path / COPIES).iterdir()} == {copy, copy.with_suffix(".lock"), note_path(copy)}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the priority is not changed")
def test_merge_works_at_the_lowest_priority(tiny_model: Path, tmp_path: Path) -> None:
    adapter = make(tmp_path / "a.gguf")
    code = (
        "import os, sys; from pathlib import Path; os.setpriority(os.PRIO_PROCESS, 0, 19)\n"
        "from jupyter_turbopilot.engine.llama.bindings import quantise\n"
        "from jupyter_turbopilot.models.tuning.merge import merge\n"
        "model, adapter, copy = map(Path, sys.argv[1:])\n"
        "merge(model, [(adapter, 1.0)], copy, quantise)"
    )
    unprivileged = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if shutil.which("setpriv") else []
    copy = tmp_path / "copy.gguf"
    subprocess.run([*unprivileged, sys.executable, "-c", code, tiny_model, adapter, copy], check=True)
    assert copy.exists()


def test_merged_copy_can_be_cancelled_while_another_process_makes_it(
    tiny_model: Path, tmp_path: Path
) -> None:
    adapters = [AdapterSpec(str(make(tmp_path / "a.gguf")))]
    target = path_of(tmp_path, tiny_model, adapters)
    target.parent.mkdir(parents=True)
    lock = FileLock(target.with_suffix(".lock"), thread_local=False)
    with ThreadPoolExecutor(1) as pool, pool.submit(lock.acquire).result(), pytest.raises(CancelledError):
        merged_copy(tmp_path, tiny_model, adapters, quantise, cancelled=lambda: True)
    assert not target.exists()


@pytest.mark.parametrize("name", ["qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"])
def test_read_importance_covers_the_matrices_of_a_bundled_adapter(name: str) -> None:
    adapter = ours(name)
    assert adapter
    widths = {
        group_of(part.name.removesuffix(".lora_a")): part.shape[:1]
        for part in read_header(adapter).parts
        if part.name.endswith(".lora_a")
    }
    importance = read_importance(adapter)
    assert widths == {name: importance[name].shape for name in widths}
