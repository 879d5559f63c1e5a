from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from jupyter_turbopilot.errors import TurbopilotError
from jupyter_turbopilot.prompt.layout import Layout
from jupyter_turbopilot.training import loop
from jupyter_turbopilot.training.corpus import TrainingDocument
from jupyter_turbopilot.training.course import Course
from jupyter_turbopilot.training.loop import Log, Schedule, Training, TreeLoss, loss_of
from jupyter_turbopilot.training.network import Network, adapt, load
from jupyter_turbopilot.training.samples import samples_of
from jupyter_turbopilot.training.tree import Tree, grow

from .conftest import END

CPU = torch.device("cpu")


@pytest.fixture
def network(tiny_model: Path) -> Network:
    torch.manual_seed(1)
    made = load(tiny_model, CPU, torch.float32)
    adapt(made, 8, 16.0)
    return made


@pytest.fixture
def course(layout: Layout, documents: list[TrainingDocument]) -> Course:
    return Course(documents, layout, END)


def silent(_log: Log, _done: float) -> None:
    pass


def test_a_tree_is_as_wrong_as_its_samples_one_by_one(
    network: Network, layout: Layout, documents: list[TrainingDocument]
) -> None:
    import random

    samples = samples_of(random.Random(2), documents[0], 2, layout, END)
    tree_loss = TreeLoss(network)
    alone = [grow([sample], 1000) for sample in samples]
    with torch.no_grad():
        together = tree_loss(grow(samples, 4000), 0.0).item()
        each = [tree_loss(tree, 0.0).item() * len(tree.answers) for tree in alone]
    assert together == pytest.approx(sum(each) / sum(len(tree.answers) for tree in alone), abs=1e-4)


def test_words_that_are_not_in_use_hardly_matter_and_what_follows_always_counts(
    network: Network, course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "WORDS_STEP", 64)
    tree = next(course.trees())
    with torch.no_grad():
        whole = TreeLoss(network)(tree, 0.1).item()
        assert TreeLoss(network, range(260))(tree, 0.1).item() == pytest.approx(whole, abs=1e-4)
        few = TreeLoss(network, [1])(tree, 0.1).item()
        assert 0 < few < whole
        assert TreeLoss(network, [1])(tree, 0.1, whole=True).item() == pytest.approx(whole, abs=1e-4)


def test_it_learns_and_what_is_kept_apart_is_told(network: Network, course: Course, tmp_path: Path) -> None:
    held = course.some(2)
    schedule = Schedule(9.0, 1e-2, steps=40)
    log = Training(network, TreeLoss(network), held, schedule, tmp_path / "kept").run(course.trees, silent)
    assert log.steps == 40
    assert log.held[-1][1] < 0.7 * log.held[0][1]
    assert [step for step, _ in log.held] == sorted({step for step, _ in log.held})
    assert log.held[-1][0] == 40
    assert log.held[-1][1] == pytest.approx(loss_of(TreeLoss(network), held))


def test_what_was_stopped_is_gone_on_with(tiny_model: Path, course: Course, tmp_path: Path) -> None:
    def run(kept: Path, stop: int) -> tuple[Network, Log]:
        torch.manual_seed(1)
        made = load(tiny_model, CPU, torch.float32)
        adapt(made, 4, 8.0)

        def trees(start: int) -> Iterator[Tree]:
            starts.append(start)
            for number, tree in enumerate(course.trees(start), start):
                if number == stop:
                    raise KeyboardInterrupt
                yield tree

        log = Training(made, TreeLoss(made), [], Schedule(1e6, 1e-2, steps=8), kept).run(trees, silent)
        return made, log

    starts: list[int] = []
    whole, log = run(tmp_path / "whole", 99)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "kept", 5)
    resumed, again = run(tmp_path / "kept", 99)
    assert starts == [0, 0, 5]
    assert again.steps == log.steps == 8
    assert again.samples == log.samples
    for a, b in zip(whole.learnt().values(), resumed.learnt().values(), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_the_time_is_the_limit_and_includes_what_was_trained_before(
    network: Network, course: Course, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    first = Training(network, TreeLoss(network), [], Schedule(0.02), kept).run(course.trees, silent)
    assert first.steps >= 1
    assert first.seconds < 10
    second = Training(network, TreeLoss(network), [], Schedule(0.02), kept).run(course.trees, silent)
    assert second.steps == first.steps


def test_what_is_kept_for_later_holds_no_code(network: Network, course: Course, tmp_path: Path) -> None:
    schedule = Schedule(9.0, steps=2)
    Training(network, TreeLoss(network), [], schedule, tmp_path / "kept").run(course.trees, silent)
    state = torch.load(tmp_path / "kept", weights_only=True)
    assert set(state) == {"learnt", "optimizer", "log"}
    assert b"frame" not in (tmp_path / "kept").read_bytes()


def test_a_file_of_another_training_is_refused_in_words(
    network: Network, tiny_model: Path, course: Course, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    Training(network, TreeLoss(network), [], Schedule(9.0, steps=1), kept).run(course.trees, silent)
    other = load(tiny_model, CPU, torch.float32)
    adapt(other, 4, 8.0)
    for content in (kept.read_bytes(), kept.read_bytes()[:1000], b"nothing"):
        kept.write_bytes(content)
        with pytest.raises(TurbopilotError, match="Start again with --fresh"):
            Training(other, TreeLoss(other), [], Schedule(9.0), kept)
