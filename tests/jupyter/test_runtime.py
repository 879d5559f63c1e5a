import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.jupyter import runtime
from jupyter_turbopilot.protocol.errors import DisabledError
from jupyter_turbopilot.settings.config import Turbopilot


@pytest.fixture(autouse=True)
def _own_runtime_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))


def test_file_is_readable_only_by_its_owner() -> None:
    path = runtime.write(runtime.Runtime("http://127.0.0.1:1/", "s", os.getpid()))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_find_returns_the_server_that_started_the_process() -> None:
    runtime.write(runtime.Runtime("http://127.0.0.1:1/", "s", os.getpid()))
    code = "from jupyter_turbopilot.jupyter import runtime; print(runtime.find().url)"
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}], check=True)"
    message = subprocess.run([sys.executable, "-c", nested], capture_output=True, text=True, check=True)
    assert message.stdout.strip() == "http://127.0.0.1:1/"


def test_find_without_an_ancestors_file_returns_none() -> None:
    runtime.write(runtime.Runtime("http://127.0.0.1:1/", "s", 999_999_999))
    assert runtime.find() is None


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o602])
def test_file_accessible_to_others_is_rejected(mode: int) -> None:
    path = runtime.write(runtime.Runtime("http://127.0.0.1:1/", "s", os.getpid()))
    assert runtime.read(os.getpid())
    path.chmod(mode)
    assert runtime.read(os.getpid()) is None


def test_link_or_invalid_content_is_rejected() -> None:
    path = runtime.write(runtime.Runtime("http://127.0.0.1:1/", "s", os.getpid()))
    moved = path.rename(path.with_name("elsewhere"))
    path.symlink_to(moved)
    assert runtime.read(os.getpid()) is None
    path.unlink()
    path = runtime.write(runtime.Runtime("http://127.0.0.1:1/", "s", os.getpid()))
    for text in ("{", json.dumps(["x"]), "{}", "null"):
        path.write_text(text)
        assert runtime.read(os.getpid()) is None


def test_files_of_ended_servers_are_removed() -> None:
    runtime.write(runtime.Runtime("u", "s", 999_999_999))
    runtime.write(runtime.Runtime("u", "s", os.getpid()))
    runtime.remove_stale()
    assert runtime.survey()[0] == []
    assert runtime.read(os.getpid()) is not None
    runtime.remove(os.getpid())
    assert runtime.read(os.getpid()) is None


def test_unfinished_files_of_ended_servers_are_removed() -> None:
    """Such a file contains the secret, too."""
    for pid in (999_999_999, os.getpid()):
        whole = runtime.write(runtime.Runtime("u", "s", pid))
        whole.rename(whole.with_name(f"{whole.name}.0123abcd.new"))
    runtime.remove_stale()
    (left,) = runtime.survey()[1]
    assert left.name.endswith(f"-{os.getpid()}.json.0123abcd.new")
    left.unlink()


def test_running_lists_only_servers_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("socket.gethostname", lambda: "elsewhere")
        runtime.write(runtime.Runtime("there", "s", os.getpid(), "~/a.db"))
    runtime.write(runtime.Runtime("ended", "s", 999_999_999, "~/a.db"))
    assert runtime.running() == []
    here = runtime.Runtime("here", "s", os.getpid(), "~/a.db")
    runtime.write(here)
    assert runtime.running() == [here]


@pytest.mark.parametrize(
    ("function", "found"), [("socket.gethostname", "elsewhere"), ("os.readlink", "pid:[1]")]
)
def test_file_of_another_machine_or_container_is_kept_and_not_used(
    function: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(function, lambda *_: found)
        theirs = runtime.write(runtime.Runtime("u", "theirs", os.getpid()))
        gone_there = runtime.write(runtime.Runtime("u", "theirs", 999_999_999))
    assert runtime.read(os.getpid()) is None
    ours = runtime.write(runtime.Runtime("u", "ours", os.getpid()))
    runtime.remove_stale()
    assert {theirs, gone_there, ours} == set(runtime.folder().iterdir())
    ours_read = runtime.read(os.getpid())
    assert ours_read
    assert ours_read.secret == "ours"


def test_process_with_a_reused_pid_is_not_the_server() -> None:
    path = runtime.write(runtime.Runtime("u", "s", os.getpid()))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"started": "long ago"}))
    assert runtime.read(os.getpid()) is None
    assert len(runtime.survey()[0]) == 1


def test_servers_are_found_without_proc_and_file_owners(monkeypatch: pytest.MonkeyPatch) -> None:
    read_text = Path.read_text

    def without_proc(path: Path, *more: Any, **named: Any) -> str:
        if str(path).startswith("/proc/"):
            raise FileNotFoundError(path)
        return read_text(path, *more, **named)

    monkeypatch.setattr(Path, "read_text", without_proc)
    monkeypatch.delattr(os, "getuid")
    path = runtime.write(runtime.Runtime("http://127.0.0.1:1/", "s", os.getppid()))
    runtime.write(runtime.Runtime("http://127.0.0.1:2/", "s", 999_999_999))
    path.chmod(0o666)  # Windows' mode of any file
    found = runtime.find()
    assert found
    assert found.url == "http://127.0.0.1:1/"
    assert [server.pid for server in runtime.running()] == [os.getppid()]
    assert len(runtime.survey()[0]) == 1
    path.write_text(json.dumps(json.loads(path.read_text()) | {"started": "1.5"}))
    assert runtime.read(os.getppid()) is None


def test_path_in_server_is_relative_to_the_servers_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root := tmp_path / "work").mkdir()
    (root / "exams").mkdir()
    (tmp_path / "link").symlink_to(root / "exams")
    server = runtime.Runtime("u", "s", 1, root=str(root))
    monkeypatch.setattr(runtime, "find", lambda: server)
    assert runtime.path_in_server(root / "exams" / "a.py") == "exams/a.py"
    assert runtime.path_in_server(tmp_path / "link" / "a.py") == "exams/a.py"
    monkeypatch.chdir(root)
    assert runtime.path_in_server(Path()) == "."
    assert runtime.path_in_server(tmp_path / "other") == ""
    monkeypatch.setattr(runtime, "find", lambda: None)
    assert runtime.path_in_server(root) == ""


def test_check_file_denies_the_folders_of_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("exams", "notes"):
        (tmp_path / name).mkdir()
    server = runtime.Runtime("u", "s", 1, root=str(tmp_path))
    monkeypatch.setattr(runtime, "find", lambda: server)
    access = runtime.access_of_process(Turbopilot(denied_paths=["exams/**"]))
    monkeypatch.chdir(tmp_path / "notes")
    runtime.check_file(access)
    for check in (tmp_path / "exams" / "a.py", None):
        monkeypatch.chdir(tmp_path / "exams")
        with pytest.raises(DisabledError):
            runtime.check_file(access, check)


def test_check_file_obeys_the_administrators_switch() -> None:
    with pytest.raises(DisabledError):
        runtime.check_file(runtime.access_of_process(Turbopilot(enabled=False)))


def test_check_file_refuses_files_with_credentials(tmp_path: Path) -> None:
    access = runtime.access_of_process(Turbopilot())
    runtime.check_file(access, tmp_path / "a.py")
    with pytest.raises(DisabledError, match="credentials"):
        runtime.check_file(access, tmp_path / ".env")
