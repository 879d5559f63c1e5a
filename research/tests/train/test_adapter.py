"""Training LoRA matrices on trees."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from jupyter_turbopilot.prompt.layout import Layout
from turbopilot_research.train.adapter import TreeLoss
from turbopilot_research.train.corpus import TrainingDocument
from turbopilot_research.train.network import Network, adapt, load
from turbopilot_research.train.samples import branches_of
from turbopilot_research.train.trees import build_tree

from .conftest import END


@pytest.fixture
def network(tiny_model: Path) -> Network:
    torch.manual_seed(1)
    made = load(tiny_model, torch.device("cpu"), torch.float32)
    adapt(made, 8, 16.0)
    return made


def test_tree_loss_equals_the_loss_of_separate_samples(
    network: Network, layout: Layout, documents: list[TrainingDocument]
) -> None:
    samples = branches_of(random.Random(2), documents[0], 2, layout, END)
    tree_loss = TreeLoss(network)
    alone = [build_tree([sample], 1000) for sample in samples]
    with torch.no_grad():
        together = tree_loss(build_tree(samples, 4000), 0.0).item()
        each = [tree_loss(tree, 0.0).item() * len(tree.answers) for tree in alone]
    assert together == pytest.approx(sum(each) / sum(len(tree.answers) for tree in alone), abs=1e-4)
