import json
import re
import time
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from jupyter_turbopilot.completer.statistics import Counts, Week
from jupyter_turbopilot.engine.llama.kind import LlamaKind
from jupyter_turbopilot.index.paths import folder
from jupyter_turbopilot.jupyter.routes import table
from jupyter_turbopilot.models.user_cache import STATISTICS
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.terminal.commands import doctor
from jupyter_turbopilot.util import registry

from ...index.notebooks import write
from ...plugins.remote.fake_server import FakeServer, completion
from .running import run


def test_doctor_reports_problems_with_remedies(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "doctor")
    assert status == 1
    assert "✗ model" in out
    assert "models pull" in out
    problems = out.count("✗")
    assert out.endswith(f"{problems} problem{'s' * (problems > 1)} found.\n")


def test_doctor_names_the_command_for_unsupported_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"jupyterlab": "4.3.9", "jupyter-server": "99.0"}
    monkeypatch.setattr(doctor, "version", lambda name: versions.get(name, "9.9"))
    found = {finding.name: finding for finding in islice(doctor.examine(Turbopilot()), 5)}
    assert found["jupyterlab"].problem
    command = 'Run: python -m pip install "jupyterlab<5,>=4.4"'
    assert found["jupyterlab"].text == f"4.3.9 is not supported. {command}"
    assert not any(found[name].problem for name in ("jupyter-turbopilot", "jupyter-server", "ipython"))


def test_doctor_reports_denied_paths_and_measures_the_speed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], own: str
) -> None:
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    (tmp_path / "jupyter_turbopilot_config.json").write_text(
        '{"Turbopilot": {"denied_paths": ["exams/**", "tests"]}}'
    )
    out = run(capsys, "doctor", "-m", own)[1]
    assert "✓ access       Turbopilot is switched off in exams/**, tests" in out
    assert re.search(r". speed +prompt evaluation \d+ tokens/s", out)


class OtherKind(LlamaKind):
    """An engine of another distribution."""


@pytest.fixture
def _other_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = registry.Entry("other", f"{__name__}:OtherKind")
    monkeypatch.setattr(registry, "registered", lambda: {"engines": [entry]})


@pytest.mark.usefixtures("_other_engine")
def test_doctor_advises_on_the_speed_of_a_plugins_engine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], own: str
) -> None:
    monkeypatch.setattr(doctor, "rates_of", lambda *_, **__: None)
    monkeypatch.setattr("psutil.getloadavg", lambda: (0.0, 0.0, 0.0))
    assert "Try again, and close busy programs." in run(capsys, "doctor", "-m", own, "--engine", "other")[1]


@pytest.mark.parametrize(
    ("rates", "mark", "text"),
    [
        ((30.0, 6.0), "✗", "This is slow: close busy programs, or use a smaller model."),
        ((30.0, 20.0), "✓", "the first suggestions in a long notebook use only the nearest cells."),
    ],
)
def test_doctor_names_the_model_that_fits_a_slow_machine(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    own: str,
    rates: tuple[float, float],
    mark: str,
    text: str,
) -> None:
    monkeypatch.setattr(doctor, "rates_of", lambda *_, **__: rates)
    monkeypatch.setattr("psutil.getloadavg", lambda: (0.0, 0.0, 0.0))
    out = run(capsys, "doctor", "-m", own)[1]
    (line,) = (line for line in out.splitlines() if " speed " in line)
    assert line.startswith(mark)
    assert text in line
    assert "jupyter turbopilot models list" in line


@pytest.mark.parametrize(
    ("settings", "finding"),
    [
        ({"enabled": False}, "✗ access       Turbopilot is switched off by your administrator."),
        ({"denied_paths": ["**"]}, "✗ access       c.Turbopilot.denied_paths has the pattern '**'"),
    ],
)
def test_doctor_examines_no_engine_while_turbopilot_is_switched_off(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    settings: dict[str, object],
    finding: str,
) -> None:
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    (tmp_path / "jupyter_turbopilot_config.json").write_text(json.dumps({"Turbopilot": settings}))
    out = run(capsys, "doctor")[1]
    assert finding in out
    assert " model " not in out
    assert " speed " not in out


def test_doctor_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "doctor", "--json")
    findings = {finding["name"]: finding for finding in json.loads(out)}
    assert status == 1
    assert findings["model"]["problem"]
    assert "models pull" in findings["model"]["text"]
    assert not findings["system"]["problem"]


def test_doctor_reports_this_weeks_statistics(
    capsys: pytest.CaptureFixture[str], own: str, own_folder: Path
) -> None:
    week = Week().plus(Counts(shown=40, accepted=30), time.time())
    own_folder.mkdir(parents=True, exist_ok=True)
    (own_folder / STATISTICS).write_bytes(msgspec.json.encode(week))
    assert "statistics   30 of 40 suggestions accepted this week" in run(capsys, "doctor", "-m", own)[1]


def test_doctor_reports_a_missing_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    assert "✓ graphics     no GPU is used" in run(capsys, "doctor")[1]
    (tmp_path / "jupyter_turbopilot_config.json").write_text('{"Turbopilot": {"gpu_layers": -1}}')
    assert (
        "✗ graphics     gpu_layers is set, but this engine was built without GPU support"
        in run(capsys, "doctor")[1]
    )


def test_doctor_examines_adapters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], own: str
) -> None:
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    message = json.dumps({"Turbopilot": {"adapters": [own, str(tmp_path / "none.gguf")]}})
    (tmp_path / "jupyter_turbopilot_config.json").write_text(message)
    out = run(capsys, "doctor")[1]
    assert "tiny.gguf is not a LoRA adapter" in out
    assert "There is no file none.gguf" in out


def test_doctor_names_the_host_of_a_remote_server(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = FakeServer(completion("a"))
    try:
        monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
        remote = {"url": peer.url, "vocabulary": "none"}
        message = json.dumps({"Turbopilot": {"engine": "remote"}, "TurbopilotRemote": remote})
        (tmp_path / "jupyter_turbopilot_config.json").write_text(message)
        out = run(capsys, "doctor")[1]
    finally:
        peer.stop()
    assert f"code is sent to 127.0.0.1:{peer.port}" in out


def test_doctor_reports_the_notebook_index_and_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert f"✓ index        no notebook index yet in {folder()}" in run(capsys, "doctor")[1]
    write(tmp_path / "work", "a.ipynb", "x_one = 1")
    run(capsys, "index", "rebuild", str(tmp_path / "work"))
    assert f"1 index in {folder()}, 0." in run(capsys, "doctor")[1]
    with monkeypatch.context() as patch:
        patch.setattr(doctor, "is_writable", lambda path: path != folder())
        assert f"✗ index        {folder()} is not writable" in run(capsys, "doctor")[1]
    with monkeypatch.context() as patch:
        patch.setattr(doctor, "free_room", lambda _: 5_000_000)
        assert "✗ index        only 5 MB of disk space are free" in run(capsys, "doctor")[1]
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    (tmp_path / "jupyter_turbopilot_config.json").write_text('{"Turbopilot": {"notebook_index": false}}')
    assert "✓ index        off: c.Turbopilot.notebook_index is False" in run(capsys, "doctor")[1]


def test_doctor_names_the_package_of_a_configured_usage_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(registry, "registered", dict)
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    (tmp_path / "jupyter_turbopilot_config.json").write_text('{"Turbopilot": {"usage_log": "~/a.jsonl"}}')
    assert "✗ usage log    c.Turbopilot.usage_log needs another package" in run(capsys, "doctor")[1]


def test_doctor_reports_refused_routes_of_plugins(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = registry.found
    more = registry.Entry("other", f"{__name__}:ROUTES")
    monkeypatch.setattr(
        registry, "found", lambda group: (*found(group), more) if group == "routes" else found(group)
    )
    monkeypatch.setattr(registry, "failures", {})
    table.table.cache_clear()
    try:
        assert "other:Route at complete does not work: the path is taken" in run(capsys, "doctor")[1]
    finally:
        table.table.cache_clear()


ROUTES = {"complete": "other:Route"}
