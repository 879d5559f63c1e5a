"""Training all weights on rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from turbopilot_research.train import all_weights
from turbopilot_research.train.all_weights import WholeModel
from turbopilot_research.train.loop import Schedule, Training
from turbopilot_research.train.network import free, load
from turbopilot_research.train.rows import Marks, Rows
from turbopilot_research.train.scratch import TEXT, Shape, write_blank

FIRST = len(TEXT)
END, PREFIX, SUFFIX, MIDDLE = range(FIRST, FIRST + 4)
MARKS = Marks(MIDDLE, SUFFIX, (PREFIX, SUFFIX, MIDDLE))
ROW = [PREFIX, *range(20), SUFFIX, *range(30, 40), MIDDLE, *range(20, 30), END]


@pytest.fixture
def learning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WholeModel:
    monkeypatch.setattr(all_weights, "STEP", 4 * (len(ROW) - 1))
    path = write_blank(tmp_path / "blank.gguf", Shape(width=64, layers=2, heads=2, length=64))
    network = load(path, torch.device("cpu"), torch.float32)
    free(network)
    rows = np.array([ROW] * 6, np.uint8)
    return WholeModel(network, MARKS, Rows(rows), Rows(np.hstack([rows, rows[:, 1:]])), rows[:2])


def test_trained_whole_model_fills_in_the_middle(learning: WholeModel, tmp_path: Path) -> None:
    log = Training(learning, Schedule(9.0, 1e-2, 0.2, steps=60), tmp_path / "kept").run(lambda *_: None)
    assert log.held[0][1] > 4
    assert log.held[-1][1] < 1
    assert log.tokens >= 60 * 4 * (len(ROW) - 1)
    assert log.samples == 60 * 4


def test_loss_weights_text_less_than_answers_and_ignores_marks(learning: WholeModel) -> None:
    rows = np.array([ROW], np.uint8)
    with torch.no_grad():
        logits = learning.network.model(input_ids=torch.tensor([ROW[:-1]])).logits[0]
        losses = functional.cross_entropy(logits, torch.tensor(ROW[1:]), reduction="none").tolist()
        answer = ROW.index(MIDDLE)
        text = [loss for loss, token in zip(losses[:answer], ROW[1:], strict=False) if token not in MARKS.all]
        total = 0.5 * sum(text) + sum(losses[answer:])
        wanted = total / (0.5 * len(text) + len(losses[answer:]))
        assert learning.loss(rows).item() == pytest.approx(wanted, abs=0.02)
        learning.held_out = rows
        assert learning.held_loss() == pytest.approx(np.mean(losses[answer:]), abs=0.02)
