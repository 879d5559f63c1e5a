import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from traitlets.config import Config

from jupyter_turbopilot.engine.base import Capabilities, Speed
from jupyter_turbopilot.engine.lifecycle import EngineState
from jupyter_turbopilot.engine.llama import bindings
from jupyter_turbopilot.jupyter.describe import describe_health, describe_models
from jupyter_turbopilot.jupyter.pilot.pilot import Pilot, Selection
from jupyter_turbopilot.models.catalog import catalog
from jupyter_turbopilot.protocol.errors import EngineMissingError
from jupyter_turbopilot.protocol.phase import Phase
from jupyter_turbopilot.settings.access import PATHLESS_WARNING
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.util import registry

from ..index.folders import until
from ..scripted_engine import ScriptedEngine, pilot_with


@pytest.fixture
def pilot(tiny_model: Path) -> Iterator[Pilot]:
    pilot = pilot_with(Turbopilot(model=str(tiny_model)), lambda *_: ScriptedEngine())
    yield pilot
    pilot.stop()


@pytest.mark.parametrize(
    ("state", "status", "ready", "reason", "notice"),
    [
        (EngineState(Phase.LOADING, "m"), "loading model", False, "The server is loading m.", None),
        (EngineState(Phase.READY, "m"), "ok", True, None, None),
        (EngineState(Phase.READY, "m", "Too large.", "memory"), "ok", True, None, "Too large."),
        (EngineState(Phase.UNLOADED, "m"), "ok", True, None, None),
        (EngineState(Phase.STOPPED, "m", "It stops."), "error", False, "It stops.", None),
    ],
)
def test_health_reports_readiness_and_the_reason(
    pilot: Pilot, state: EngineState, status: str, ready: bool, reason: str | None, notice: str | None
) -> None:
    pilot.worker._life.state = state
    assert json.loads(json.dumps(describe_health(pilot))) == {
        "status": status,
        "live": True,
        "ready": ready,
        "phase": state.phase.value,
        "code": state.code or None,
        "model": "m",
        "reason": reason,
        "command": None,
        "address": None,
        "notice": notice,
        "busy": False,
        "slow": None,
        "last_ms": None,
        "fixes": True,
        "notebook_index": None,
        "week": None,
        "usage_log": None,
    }


def test_health_reports_that_fixes_are_switched_off(pilot: Pilot) -> None:
    pilot.settings.suggest_fixes = False
    assert describe_health(pilot)["fixes"] is False


def test_health_names_the_model_that_fits_a_slow_machine(pilot: Pilot) -> None:
    engine = ScriptedEngine()
    pilot.worker._loop.engine = engine
    engine.speed = Speed(300.0, 30.0)
    pilot.worker._life.state = EngineState(Phase.READY, "qwen2.5-coder-0.5b")
    assert describe_health(pilot, own=True)["slow"] is None
    engine.speed = Speed(30.0, 6.0)
    assert describe_health(pilot)["slow"] is None
    slow = describe_health(pilot, own=True)["slow"]
    assert slow.startswith("This machine is slow, or other programs use the processor. ")
    pilot.worker._life.state = EngineState(Phase.READY, "qwen2.5-coder-1.5b")
    engine.speed = Speed(30.0, 7.0)
    assert "qwen2.5-coder-0.5b fits it better" in describe_health(pilot, own=True)["slow"]
    pilot.worker._life.state = EngineState(Phase.READY, "qwen2.5-coder-0.5b")
    for speed in (Speed(30.0, 38.0), Speed(30.0)):  # it is in time, or unknown
        engine.speed = speed
        assert describe_health(pilot, own=True)["slow"] is None
    engine.speed = Speed(30.0, 20.0)
    assert (
        "qwen2.5-coder-0.5b is the measured model that fits it best"
        in describe_health(pilot, own=True)["slow"]
    )
    pilot.worker._life.state = EngineState(Phase.READY, "other.gguf")
    assert "models list" in describe_health(pilot, own=True)["slow"]


def test_health_names_the_command_that_installs_the_engine(
    pilot: Pilot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pilot, "retry", lambda: None)  # otherwise it loads the tiny model
    pilot.worker.set_error("m", EngineMissingError("Engine missing.", "pip install it"))
    health = describe_health(pilot)
    assert health["reason"] == "Engine missing. Run: pip install it"
    assert health["command"] == "pip install it"


def test_health_names_the_remote_host_and_missing_logprobs(
    pilot: Pilot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(pilot.kind), "address", "gpu.example.org")
    engine = ScriptedEngine()
    pilot.worker._loop.engine, pilot.worker._life.state = engine, EngineState(Phase.READY, "m")
    assert describe_health(pilot)["address"] == "gpu.example.org"
    assert describe_health(pilot)["notice"] is None
    engine.capabilities = Capabilities(logprobs=False)
    assert "only on explicit request" in describe_health(pilot)["notice"]
    pilot.settings.eagerness = "always"
    assert describe_health(pilot)["notice"] is None


def test_health_reports_to_administrators_that_paths_are_required(tiny_model: Path) -> None:
    settings = Turbopilot(model=str(tiny_model), denied_paths=["exams/**"])
    pilot = pilot_with(settings, lambda *_: ScriptedEngine())
    pilot.worker._life.state = EngineState(Phase.READY, "m")
    assert describe_health(pilot)["notice"] is None
    assert describe_health(pilot, for_admin=True)["notice"] == PATHLESS_WARNING
    pilot.stop()


def test_models_have_an_assessment_and_the_selected_file_is_last(
    pilot: Pilot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bindings, "gpus", lambda: [bindings.Gpu("NVIDIA")])
    pilot.start()
    until(lambda: pilot.worker.state.ready)
    pilot.worker._life.state = EngineState(Phase.READY, "tiny.gguf")
    listed = json.loads(json.dumps(describe_models(pilot)))
    assert [model["name"] for model in listed] == [*catalog(), "tiny.gguf"]
    assert all(model["verdict"] for model in listed[:-1])
    assert "verdict" not in listed[-1]
    assert listed[-1]["stored"]
    assert [model["name"] for model in listed if "NVIDIA" in model["gpu_offer"]] == ["tiny.gguf"]
    for model in listed:
        known = catalog().get(model["name"])
        if known and known.engine != "llama":
            assert model["verdict"] == f"with {known.engine}"
        elif known:
            assert model["tokens_per_second"] > 0


MEASURED = "qwen2.5-coder-0.5b"


@pytest.mark.parametrize(
    ("settings", "as_measured"),
    [
        ({}, True),
        ({"adapters": []}, False),
        ({"adapters": ["default=0.5"]}, False),
        ({"adapters": ["default", "~/house.gguf"]}, False),
        ({"adapters": ["default", "~/house.gguf=-1"]}, False),
        ({"model": "smollm2-135m", "adapters": ["default", "~/house.gguf"]}, True),
    ],
)
@pytest.mark.usefixtures("models_folder")
def test_measured_saving_requires_the_measured_configuration(
    settings: dict[str, Any], as_measured: bool
) -> None:
    pilot = Pilot(Turbopilot(**settings))
    try:
        assert (saved_of(pilot)[MEASURED] is not None) is as_measured
        pilot._wanted = Selection(pilot.selected, adapters_enabled=False)
        untuned = saved_of(pilot)
        assert untuned[MEASURED] is None
        assert untuned["smollm2-135m"]  # it has no shipped adapter
    finally:
        pilot.stop()


@pytest.mark.usefixtures("models_folder")
def test_other_engines_have_no_measured_saving(tmp_path: Path) -> None:
    folder = tmp_path / "smollm2-135m"
    folder.mkdir()
    remote = Turbopilot(engine="remote", config=Config(TurbopilotRemote={"model": MEASURED}))
    for settings, name in (
        (remote, MEASURED),
        (Turbopilot(engine="transformers", model=str(folder)), folder.name),
    ):
        pilot = Pilot(settings)
        try:
            found = [model for model in describe_models(pilot) if model["name"] == name]
            assert [model["saved"] for model in found] == [None] * len(found)
            assert found
        finally:
            pilot.stop()


def saved_of(pilot: Pilot) -> dict[str, float | None]:
    return {model["name"]: model["saved"] for model in describe_models(pilot)}


def test_health_describes_the_usage_log_to_logged_users(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "registered", dict)  # without the package that writes it
    settings = Turbopilot(model=str(tiny_model), usage_log=str(tmp_path / "study.jsonl"))
    pilot = pilot_with(settings, lambda *_: ScriptedEngine())
    pilot.completer.listeners.load(settings, "server")
    try:
        known = describe_health(pilot, own=True, logged=True)["usage_log"]
        assert (known["text"], known["file"]) == (False, str(tmp_path / "study.jsonl"))
        assert 'pip install "turbopilot-research==' in known["error"]
        assert describe_health(pilot, logged=True)["usage_log"] == known | {"file": None}
        assert describe_health(pilot)["usage_log"] is None
    finally:
        pilot.stop()


def test_describe_models_offers_only_what_is_permitted(models_folder: Path) -> None:
    (models_folder / "own.gguf").write_bytes(b"GGUF")
    for mirrors in (False, True):
        pilot = Pilot(Turbopilot(mirrors=mirrors))
        try:
            models = {model["name"]: model for model in describe_models(pilot)}
        finally:
            pilot.stop()
        assert models["smollm2-135m"]["mirror_only"] is not mirrors
        assert not models[MEASURED]["mirror_only"]
        assert not models["own.gguf"]["removable"]
        assert models["smollm2-135m"]["removable"]
