import hashlib
import json
from pathlib import Path

import pytest

from jupyter_turbopilot.models.catalog import catalog, find
from jupyter_turbopilot.models.download import obtain
from jupyter_turbopilot.models.folder import CheckpointNote, checkpoint_path, copies, write_checkpoint_note
from jupyter_turbopilot.models.model import HubFile, Model
from jupyter_turbopilot.models.store import Store
from jupyter_turbopilot.protocol.errors import DownloadError
from jupyter_turbopilot.util.files import partial_path, sha256_of

from ...models.source_server import SourceServer
from ...tiny_adapter import make
from .running import run


def test_path_prints_a_path_and_reports_a_missing_model(capsys: pytest.CaptureFixture[str], own: str) -> None:
    assert run(capsys, "models", "path", own)[:2] == (0, f"{own}\n")
    status, out, err = run(capsys, "models", "path", "smollm2-135m")
    assert (status, out) == (1, "")
    assert "models pull --mirrors smollm2-135m" in err
    assert "There is no model at" in run(capsys, "models", "path", f"{own}.gone.gguf")[2]


def test_pull_reports_an_unwritable_folder_without_traceback(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TURBOPILOT_MODELS", str(tmp_path / "file" / "models"))
    status, out, err = run(capsys, "models", "pull", "smollm2-135m", "--mirrors")
    assert (status, out) == (1, "")
    assert "could not be written" in err
    assert len(err.strip().splitlines()) == 1
    # Other sources would fail, too. JupyterLab's notifications show 140 characters.
    with pytest.raises(DownloadError) as refused:
        obtain(Store(tmp_path / "file" / "models"), find("smollm2-135m"))
    assert refused.value.code == "not_written"
    assert len(refused.value.message) < 140


def test_commands_use_the_models_of_the_selected_engine(
    capsys: pytest.CaptureFixture[str], models_folder: Path
) -> None:
    repository, name = "Salesforce/codegen-350M-mono", "codegen-350m-mono"
    file = models_folder / find(name).file
    file.write_bytes(b"llama.cpp's")
    engine = ("--engine", "transformers")
    status, _, err = run(capsys, "models", "path", *engine, name)
    assert status == 1
    assert f"models pull --engine transformers {name}" in err
    folder = checkpoint_path(models_folder, repository)
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    digests = {"model.safetensors": sha256_of(folder / "model.safetensors")}
    write_checkpoint_note(folder, CheckpointNote(repository, (*digests,), digests, complete=True))
    assert run(capsys, "models", "path", *engine, name)[:2] == (0, f"{folder}\n")
    assert run(capsys, "models", "path", name)[:2] == (0, f"{file}\n")
    assert run(capsys, "models", "verify", *engine, name)[0] == 0
    (folder / "model.safetensors").write_bytes(b"changed")
    assert run(capsys, "models", "verify", *engine, name)[0] == 1
    assert "MB freed" in run(capsys, "models", "rm", *engine, name)[1]
    assert not folder.exists()
    assert file.exists()
    missing = "turbopilot: codegen-350m-mono is not on this machine.\n"
    assert run(capsys, "models", "rm", *engine, name) == (1, "", missing)


@pytest.mark.parametrize("action", ["rm", "verify", "path", "pull"])
def test_commands_report_no_local_files_for_a_remote_server(
    capsys: pytest.CaptureFixture[str], action: str
) -> None:
    status, out, err = run(capsys, "models", action, "--engine", "remote", "far")
    assert status
    assert not out
    assert "on this machine" in err


def test_commands_report_a_damaged_model_with_the_repair_command(
    capsys: pytest.CaptureFixture[str],
    server: SourceServer,
    models_folder: Path,
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = tiny_model.read_bytes()
    sources = (HubFile("owner/repo", "m.gguf"),)
    known = Model("known", "known.gguf", sources, size=len(data), sha256=hashlib.sha256(data).hexdigest())
    monkeypatch.setitem(catalog(), "known", known)
    server.files["/owner/repo/resolve/main/m.gguf"] = data
    assert "The model is known; `jupyter turbopilot models list`" in run(capsys, "models", "pull", "known")[2]
    file = models_folder / "known.gguf"
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    advice = "The file of known is damaged. Download it again, or run: jupyter turbopilot models pull known"
    assert run(capsys, "models", "verify", "known")[2] == f"turbopilot: {advice}\n"
    assert run(capsys, "models", "path", "known")[2] == f"turbopilot: {advice}\n"
    assert run(capsys, "models", "info", "known")[2] == f"turbopilot: {advice}\n"
    assert f"✗ model        {advice}\n" in run(capsys, "doctor", "-m", "known")[1]
    status, out, err = run(capsys, "models", "pull", "known")
    assert (status, out) == (0, f"{file}\n")
    assert f"The damaged file is kept as {file}.damaged." in err
    assert run(capsys, "models", "verify", "known")[:2] == (0, "known: the digest is correct.\n")


def test_list_recommends_a_model_for_this_machine(capsys: pytest.CaptureFixture[str]) -> None:
    lines = run(capsys, "models", "list")[1].splitlines()
    (recommended,) = [line for line in lines if "  recommended  " in line]
    assert recommended.startswith("* qwen2.5-coder-0.5b")
    assert any("codegen-16b-mono" in line and "  too large  " in line for line in lines)


def test_list_includes_checkpoints_for_transformers(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "models", "list", "--engine", "transformers")
    assert "incoder-1b" in out
    assert "qwen2.5-coder-0.5b" not in out


def test_list_shows_damaged_files_and_unfinished_downloads(
    capsys: pytest.CaptureFixture[str], models_folder: Path
) -> None:
    small, other = catalog()["smollm2-135m"], catalog()["smollm2-360m"]
    (models_folder / small.file).write_bytes(b"GGUF")
    partial_path(models_folder / other.file).write_bytes(bytes(1000))
    lines = run(capsys, "models", "list")[1].splitlines()
    states = {line[2:].split()[0]: line for line in lines if line}
    assert "  damaged  " in states[small.name]
    assert "  0% downloaded  " in states[other.name]
    (advice,) = [line for line in lines if "is damaged" in line]
    assert advice.endswith("run: jupyter turbopilot models pull --mirrors smollm2-135m")
    models = {model["name"]: model for model in json.loads(run(capsys, "models", "list", "--json")[1])}
    assert (models[small.name]["damaged"], models[small.name]["stored"]) == (True, False)
    assert models[small.name]["size"] == small.size
    assert models[other.name]["received"] == 1000


def test_info_describes_a_converted_model(capsys: pytest.CaptureFixture[str], whole: Path) -> None:
    message = run(capsys, "models", "info", str(whole))[1]
    assert "qwen2, 2 layers" in message
    assert "F16" in message
    found = json.loads(run(capsys, "models", "info", str(whole), "--json", "--context", "64")[1])
    assert found["memory"]["context"] == 64
    assert (
        found["memory"]["cache"] == 2 * 64 * 2 * 2 * 64 * 2
    )  # layers, tokens, K and V, heads, their size, bytes
    assert found["fim"] == "none"


def test_info_reports_a_missing_file(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "models", "info", "./none.gguf")
    assert status == 2
    assert "There is no file" in err


def test_pull_makes_the_copy_unless_told_otherwise(
    capsys: pytest.CaptureFixture[str],
    models_folder: Path,
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = models_folder / "own.gguf"
    own.write_bytes(tiny_model.read_bytes())
    setting = f"c.Turbopilot.adapters = ['{make(tmp_path / 'a.gguf')}']\n"
    (tmp_path / "jupyter_turbopilot_config.py").write_text(setting)
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    pull = ("models", "pull", str(own))
    assert run(capsys, *pull, "--no-copy")[:2] == (0, f"{own}\n")
    assert copies(models_folder, own) == []
    assert run(capsys, *pull)[:2] == (0, f"{own}\n")
    assert len(copies(models_folder, own)) == 1
