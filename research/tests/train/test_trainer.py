from __future__ import annotations

from pathlib import Path

import pytest
import torch

from jupyter_turbopilot.engine.llama.engine import LlamaEngine
from jupyter_turbopilot.engine.load import machine
from jupyter_turbopilot.models.gguf import read_header
from jupyter_turbopilot.protocol.errors import TurbopilotError
from jupyter_turbopilot.settings.config import Turbopilot
from turbopilot_research.train import network
from turbopilot_research.train.corpus import TrainingDocument
from turbopilot_research.train.dataset import Dataset
from turbopilot_research.train.loop import Log
from turbopilot_research.train.options import TrainingOptions
from turbopilot_research.train.scratch import Shape, write_blank
from turbopilot_research.train.trainer import Trainer, need_memory


def silent(_log: Log, _done: float) -> None:
    pass


@pytest.fixture
def data(documents: list[TrainingDocument]) -> Dataset:
    return Dataset(documents[:3], documents[3:])


def trainer(options: TrainingOptions, data: Dataset, engine: LlamaEngine, path: Path) -> Trainer:
    return Trainer(options, Turbopilot(adapters=[]), data, engine, path)


def test_trainer_writes_a_whole_model_and_resumes_with_more_time(
    options: TrainingOptions, data: Dataset, engine: LlamaEngine, tiny_model: Path
) -> None:
    options = options.replace(whole=True)
    first = trainer(options, data, engine, tiny_model)
    assert first.unpack() == 0
    steps = first.train(silent).steps
    first.write()
    written, before = read_header(options.output), read_header(tiny_model)
    assert written.architecture == "llama"
    assert {part.name for part in written.parts} >= {part.name for part in before.parts}
    again = trainer(options, data, engine, tiny_model)
    assert again.unpack() == steps
    trained = options.output.read_bytes()
    again.write()
    assert options.output.read_bytes() == trained  # identifies the base model
    longer = trainer(options.replace(minutes=1.0), data, engine, tiny_model)
    assert 0 < longer.unpack() <= steps  # before the rate decayed
    assert trainer(options.replace(fresh=True), data, engine, tiny_model).unpack() == 0


def test_trainer_restarts_if_the_base_model_changed(
    options: TrainingOptions, data: Dataset, engine: LlamaEngine, tiny_model: Path, tmp_path: Path
) -> None:
    tune = options.replace(whole=True).tune("python")
    first = trainer(tune, data, engine, tiny_model)
    assert first.unpack() == 0
    steps = first.train(silent).steps
    assert trainer(tune, data, engine, tiny_model).unpack() == steps > 0
    further = tmp_path / "further.gguf"
    further.write_bytes(tiny_model.read_bytes()[:-1] + b"\x01")
    assert trainer(tune, data, engine, further).unpack() == 0


def test_trainer_rewrites_rows_of_other_documents(
    options: TrainingOptions, data: Dataset, engine: LlamaEngine, tiny_model: Path
) -> None:
    options = options.replace(whole=True)
    rows = options.output.with_suffix(".rows")

    def laid_out(data: Dataset) -> bytes:
        trainer(options, data, engine, tiny_model).unpack()
        return rows.read_bytes()

    wanted = laid_out(data)
    assert laid_out(Dataset(data.training[:1], data.held_out)) != wanted
    assert laid_out(data) == wanted
    for cut in (b"", wanted[:10], wanted[:-20]):
        rows.write_bytes(cut)
        assert laid_out(data) == wanted


def test_need_memory_refuses_before_loading(
    options: TrainingOptions, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, scratch = options.replace(whole=True), options.replace(whole=True, scratch=True)
    characters = write_blank(tmp_path / "characters.gguf", Shape())
    need_memory(tiny_model, options, 1024)
    monkeypatch.setattr(network, "best_type", lambda _: torch.bfloat16)
    monkeypatch.setattr(machine, "free_memory", lambda: 3_000_000_000)
    need_memory(characters, whole, 2048)
    with pytest.raises(TurbopilotError, match=r"needs 4\.\d GB of memory; only 3\.0 GB .* remove --whole"):
        need_memory(characters, whole, 4096)
    with pytest.raises(TurbopilotError, match="smaller --length"):
        need_memory(characters, scratch, 4096)
    with pytest.raises(TurbopilotError, match=r"needs 3\.0 GB of memory; only 3\.0 GB is free"):
        need_memory(tiny_model, options, 1024)
