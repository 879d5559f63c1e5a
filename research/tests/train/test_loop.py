from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from jupyter_turbopilot.prompt.layout import Layout
from jupyter_turbopilot.protocol.errors import TurbopilotError
from turbopilot_research.train import loop
from turbopilot_research.train.adapter import Adapter, TreeLoss, loss_of
from turbopilot_research.train.corpus import TrainingDocument
from turbopilot_research.train.loop import Log, Schedule, Training
from turbopilot_research.train.network import Network, adapt, load
from turbopilot_research.train.trees import Course, Tree

from .conftest import END

CPU = torch.device("cpu")


@pytest.fixture
def course(layout: Layout, documents: list[TrainingDocument]) -> Course:
    return Course(documents, layout, END)


@pytest.fixture
def adapter(tiny_model: Path, course: Course) -> Adapter:
    return adapter_of(tiny_model, course)


def adapter_of(model: Path, course: Course, rank: int = 8) -> Adapter:
    torch.manual_seed(1)
    made = load(model, CPU, torch.float32)
    adapt(made, rank, 2.0 * rank)
    return Adapter(made, TreeLoss(made), course, [])


def silent(_log: Log, _done: float) -> None:
    pass


def test_training_reduces_the_loss_and_reports_held_out_loss(
    adapter: Adapter, course: Course, tmp_path: Path
) -> None:
    adapter.held_out = [*islice(course.trees(), 2)]
    log = Training(adapter, Schedule(9.0, 1e-2, steps=40), tmp_path / "kept").run(silent)
    assert log.steps == 40
    assert log.held[-1][1] < 0.7 * log.held[0][1]
    assert [step for step, _ in log.held] == sorted({step for step, _ in log.held})
    assert log.held[-1][0] == 40
    assert log.held[-1][1] == pytest.approx(loss_of(TreeLoss(adapter.network), adapter.held_out))


class Stopping(Course):
    """Interrupts the training at a step, and records where it started."""

    stop = 99
    starts: list[int]

    def trees(self, start: int = 0) -> Iterator[Tree]:
        self.starts.append(start)
        for number, tree in enumerate(super().trees(start), start):
            if number == self.stop:
                raise KeyboardInterrupt
            yield tree


@pytest.mark.parametrize("fall", [1.0, 0.0])
def test_training_resumes_after_an_interruption(
    fall: float, tiny_model: Path, layout: Layout, documents: list[TrainingDocument], tmp_path: Path
) -> None:
    course = Stopping(documents, layout, END)
    course.starts = []

    def run(kept: Path, stop: int) -> tuple[Network, Log]:
        learning = adapter_of(tiny_model, course, 4)
        course.stop = stop
        log = Training(learning, Schedule(1e6, 1e-2, fall, steps=8), kept).run(silent)
        return learning.network, log

    whole, log = run(tmp_path / "whole", 99)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "kept", 5)
    resumed, again = run(tmp_path / "kept", 99)
    assert course.starts == [0, 0, 5]
    assert again.steps == log.steps == 8
    assert again.samples == log.samples
    for a, b in zip(whole.learnt().values(), resumed.learnt().values(), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_training_with_more_time_resumes_before_the_decay(
    tiny_model: Path, course: Course, tmp_path: Path
) -> None:
    def run(kept: str, steps: int) -> tuple[Network, Log]:
        learning = adapter_of(tiny_model, course)
        minutes = 1e6 + steps  # the end of the decay
        log = Training(learning, Schedule(minutes, 1e-2, 0.25, steps=steps), tmp_path / kept).run(silent)
        return learning.network, log

    run("a", 8)
    assert (tmp_path / "a.steady").is_file()
    more, log = run("a", 16)
    anew, wanted = run("b", 16)
    assert log.steps == wanted.steps == 16
    assert log.losses == wanted.losses
    for a, b in zip(more.learnt().values(), anew.learnt().values(), strict=True):
        assert torch.allclose(a, b, atol=1e-5)
    assert run("a", 16)[1].steps == 16  # no steps are left


def test_training_time_includes_earlier_runs(adapter: Adapter, tmp_path: Path) -> None:
    first = Training(adapter, Schedule(0.02), tmp_path / "kept").run(silent)
    assert first.steps >= 1
    steps = first.steps
    assert Training(adapter, Schedule(0.02), tmp_path / "kept").run(silent).steps == steps


@pytest.mark.parametrize(
    ("took", "counted"), [([2, 3, 30_000, 2], 67), ([200, 210, 190], 460), ([200, 210, 30_000, 200], 890)]
)
def test_training_time_excludes_pauses(
    took: list[int], counted: int, adapter: Adapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, loss = 0.0, adapter.loss

    def slow(batch: Tree) -> torch.Tensor:
        nonlocal now
        now += took.pop(0)
        return loss(batch)

    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(adapter, "loss", slow)
    log = Training(adapter, Schedule(1e6, steps=len(took)), tmp_path / "kept").run(silent)
    assert log.seconds == counted


def test_training_of_another_origin_is_kept_but_not_resumed(
    adapter: Adapter, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def training(origin: str) -> Training:
        return Training(adapter, Schedule(1e6, 1e-2, 0.25, steps=4), tmp_path / "kept", origin)

    training("model").run(silent)
    assert training("model").log.steps == 4
    before = [part.clone() for part in adapter.network.learnt().values()]
    assert training("model, trained further").log.steps == 0
    assert torch.load(tmp_path / "kept.old", weights_only=True)["origin"] == "model"
    assert "Renamed it to kept.old" in caplog.text
    assert all(map(torch.equal, before, adapter.network.learnt().values()))


def test_saved_state_contains_no_code(adapter: Adapter, tmp_path: Path) -> None:
    Training(adapter, Schedule(9.0, steps=2), tmp_path / "kept").run(silent)
    state = torch.load(tmp_path / "kept", weights_only=True)
    assert set(state) == {"learnt", "optimizers", "log", "origin"}
    assert b"frame" not in (tmp_path / "kept").read_bytes()


NAN, INFINITE = float("nan"), float("inf")
ODD = {
    "no number": lambda loss: loss * NAN,
    "infinite": lambda loss: loss * INFINITE,
    "a number without a slope": lambda loss: loss + (loss * 0).sqrt(),
}


@pytest.mark.parametrize("odd", ODD)
def test_infinite_loss_stops_the_training_and_keeps_the_last_save(
    odd: str, adapter: Adapter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, loss = tmp_path / "kept", adapter.loss
    Training(adapter, Schedule(1e6, 1e-2, steps=2), kept).run(silent)
    saved = kept.read_bytes()
    training = Training(adapter, Schedule(1e6, 1e-2, steps=9), kept)
    monkeypatch.setattr(adapter, "loss", lambda tree: ODD[odd](loss(tree)))
    with pytest.raises(TurbopilotError, match=r"stopped in step 3: .* lower --rate than 0\.01: .* --fresh"):
        training.run(silent)
    assert kept.read_bytes() == saved
    assert all(part.isfinite().all() for part in adapter.network.learnt().values())


def test_infinite_weights_are_not_saved(adapter: Adapter, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    training = Training(adapter, Schedule(1e6, 1e-2, steps=1), kept)

    def spoil(_log: Log, _done: float) -> None:
        with torch.no_grad():
            next(iter(training.learnt.values())).fill_(NAN)

    with pytest.raises(TurbopilotError, match=r"stopped in step 1: .* lower --rate"):
        training.run(spoil)
    assert not kept.exists()


def test_full_disk_is_reported_and_keeps_the_last_save(adapter: Adapter, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    Training(adapter, Schedule(1e6, steps=1), kept).run(silent)
    saved = kept.read_bytes()
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    training = Training(adapter, Schedule(1e6, steps=1), kept)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(saved) // 2, limits[1]))
    try:
        with pytest.raises(TurbopilotError, match=r"kept could not be written: the disk may be full\."):
            training.run(silent)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert kept.read_bytes() == saved


def test_training_refuses_a_file_of_another_training(
    adapter: Adapter, tiny_model: Path, course: Course, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    Training(adapter, Schedule(9.0, steps=1), kept).run(silent)
    other = adapter_of(tiny_model, course, 4)
    for content in (kept.read_bytes(), kept.read_bytes()[:1000], b"nothing"):
        kept.write_bytes(content)
        with pytest.raises(TurbopilotError, match="Start again with --fresh"):
            Training(other, Schedule(9.0), kept)
