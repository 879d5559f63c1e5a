"""A shared model folder that only its maintainer may write to."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_turbopilot.engine.llama import snapshot
from jupyter_turbopilot.models.folder import copies

from ..serving import Server
from ..tiny_adapter import make

# Root may write everywhere unless it drops that capability.
READER = (
    ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if getattr(os, "geteuid", int)() == 0 else ()
)

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or bool(READER and not shutil.which("setpriv")), reason="needs permissions"
)


class Person:
    """A user who may write only to the home folder."""

    def __init__(self, home: Path, shared: Path, **settings: object) -> None:
        home.mkdir()
        self.own = home / "cache" / "jupyter-turbopilot"
        (home / "jupyter_turbopilot_config.json").write_text(json.dumps({"Turbopilot": settings}))
        self.environment = {
            "TURBOPILOT_MODELS": str(shared),
            "XDG_CACHE_HOME": str(home / "cache"),
            "JUPYTER_CONFIG_DIR": str(home),
            "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        }

    def run(self, *arguments: str, before: tuple[str, ...] = READER) -> subprocess.CompletedProcess[str]:
        command = [*before, str(Path(sys.executable).parent / "jupyter-turbopilot"), *arguments]
        environment = os.environ | self.environment
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)

    def kept(self) -> set[str]:
        return {path.name for path in self.own.iterdir()}


@pytest.fixture
def model(models_folder: Path, tiny_model: Path) -> Iterator[Path]:
    shutil.copy(tiny_model, models_folder / "tiny.gguf")
    yield models_folder / "tiny.gguf"
    for folder in (models_folder, *(path for path in models_folder.iterdir() if path.is_dir())):
        folder.chmod(0o755)


@pytest.fixture
def adapter(tmp_path: Path) -> str:
    return str(make(tmp_path / "house.gguf"))


def close(folder: Path) -> dict[Path, int]:
    """Remove all write permissions; return the content of the folder."""
    files = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    for path in (*files, folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return files


def test_two_users_share_models_and_merged_copy_but_not_own_data(
    models_folder: Path, model: Path, adapter: str, tmp_path: Path
) -> None:
    keeper = Person(tmp_path / "keeper", models_folder, adapters=[adapter])
    assert keeper.run("models", "pull", str(model), before=()).stdout == f"{model}\n"
    (copy,) = copies(models_folder, model)
    before = close(models_folder)
    people = [Person(tmp_path / name, models_folder, adapters=[adapter]) for name in ("ada", "bob")]
    logs = [(person.own.parents[1] / "log").open("w+") for person in people]
    servers = [
        Server(model, "--no-api-key", environment=person.environment, before=READER, log=log)
        for person, log in zip(people, logs, strict=True)
    ]
    for server, name in zip(servers, ("ada", "bob"), strict=True):
        body = {"prompt": f"{name} = " * 20, "max_tokens": 4}
        assert server.client.post("/v1/completions", json=body).json()["usage"]["completion_tokens"] == 4
        mapped = Path(f"/proc/{server.process.pid}/maps").read_text()
        assert str(copy) in mapped
        assert f"{model}\n" not in mapped
    for server in servers:
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(30)
        server.client.close()
    for person, log in zip(people, logs, strict=True):
        assert person.kept() == {"sequences", "sequences.lock", "trials.json"}
        for name in ("sequences", "trials.json"):
            assert (person.own / name).stat().st_mode & 0o077 == 0
        log.seek(0)
        assert log.read() == f"Turbopilot: {model.name} is ready.\n"
        log.close()
    ada, bob = ((person.own / "sequences").read_bytes() for person in people)
    assert ada.startswith(snapshot.SEQUENCES_MAGIC)
    assert ada != bob
    assert {path: path.stat().st_mtime_ns for path in models_folder.rglob("*")} == before


def test_missing_merged_copy_uses_adapters_and_names_the_remedy(
    models_folder: Path, model: Path, adapter: str, tmp_path: Path
) -> None:
    person = Person(tmp_path / "ada", models_folder, adapters=[adapter])
    before = close(models_folder)
    done = person.run("complete", "-m", str(model), "--line", "1", str(Path(__file__)))
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line == (
        f"tiny.gguf has no copy with merged adapters. You may not write to {models_folder}. Its owner can create "
        "the copy with `jupyter turbopilot models pull`. The adapters are applied at run time, which is slower."
    )
    assert {path: path.stat().st_mtime_ns for path in models_folder.rglob("*")} == before


def test_doctor_and_list_report_read_only_folders(
    models_folder: Path, model: Path, adapter: str, tmp_path: Path
) -> None:
    person = Person(tmp_path / "ada", models_folder, adapters=[adapter])
    close(models_folder)
    reported = person.run("doctor", "-m", str(model)).stdout
    assert f"✓ models       in {models_folder}, which you may read but not write to" in reported
    assert f"✓ own files    in {person.own}" in reported
    assert "✗ copy         does not exist. The adapters are applied at run time, which is slower." in reported
    listed = person.run("models", "list").stdout
    assert listed.endswith(f"Models are stored in {models_folder}, which you may read but not write to\n")
    assert person.kept() >= {"trials.json"}
    person.run("models", "pull", str(model), before=())  # as root it succeeds, otherwise it fails
    model.chmod(0)
    reported = person.run("doctor", "-m", str(model)).stdout
    assert f"✗ model        you may not read {model}. Ask its owner for access" in reported
    models_folder.chmod(0)
    reported = person.run("doctor", "-m", str(model)).stdout
    assert f"✗ models       in {models_folder}, which you may not read: ask its owner for access" in reported


@pytest.mark.parametrize("arguments", [("smollm2-135m",), ("smollm2-135m", "--mirrors")])
def test_pull_into_a_read_only_folder_names_the_remedy(
    models_folder: Path, model: Path, tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    person = Person(tmp_path / "ada", models_folder)
    close(models_folder)
    done = person.run("models", "pull", *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert "You may not write to the models folder. Ask its owner" in line
    assert f"The folder is {models_folder}." in line
    assert model.is_file()


def test_removal_deletes_only_the_users_own_files(models_folder: Path, model: Path, tmp_path: Path) -> None:
    model.with_name(f".{model.name}.json").write_text('{"source": "https://example.org/tiny.gguf"}')
    person = Person(tmp_path / "ada", models_folder)
    before = close(models_folder)
    person.run("complete", "-m", str(model), "--line", "1", str(Path(__file__)))
    assert "trials.json" in person.kept()
    refused = person.run("models", "rm", str(model))
    assert refused.returncode == 2
    assert refused.stderr.startswith(
        "turbopilot: The model could not be removed: Permission denied. Ask the owner"
    )
    purged = person.run("purge", "--yes")
    assert purged.returncode == 0
    assert f"Not deleted, because you may not write there:\n  {models_folder}\n" in purged.stdout
    assert not person.own.exists()
    assert {path: path.stat().st_mtime_ns for path in models_folder.rglob("*")} == before
