import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from traitlets.config import Config

from jupyter_turbopilot.completer.cache.completion_cache import CacheKey
from jupyter_turbopilot.engine import successor
from jupyter_turbopilot.engine.load.plan import LoadPlan
from jupyter_turbopilot.jupyter.describe import describe_health, describe_models
from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
from jupyter_turbopilot.models.catalog import catalog
from jupyter_turbopilot.models.folder import COPIES, CheckpointNote, checkpoint_path, write_checkpoint_note
from jupyter_turbopilot.models.model import Model
from jupyter_turbopilot.models.tuning.adapters import AdapterSpec
from jupyter_turbopilot.protocol.engine_request import Token
from jupyter_turbopilot.protocol.errors import (
    BadRequestError,
    DisabledError,
    EngineError,
    NotReadyError,
    UnknownModelError,
)
from jupyter_turbopilot.protocol.phase import Phase
from jupyter_turbopilot.settings.config import Turbopilot

from ...engine.jobs import generation, nothing_but_one
from ...engine.llama.children import play
from ...index.folders import until
from ...scripted_engine import ScriptedEngine, pilot_with
from ...tiny_adapter import make

Make = Callable[..., tuple[Pilot, list[tuple[Path, LoadPlan]]]]


@pytest.fixture
def make_pilot(tiny_model: Path) -> Iterator[Make]:
    """A pilot whose engine only records the loaded file."""
    made: list[Pilot] = []

    def build(*adapters: str, **settings: Any) -> tuple[Pilot, list[tuple[Path, LoadPlan]]]:
        loaded: list[tuple[Path, LoadPlan]] = []

        def engine(path: Path, _: Model, plan: LoadPlan, __: Path | None) -> ScriptedEngine:
            loaded.append((path, plan))
            engine = ScriptedEngine()
            engine.identity = f"{path}|{plan.hardware.stamp}"
            return engine

        chosen = Turbopilot(**{"model": str(tiny_model), "adapters": list(adapters)} | settings)
        made.append(pilot_with(chosen, engine))
        return made[-1], loaded

    yield build
    for pilot in made:
        pilot.stop()


def load(pilot: Pilot, **more: Any) -> None:
    pilot.select(pilot.selected, **more)
    until(lambda: pilot.worker.state.phase is not Phase.LOADING)


def test_weights_applies_adapters_at_run_time_without_a_copy(
    make_pilot: Make, tmp_path: Path, tiny_model: Path
) -> None:
    adapter = str(make(tmp_path / "a.gguf"))
    pilot, loaded = make_pilot(adapter)
    pilot.store.folder.mkdir(parents=True)
    (pilot.store.folder / COPIES).write_text("in the way")
    load(pilot)
    assert pilot.worker.state.ready
    assert loaded[0][0] == tiny_model
    assert loaded[0][1].hardware.adapters == (AdapterSpec(adapter),)


def test_select_switches_adapters_off_and_on(make_pilot: Make, tmp_path: Path, tiny_model: Path) -> None:
    pilot, loaded = make_pilot(str(make(tmp_path / "a.gguf")))
    place = CacheKey("anything", "x = ")
    for adapters_enabled, answered in ((True, False), (False, False), (None, True), (True, True)):
        pilot.completer.results.remember(place, [Token(b"y", 1.0)], ended=True)
        load(pilot, adapters_enabled=adapters_enabled)
        # Completions of the other engine are not used; None: the engine is the same.
        assert bool(pilot.completer.results.find(place)) == answered
    assert [path == tiny_model for path, _ in loaded] == [False, True, True, False]
    (shown,) = (model for model in describe_models(pilot) if model["name"] == "tiny.gguf")
    assert shown["adapters"] == [{"name": "a", "bundled": False}]
    assert shown["adapters_enabled"] is True


def test_select_keeps_the_loaded_model_if_tuning_fails(make_pilot: Make, tmp_path: Path) -> None:
    adapter = make(tmp_path / "a.gguf")
    pilot, loaded = make_pilot(str(adapter))
    load(pilot, adapters_enabled=False)
    adapter.write_bytes(b"no adapter at all, but long enough to be looked at as one")
    pilot.kind.engine_factory = lambda *_: 1 / 0  # type: ignore[assignment, return-value]
    load(pilot, adapters_enabled=True)
    assert pilot.adapters_enabled is False
    assert pilot.worker.state.ready
    assert len(loaded) == 1


@pytest.fixture
def make_beside(make_pilot: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A pilot that has loaded a model without waiting for its copy."""
    monkeypatch.setattr(successor, "IDLE", 0.05)
    monkeypatch.setattr(successor, "PAUSE", 0.05)

    def build(**settings: Any) -> tuple[Pilot, list[tuple[Path, LoadPlan]]]:
        adapter = make(tmp_path / "a.gguf")
        pilot, loaded = make_pilot(str(adapter), **settings)
        pilot.kind.waits_for_copy = False
        return pilot, loaded

    return build


def listed(pilot: Pilot) -> dict[str, Any]:
    return next(model for model in describe_models(pilot) if model["name"] == "tiny.gguf")


def test_pilot_replaces_the_file_by_its_copy_while_idle(make_beside: Make, tiny_model: Path) -> None:
    pilot, loaded = make_beside()
    load(pilot)
    assert pilot.worker.state.ready
    assert listed(pilot)["copying"]
    engine = pilot.worker.engine
    until(lambda: pilot.worker.engine is not engine and not pilot.copying)
    first = loaded[0][1].hardware.adapters
    assert [path == tiny_model for path, _ in loaded] == [True, False]
    assert (len(first), loaded[1][1].hardware.adapters) == (1, ())
    assert not listed(pilot)["copying"]
    place = CacheKey("anything", "x = ")
    pilot.completer.results.remember(place, [Token(b"y", 1.0)], ended=True)
    load(pilot)  # of the copy
    assert len(loaded) == 3
    assert loaded[2][0] == loaded[1][0]
    assert pilot.completer.results.find(place)  # the same engine
    assert not pilot.copying


def test_pilot_replaces_no_engine_while_a_kernel_is_busy(
    make_beside: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    pilot, loaded = make_beside()
    busy, asked = True, []

    def resting() -> bool:
        asked.append(1)
        return busy

    monkeypatch.setattr(pilot.effort, "resting", resting)
    load(pilot)
    until(lambda: len(asked) >= 3)
    assert len(loaded) == 1
    busy = False
    until(lambda: len(loaded) == 2)


@pytest.mark.parametrize("chosen", ["other", "tuning off"])
def test_pilot_forgets_the_copy_of_a_model_that_is_not_selected_any_more(
    make_beside: Make, tiny_model: Path, tmp_path: Path, chosen: str
) -> None:
    pilot, loaded = make_beside()
    held, go = threading.Event(), threading.Event()
    prepare = pilot.kind.prepare_copy

    def slowly(*given: Any) -> Any:
        made = prepare(*given)
        held.set()
        go.wait(30)
        return made

    pilot.kind.prepare_copy = slowly  # type: ignore[method-assign]
    load(pilot)
    assert held.wait(60)
    if chosen == "other":
        other = tmp_path / "other.gguf"
        other.write_bytes(tiny_model.read_bytes())
        pilot.settings.adapters = []
        pilot.select(str(other))
    else:
        pilot.select(pilot.selected, adapters_enabled=False)
    until(lambda: len(loaded) == 2 and pilot.worker.state.phase is Phase.READY)
    engine = pilot.worker.engine
    go.set()
    until(lambda: not any(thread.name == "turbopilot-copy" for thread in threading.enumerate()))
    time.sleep(0.3)  # longer than the replacement would wait
    assert pilot.worker.engine is engine
    assert len(loaded) == 2


@pytest.mark.skipif(os.name != "posix", reason="a shell script replaces the child process")
@pytest.mark.parametrize("how", ["stop", "select"])
def test_pilot_ends_the_copying_process(
    make_beside: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    pilot, _ = make_beside()
    begun = tmp_path / "begun"
    play(tmp_path, monkeypatch, f"echo $$ > {begun}; exec sleep 600")
    load(pilot)
    until(lambda: begun.exists() and begun.read_text().strip())
    process = psutil.Process(int(begun.read_text()))
    assert process.nice() == 19
    if how == "stop":
        pilot.stop()
    else:
        pilot.select(pilot.selected, adapters_enabled=False)
    until(lambda: not process.is_running())


def wait_for(pilot: Pilot, phase: Phase) -> None:
    until(lambda: pilot.worker.state.phase is phase)


def polled(pilot: Pilot) -> dict[str, Any]:
    """Return the state of the server, like `GET health`."""
    pilot.retry()
    return describe_health(pilot)


def settled(pilot: Pilot) -> dict[str, Any]:
    """Poll like an editor until loading has ended."""
    for _ in range(3000):
        health = polled(pilot)
        if health["phase"] != "loading":
            return health
        time.sleep(0.01)
    raise AssertionError(health)


class Clock:
    """Advances the clock of the retry logic."""

    def __init__(self, pilot: Pilot) -> None:
        self.now = 1000.0
        pilot._recovery._clock = lambda: self.now

    def after(self, seconds: float) -> None:
        self.now += seconds


def failing(pilot: Pilot, *failures: Exception) -> list[int]:
    """Make the next loads fail; the list grows with each attempt."""
    left, tries, real = list(failures), [], pilot.kind.engine_factory

    def engine(*given: Any) -> Any:
        tries.append(1)
        if left:
            raise left.pop(0)
        return real(*given)

    pilot.kind.engine_factory = engine
    return tries


@pytest.mark.parametrize("failure", [EngineError("x"), MemoryError(), OSError(5, "x"), ZeroDivisionError()])
def test_retry_repeats_a_failed_wake_up(make_pilot: Make, failure: Exception) -> None:
    pilot, _ = make_pilot()
    clock = Clock(pilot)
    pilot.worker._idle = 0.01
    load(pilot)
    wait_for(pilot, Phase.UNLOADED)
    pilot.worker._idle = None
    tries = failing(pilot, failure, failure)
    pilot.worker.submit(generation(nothing_but_one, lambda _: None))
    wait_for(pilot, Phase.FAILED)
    clock.after(0.1)
    assert settled(pilot)["phase"] == "failed"
    assert len(tries) == 1
    clock.after(2.5)
    polled(pilot)
    assert not settled(pilot)["ready"]
    assert len(tries) == 2
    clock.after(2.5)  # the delay doubles
    assert not settled(pilot)["ready"]
    clock.after(2.5)
    polled(pilot)
    assert settled(pilot)["ready"]


def test_retry_loads_once_memory_is_free(make_pilot: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    pilot, loaded = make_pilot()
    clock = Clock(pilot)
    monkeypatch.setattr("jupyter_turbopilot.engine.load.machine.free_memory", lambda: 1000)
    load(pilot)
    assert polled(pilot)["code"] == "memory"
    monkeypatch.undo()
    clock.after(3)
    polled(pilot)
    assert settled(pilot)["ready"]
    assert len(loaded) == 1


def test_retry_waits_for_a_refused_file_to_change(make_pilot: Make, tiny_model: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"
    own.write_bytes(tiny_model.read_bytes()[:1000])
    pilot, _ = make_pilot(model=str(own))
    clock = Clock(pilot)
    load(pilot)
    refused = pilot.worker.state
    assert refused.code == "model_refused"
    for _ in range(5):
        clock.after(3600)
        polled(pilot)
        pilot.ensure()
    assert pilot.worker.state is refused
    own.write_bytes(tiny_model.read_bytes())
    clock.after(1)
    pilot.ensure()
    assert settled(pilot)["ready"]


def test_select_keeps_the_later_of_two_choices(make_pilot: Make, tmp_path: Path, tiny_model: Path) -> None:
    pilot, loaded = make_pilot(str(make(tmp_path / "a.gguf")))
    load(pilot, adapters_enabled=False)
    entered, gate = threading.Event(), threading.Event()
    real = pilot.kind.engine_factory

    def slow(path: Path, model: Model, plan: LoadPlan, state: Path | None) -> Any:
        entered.set()
        gate.wait(30)
        if path != tiny_model and len(loaded) == 1:
            loaded.append((path, plan))
            raise NotReadyError("superseded")
        return real(path, model, plan, state)

    pilot.kind.engine_factory = slow
    pilot.select(pilot.selected, adapters_enabled=True)
    assert entered.wait(30)
    pilot.select(pilot.selected)  # adapters stay as selected before
    gate.set()
    assert settled(pilot)["ready"]
    assert pilot.adapters_enabled is True
    assert loaded[-1][0] != tiny_model


def test_remove_refuses_a_used_model_under_another_name(
    make_pilot: Make, tiny_model: Path, models_folder: Path
) -> None:
    pilot, _ = make_pilot()
    stored = models_folder / catalog()["smollm2-360m"].file
    stored.write_bytes(tiny_model.read_bytes())
    pilot.select(str(stored))
    assert settled(pilot)["ready"]
    with pytest.raises(BadRequestError, match="in use"):
        pilot.remove("smollm2-360m")
    assert stored.exists()


@pytest.fixture
def transformers(models_folder: Path) -> Iterator[Pilot]:
    pilot = Pilot(Turbopilot(engine="transformers", model="owner/used"))
    pilot.kind.load = lambda *_, **__: ScriptedEngine()  # type: ignore[method-assign,assignment]
    for repository in ("owner/used", "Salesforce/codegen-350M-mono"):
        folder = checkpoint_path(models_folder, repository)
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        write_checkpoint_note(folder, CheckpointNote(repository, ("config.json",), complete=True))
    yield pilot
    pilot.stop()


def test_remove_deletes_the_checkpoint_and_no_file_of_that_name(
    transformers: Pilot, models_folder: Path
) -> None:
    file = models_folder / catalog()["codegen-350m-mono"].file
    file.write_bytes(b"another engine's")
    assert transformers.remove("codegen-350m-mono") > 0
    assert transformers.remove("codegen-350m-mono") == 0
    assert file.exists()
    assert not checkpoint_path(models_folder, "Salesforce/codegen-350M-mono").exists()


def test_remove_refuses_only_the_used_checkpoint(transformers: Pilot, models_folder: Path) -> None:
    transformers.start()
    assert settled(transformers)["ready"]
    with pytest.raises(BadRequestError, match="in use"):
        transformers.remove("owner/used")
    (models_folder / "config.json").write_text("{}")
    with pytest.raises(UnknownModelError, match="your own"):
        transformers.remove(str(models_folder))
    assert transformers.remove("codegen-350m-mono") > 0
    assert checkpoint_path(models_folder, "owner/used").exists()


def test_remove_refuses_a_remote_model(models_folder: Path) -> None:
    pilot = Pilot(Turbopilot(engine="remote", config=Config(TurbopilotRemote={"model": "far"})))
    pilot.kind.load = lambda *_, **__: ScriptedEngine()  # type: ignore[method-assign,assignment]
    pilot.start()
    assert settled(pilot)["ready"]
    with pytest.raises(BadRequestError, match=r"far is on a remote server"):
        pilot.remove("far")
    pilot.stop()


def test_pilot_restores_completions_from_the_file(make_pilot: Make, tmp_path: Path) -> None:
    place = CacheKey("anything", "x = ", persistent=True)
    named: dict[str, Any] = {"cache_file": str(tmp_path / "answers.db")}
    for more, restored, known in (
        ({}, False, False),
        ({}, True, True),
        ({"prompt_tokens": 99}, True, False),
    ):
        pilot, _ = make_pilot(**named | more)
        load(pilot)
        results = pilot.completer.results
        until(lambda results=results, restored=restored: not restored or results.size)
        assert (results.find(place) is not None) == known
        results.remember(place, [Token(b"y", 1.0)], ended=True)
        pilot.stop()


def test_remove_of_a_failed_model_leaves_the_reason_that_it_is_missing(
    models_folder: Path,
) -> None:
    pilot = Pilot(Turbopilot(model="smollm2-135m"))
    file = models_folder / catalog()["smollm2-135m"].file
    file.write_bytes(b"GGUF")
    pilot.start()
    assert pilot.worker.state.code == "model_damaged"
    assert pilot.remove("smollm2-135m")
    assert pilot.worker.state.code == "model_missing"
    assert "models pull --mirrors smollm2-135m" in pilot.worker.state.reason
    pilot.stop()


@pytest.mark.parametrize("where", ["setting", "environment"])
def test_pilot_that_is_switched_off_loads_nothing(
    where: str, make_pilot: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    if where == "environment":
        monkeypatch.setenv("TURBOPILOT_ENABLED", "0")
    pilot, loaded = make_pilot(enabled=where != "setting")
    pilot.start()
    pilot.ensure()
    for refused in (pilot.select, pilot.download):
        with pytest.raises(DisabledError):
            refused(pilot.selected)
    health = polled(pilot)
    assert (health["ready"], health["code"]) == (False, "disabled")
    assert health["reason"] == "Turbopilot is switched off by your administrator."
    assert loaded == []
