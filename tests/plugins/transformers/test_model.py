import logging
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import safetensors.torch
import torch
import transformers

from jupyter_turbopilot.plugins.transformers.checkpoint import TransformersOptions, check
from jupyter_turbopilot.plugins.transformers.model import load_model
from jupyter_turbopilot.protocol.errors import ModelRefusedError
from tests.plugins.convert import families

from . import checkpoints
from .test_engine import alone, generate, ids

# bitsandbytes packs rows in blocks of 64.
EVEN = {"hidden_size": 128, "intermediate_size": 256}


def test_load_model_reads_pytorch_bin_files(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path)
    wanted = load_model(folder, check(folder)).state_dict()
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(tensors, folder / "pytorch_model.bin")
    got = load_model(folder, check(folder)).state_dict()
    assert all(torch.equal(got[name], wanted[name]) for name in wanted)


def test_load_model_rejects_missing_weights(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path)
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    safetensors.torch.save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelRefusedError, match="lacks weights"):
        load_model(folder, check(folder))


def test_load_model_rejects_weights_of_another_shape(tmp_path: Path) -> None:
    folder = checkpoints.write(tmp_path)
    loading = check(folder)
    checkpoints.change(folder, "config.json", intermediate_size=96)
    with pytest.raises(ModelRefusedError, match="could not load"):
        load_model(folder, loading)


def test_load_model_downloads_and_logs_nothing(
    checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    loading = check(checkpoint)
    offline = []
    made = transformers.AutoModelForCausalLM.from_pretrained

    def record(*arguments: object, **options: object) -> object:
        offline.append((huggingface_hub.constants.HF_HUB_OFFLINE, options["local_files_only"]))
        return made(*arguments, **options)

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", record)
    with caplog.at_level(logging.INFO):
        load_model(checkpoint, loading)
    assert offline == [(True, True)]
    assert not huggingface_hub.constants.HF_HUB_OFFLINE
    assert caplog.text == ""
    assert "".join(capfd.readouterr()) == ""


@pytest.mark.parametrize("bits", [8, 4])
def test_bitsandbytes_model_has_similar_logits(
    bits: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("bitsandbytes")
    folder = checkpoints.write(tmp_path, **EVEN)
    plain = checkpoints.load(folder, TransformersOptions(threads=1), name="plain")
    options = TransformersOptions(threads=1, bits=bits)
    engine = checkpoints.load(folder, options, name="quantized")
    kinds = {type(module).__name__ for module in engine._model.modules()}
    assert {8: "Linear8bitLt", 4: "Linear4bit"}[bits] in kinds
    prompt = engine.vocabulary.tokenize("import numpy as np\n\ndef mean(values):\n    return ")
    rows = [families.true_logits(each._model, prompt)[-1] for each in (plain, engine)]
    assert np.corrcoef(rows)[0, 1] > {8: 0.98, 4: 0.6}[bits]
    got = ids(generate(engine, prompt, max_tokens=6, ignore_end=True))
    assert got[:1] == alone(engine, prompt, 1)
    assert len(got) == 6
    assert "MatMul" not in caplog.text
    for each in (plain, engine):
        each.close()


@pytest.mark.filterwarnings("ignore::FutureWarning")  # raised by gptqmodel
def test_gptq_checkpoint_generates_the_same_as_unpacked_weights(tmp_path: Path) -> None:
    for package in ("gptqmodel", "optimum"):
        pytest.importorskip(package)
    plain = checkpoints.write(tmp_path / "plain", **EVEN)
    quantized = checkpoints.quantize(plain, tmp_path / "gptq")
    engines = [
        checkpoints.load(folder, TransformersOptions(threads=1), name="g") for folder in (plain, quantized)
    ]
    assert any("qweight" in name for name, _ in engines[1]._model.named_buffers())
    prompt = engines[0].vocabulary.tokenize("import numpy as np\n\ndef mean(values):\n")
    texts = [ids(generate(engine, prompt, ignore_end=True)) for engine in engines]
    assert texts[0] == texts[1]
    for engine in engines:
        engine.close()
