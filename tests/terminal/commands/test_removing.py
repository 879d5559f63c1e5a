import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from filelock import FileLock

from jupyter_turbopilot.completer.statistics import Week
from jupyter_turbopilot.engine.llama import snapshot as state
from jupyter_turbopilot.engine.llama.bindings import quantise
from jupyter_turbopilot.index.local_files import LocalFiles
from jupyter_turbopilot.index.paths import indexes, path_of
from jupyter_turbopilot.index.store import IndexStore
from jupyter_turbopilot.jupyter import runtime
from jupyter_turbopilot.models.catalog import find
from jupyter_turbopilot.models.download import obtain
from jupyter_turbopilot.models.model import Model
from jupyter_turbopilot.models.store import Store
from jupyter_turbopilot.models.tuning.adapters import AdapterSpec
from jupyter_turbopilot.models.tuning.merge import merged_copy
from jupyter_turbopilot.models.user_cache import STATISTICS
from jupyter_turbopilot.util import sqlite_file
from jupyter_turbopilot.util.files import sha256_of

from ...completer.cache.answers import answers, open_file, texts
from ...index.notebooks import write
from ...models.source_server import SourceServer
from ...models.test_repositories import publish
from ...plugins.convert import families
from ...tiny_adapter import make
from .running import files, run

THEIRS = (
    "thesis.txt",
    "own.gguf",
    ".hidden.gguf",
    ".own.gguf.json",
    ".other.gguf.partial",
    ".other.gguf.state",
    ".full.gguf.lock",
    ".sequences",
    "tuned/house.gguf",
    "tuned/house-0123456789ab.gguf",
    "checkpoints/mine/model.safetensors",
    "checkpoints/owner--model/notes.txt",
    "deep/er/model.gguf",
)


def configure(folder: Path, results: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the cache file in the configuration."""
    (folder / "jupyter_turbopilot_config.py").write_text(f"c.Turbopilot.cache_file = {str(results)!r}\n")
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(folder))


def write_verdicts(folder: Path) -> None:
    """Write the results of load tests."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "trials.json").write_text(json.dumps({"a" * 32: "ok"}))


def put_theirs(folder: Path) -> None:
    for name in THEIRS:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("[1]" if name.endswith("json") else "mine")


def test_purge_keeps_and_lists_other_files_in_the_models_folder(
    capsys: pytest.CaptureFixture[str], models_folder: Path
) -> None:
    put_theirs(models_folder)
    status, out, _ = run(capsys, "purge", "--yes")
    assert status == 0
    assert files(models_folder) == set(THEIRS)
    assert all(name in out for name in ("thesis.txt", "own.gguf", "deep", "house.gguf"))


def test_purge_deletes_all_files_of_turbopilot(
    capsys: pytest.CaptureFixture[str],
    server: SourceServer,
    tiny_model: Path,
    models_folder: Path,
    own_folder: Path,
    tmp_path: Path,
) -> None:
    store = Store(models_folder)
    server.files["/m.gguf"] = server.files["/cut.gguf"] = tiny_model.read_bytes()
    path = obtain(store, find(f"{server.url}/m.gguf"))
    server.cut["/cut.gguf"] = 300_000
    with pytest.raises(Exception, match="cannot be reached"):
        obtain(store, find(f"{server.url}/cut.gguf"))
    families.make("gpt2", tmp_path / "hf")
    publish(server, "owner/model", {one.name: one.read_bytes() for one in (tmp_path / "hf").iterdir()})
    server.cut["/owner/model/resolve/main/model.safetensors"] = 100
    converted = Model("mine", "mine-q8_0.gguf", kind="Q8_0", checkpoint="owner/model")
    with pytest.raises(Exception, match="cannot be reached"):
        obtain(store, converted)
    obtain(store, Model("two", "two-q8_0.gguf", kind="Q8_0", checkpoint="owner/model"))
    server.cut["/owner/model/resolve/main/model.safetensors"] = 100
    with pytest.raises(Exception, match="cannot be reached"):
        obtain(store, converted)
    merged_copy(models_folder, path, [AdapterSpec(str(make(tmp_path / "a.gguf")))], quantise)
    write_verdicts(own_folder)
    (own_folder / STATISTICS).write_bytes(msgspec.json.encode(Week()))
    state.save(own_folder / "sequences", "key", [])
    assert len(files(models_folder)) > 12
    put_theirs(models_folder)
    assert run(capsys, "purge", "--yes")[0] == 0
    assert files(models_folder) == set(THEIRS)
    assert not own_folder.exists()


def test_purge_deletes_damaged_statistics_and_keeps_foreign_ones(
    capsys: pytest.CaptureFixture[str], own_folder: Path
) -> None:
    own_folder.mkdir(parents=True, exist_ok=True)
    (own_folder / STATISTICS).write_text('{"number": {')
    (own_folder / f"{STATISTICS}.old").write_text("another program's")
    run(capsys, "purge", "--yes")
    assert files(own_folder) == {f"{STATISTICS}.old"}
    (own_folder / STATISTICS).write_text('{"lessons": []}')
    run(capsys, "purge", "--yes")
    assert files(own_folder) == {STATISTICS, f"{STATISTICS}.old"}


def test_purge_asks_for_confirmation_and_defaults_to_no(
    capsys: pytest.CaptureFixture[str], own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_verdicts(own_folder)
    monkeypatch.setattr("builtins.input", lambda _: "n")
    assert run(capsys, "purge")[0] == 1

    def silence(_: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", silence)
    assert run(capsys, "purge")[0] == 1
    assert files(own_folder) == {"trials.json"}


def test_purge_keeps_files_of_running_and_remote_servers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    living = runtime.write(runtime.Runtime("u", "s", os.getpid()))
    ended = runtime.write(runtime.Runtime("u", "s", 999_999_999))
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("socket.gethostname", lambda: "elsewhere")
        theirs = runtime.write(runtime.Runtime("u", "s", 999_999_998))
    _, out, _ = run(capsys, "purge", "--yes")
    assert living.exists()
    assert theirs.exists()
    assert not ended.exists()
    assert str(living) in out
    assert "1 runtime file deleted" in out


def test_purge_keeps_a_verified_model_of_the_user(
    capsys: pytest.CaptureFixture[str], models_folder: Path, tiny_model: Path
) -> None:
    models_folder.mkdir(parents=True, exist_ok=True)
    own = models_folder / "own.gguf"
    own.write_bytes(tiny_model.read_bytes())
    assert Store(models_folder).verify(Model(name="own", file=own.name, sha256=sha256_of(own)))
    status, out, _ = run(capsys, "purge", "--yes")
    assert (status, files(models_folder)) == (0, {own.name})
    assert own.name in out


def test_purge_keeps_the_files_of_a_running_download(
    capsys: pytest.CaptureFixture[str], models_folder: Path
) -> None:
    models_folder.mkdir(parents=True, exist_ok=True)
    (models_folder / ".m.gguf.state").write_text('{"source": "https://example.org/m.gguf"}')
    (models_folder / ".m.gguf.partial").write_bytes(b"GGUF")
    names = {".m.gguf.state", ".m.gguf.partial", ".m.gguf.lock"}
    with FileLock(models_folder / ".m.gguf.lock"):
        assert run(capsys, "purge", "--yes")[0] == 0
        assert files(models_folder) == names
    assert run(capsys, "purge", "--yes")[0] == 0
    assert not names & files(models_folder)


def test_purge_deletes_only_the_files_of_the_completion_cache(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    path = folder / "answers.db"
    configure(tmp_path, path, monkeypatch)
    open_file(path).close()
    (folder / "thesis.txt").touch()
    monkeypatch.setattr("builtins.input", lambda question: print(question) or "y")
    status, out, _ = run(capsys, "purge")
    assert status == 0
    assert str(folder) in out
    assert files(folder) == {"thesis.txt"}
    path.write_text("thesis")
    assert run(capsys, "purge", "--yes")[0] == 0
    assert path.read_text() == "thesis"


def test_purge_deletes_the_target_of_a_linked_completion_cache(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, link = tmp_path / "elsewhere" / "answers.db", tmp_path / "link.db"
    link.symlink_to(target)
    configure(tmp_path, link, monkeypatch)
    open_file(target).close()
    assert run(capsys, "purge", "--yes")[0] == 0
    assert not link.is_symlink()
    assert files(target.parent) == set()


def test_purge_lists_servers_that_use_the_completion_cache(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "answers.db"
    configure(tmp_path, path, monkeypatch)
    runtime.write(runtime.Runtime("http://127.0.0.1:8888/", "s", os.getpid(), str(path)))
    for there in (False, True):
        if there:
            open_file(path).close()
        _, out, _ = run(capsys, "purge", "--yes")
        assert ("a new file with their next completion:\n  http://127.0.0.1:8888/" in out) == there
    assert not path.exists()


def test_purge_reports_unreadable_folders_and_deletes_the_rest(
    capsys: pytest.CaptureFixture[str], own_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "locked" / "answers.db"
    configure(tmp_path, path, monkeypatch)

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(sqlite_file.Schema, "is_ours", refuse)  # root may read every folder
    write_verdicts(own_folder)
    status, out, _ = run(capsys, "purge", "--yes")
    assert status == 1
    assert f"The file in c.Turbopilot.cache_file, {str(path)!r}, cannot be used: PermissionError." in out
    assert not own_folder.exists()


def test_forget_deletes_saved_sequences_and_keeps_other_files(
    capsys: pytest.CaptureFixture[str], own_folder: Path
) -> None:
    state.save(own_folder / "sequences", "key", [])
    write_verdicts(own_folder)
    assert run(capsys, "forget")[0] == 0
    assert files(own_folder) == {"trials.json"}
    _, out, _ = run(capsys, "forget")
    assert "There are no saved sequences" in out
    assert "There is no index" in out


def test_forget_empties_open_indexes_and_deletes_damaged_ones(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name in ("work", "play"):
        write(tmp_path / name, "a.ipynb", "qqfrobnicate(1)")
        run(capsys, "index", "rebuild", str(tmp_path / name))
    place = path_of(LocalFiles(tmp_path / "work").identity)
    (damaged,) = {*indexes()} - {place}
    damaged.write_bytes(damaged.read_bytes()[:100] + b"\xff" * 100_000)
    foreign = damaged.with_name("thesis.db")
    foreign.write_text("thesis")
    with closing(IndexStore(place, looking=True)) as opened:
        assert opened.lines("python", "qqfrobnicate", "", "")
        status, out, _ = run(capsys, "forget")
        assert not opened.lines("python", "qqfrobnicate", "", "")
    assert (status, f"{tmp_path / 'work'}: 1 file removed from the index." in out) == (0, True)
    assert "create new indexes when they are restarted" in out
    assert b"qqfrobnicate" not in place.read_bytes()
    assert not damaged.exists()
    assert foreign.read_text() == "thesis"


@pytest.mark.parametrize("fault", ["locked", "shared folder"])
def test_forget_reports_an_index_that_it_cannot_empty(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(sqlite_file, "WAIT", 0.05)
    write(tmp_path / "work", "a.ipynb", "qqfrobnicate(1)")
    run(capsys, "index", "rebuild", str(tmp_path / "work"))
    (place,) = indexes()
    if fault == "shared folder":
        place.parent.chmod(0o1777)
    with closing(sqlite3.connect(place)) as holder:
        if fault == "locked":
            holder.execute("BEGIN EXCLUSIVE")
        status, out, _ = run(capsys, "forget")
    assert (status, f"Could not be deleted:\n  {place}" in out, "is deleted" in out) == (1, True, False)
    assert place.exists()


def test_forget_empties_the_completion_cache_and_lists_running_servers(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "answers.db"
    configure(tmp_path, path, monkeypatch)
    database = open_file(path)
    database.add(answers(range(7)))
    database.close()
    living = runtime.write(runtime.Runtime("u", "s", os.getpid()))
    status, out, _ = run(capsys, "forget")
    assert (status, f"{path}: 7 completions deleted." in out, str(living) in out) == (0, True, True)
    assert texts(path) == []
    path.write_bytes(path.read_bytes()[:5000])
    assert run(capsys, "forget")[0] == 0
    assert not path.exists()


@pytest.mark.parametrize("fault", ["locked", "shared folder", "foreign", "relative"])
def test_forget_reports_a_completion_cache_that_it_cannot_empty(
    capsys: pytest.CaptureFixture[str],
    own_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
) -> None:
    monkeypatch.setattr(sqlite_file, "WAIT", 0.05)
    state.save(own_folder / "sequences", "key", [])
    path = tmp_path / "answers.db"
    configure(tmp_path, path.name if fault == "relative" else path, monkeypatch)
    reader = None
    if fault == "foreign":
        path.write_text("thesis")
        path.with_name(".answers.db.lock").touch()  # of a server that could not move the file aside
    else:
        open_file(path).close()
    if fault == "locked":
        reader = sqlite_file.connect(path)
        reader.execute("BEGIN EXCLUSIVE")
    if fault == "shared folder":
        tmp_path.chmod(0o1777)
    status, out, error = run(capsys, "forget")
    if reader:
        reader.close()
    assert (status, error) == (1, "")
    assert ("not created by Turbopilot" if fault == "foreign" else "c.Turbopilot.cache_file") in out
    assert "Could not be deleted:" in out
    assert path.exists()
    assert not files(own_folder), "the rest is deleted"
