from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.engine.machine import Plan
from jupyter_turbopilot.models import fold
from jupyter_turbopilot.models.adapters import Adapter
from jupyter_turbopilot.models.catalog import Model
from jupyter_turbopilot.pilot import Pilot

from .scripted_engine import ScriptedEngine
from .tiny_adapter import make

Make = Callable[..., tuple[Pilot, list[tuple[Path, Plan]]]]


@pytest.fixture
def make_pilot(tiny_model: Path) -> Iterator[Make]:
    """A pilot whose engine only notes what it was loaded from."""
    made: list[Pilot] = []

    def build(*adapters: str, **settings: Any) -> tuple[Pilot, list[tuple[Path, Plan]]]:
        loaded: list[tuple[Path, Plan]] = []

        def engine(path: Path, _: Model, plan: Plan, __: Path | None) -> ScriptedEngine:
            loaded.append((path, plan))
            return ScriptedEngine()

        chosen = Turbopilot(model=str(tiny_model), adapters=list(adapters), **settings)
        made.append(Pilot(chosen, engine))
        return made[-1], loaded

    yield build
    for pilot in made:
        pilot.stop()


def load(pilot: Pilot, **more: Any) -> None:
    pilot.select(pilot.selected, **more)
    for _ in range(500):
        if pilot.worker.state.phase != "loading":
            return
        time.sleep(0.01)
    raise AssertionError(pilot.health())


def test_adapters_are_in_a_copy_of_the_model(make_pilot: Make, tmp_path: Path, tiny_model: Path) -> None:
    pilot, loaded = make_pilot(str(make(tmp_path / "a.gguf")))
    load(pilot)
    ((path, plan),) = loaded
    assert path.parent == pilot.store.folder / fold.COPIES
    assert path.stem.startswith("tiny-")
    assert plan.hardware.adapters == ()


def test_those_for_one_language_stay_beside_it(make_pilot: Make, tmp_path: Path, tiny_model: Path) -> None:
    adapter = str(make(tmp_path / "a.gguf"))
    pilot, loaded = make_pilot(f"{adapter}@r")
    load(pilot)
    assert loaded[0][0] == tiny_model
    assert loaded[0][1].hardware.adapters == (Adapter(adapter, 1.0, "r"),)


@pytest.mark.parametrize("why", ["off", "no room"])
def test_without_a_copy_they_are_used_beside_the_model(
    why: str, make_pilot: Make, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = str(make(tmp_path / "a.gguf"))
    pilot, loaded = make_pilot(adapter, fold_adapters=why != "off")
    if why == "no room":
        pilot.store.folder.mkdir(parents=True)
        (pilot.store.folder / fold.COPIES).write_text("in the way")
    load(pilot)
    assert pilot.worker.state.ready
    assert loaded[0][0] == tiny_model
    assert loaded[0][1].hardware.adapters == (Adapter(adapter),)


def test_a_model_can_be_used_as_published_and_tuned_again(
    make_pilot: Make, tmp_path: Path, tiny_model: Path
) -> None:
    pilot, loaded = make_pilot(str(make(tmp_path / "a.gguf")))
    for tuned in (True, False, None, True):
        results = pilot.completer._results
        load(pilot, tuned=tuned)
        assert pilot.completer._results is not results  # what the other one answered is forgotten
    assert [path == tiny_model for path, _ in loaded] == [False, True, True, False]
    (shown,) = (model for model in pilot.models() if model["name"] == "tiny.gguf")
    assert shown["adapters"] == [{"name": "a", "language": "", "ours": False}]
    assert shown["tuned"] is True


def test_what_does_not_load_tuned_goes_on_as_it_was(make_pilot: Make, tmp_path: Path) -> None:
    adapter = make(tmp_path / "a.gguf")
    pilot, loaded = make_pilot(str(adapter))
    load(pilot, tuned=False)
    adapter.write_bytes(b"no adapter at all, but long enough to be looked at as one")
    pilot._engine_factory = lambda *_: 1 / 0  # type: ignore[assignment, return-value]
    load(pilot, tuned=True)
    assert pilot.tuned is False
    assert pilot.worker.state.ready
    assert len(loaded) == 1
