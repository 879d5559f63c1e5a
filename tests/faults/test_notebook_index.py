"""Faults of files, disks and servers: the index stays correct and blocks nothing."""

import errno
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from jupyter_turbopilot.index import build, local_files
from jupyter_turbopilot.index.build import Builder
from jupyter_turbopilot.index.local_files import LocalFiles
from jupyter_turbopilot.index.paths import path_of
from jupyter_turbopilot.index.reader import MaintainedIndex
from jupyter_turbopilot.index.store import SCHEMA, IndexStore
from jupyter_turbopilot.util.sqlite_file import FileState, Schema

from ..index.folders import built, known, look_again, rests, settled, until
from ..index.notebooks import notebook, write
from ..index.test_store import content


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the builder independent of the machine's load."""
    monkeypatch.setattr(local_files, "_ANSWER_IN", 5.0)


BUILDER = """
import sys
import time
from pathlib import Path
from jupyter_turbopilot.index import build
from jupyter_turbopilot.index.build import Builder
from jupyter_turbopilot.index.local_files import LocalFiles

class Telling(LocalFiles):
    def read(self, path):
        print(path, flush=True)
        time.sleep(0.01)
        return super().read(path)

build.LONG_BATCH = 1e-9
builder = Builder(Path(sys.argv[1]), Telling(sys.argv[2]))
builder._rushing = True
store = builder._open()
builder._work(store)
store.close()
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def building(root: Path) -> subprocess.Popen[str]:
    """Build the index of a folder in another process, which prints each path that it reads."""
    place = path_of(LocalFiles(root).identity)
    return subprocess.Popen(
        [sys.executable, "-c", BUILDER, str(place), str(root)], stdout=subprocess.PIPE, text=True
    )


def fresh(root: Path, place: Path) -> dict[str, list[tuple]]:
    """Return the content of an index that was built without interruptions."""
    builder = Builder(place, LocalFiles(root))
    builder.build_now()
    with closing(IndexStore(place)) as store:
        return content(store)


def held(notebook_index: MaintainedIndex) -> dict[str, list[tuple]]:
    with closing(IndexStore(notebook_index.builder.path)) as store:
        return content(store)


# The user's files ----------------------------------------------------------------------------------------


def test_file_changed_while_being_read_is_read_again(root: Path) -> None:
    file = write(root, "a.ipynb", "first_version(1)")
    whole = notebook("second_version(2)")

    class Late(LocalFiles):
        def read(self, path: str) -> str:
            text = super().read(path)
            if "first_version" in text:
                file.write_text(whole)  # saved after half of it has been read
                return text[: len(text) // 2]
            return text

    builder = Builder(path_of(LocalFiles(root).identity), Late(root))
    builder._rushing = True
    with closing(builder._open()) as store:
        builder._work(store)
        assert not store.lines("python", "first_version", "", "")
        look_again(builder, store)
        assert store.lines("python", "second_version", "", "")


def test_unmounted_disk_keeps_its_index_entries(root: Path) -> None:
    write(root, "a.ipynb", "frobnicate_it(1)")
    with closing(built(root)) as notebook_index, closing(notebook_index.builder._open()) as store:
        builder = notebook_index.builder
        root.rename(root.with_name("away"))
        builder.changed("a.ipynb")
        look_again(builder, store)
        assert known(builder.path) == {"a.ipynb"}
        assert rests(notebook_index, "frob") == [], "code that cannot be checked is hidden"
        root.with_name("away").rename(root)
        assert rests(notebook_index, "frob") == ["nicate_it(1)"]
        write(root, "b.ipynb", "another_one(1)")
        look_again(builder, store)
        assert known(builder.path) == {"a.ipynb", "b.ipynb"}, "new files are scanned completely"


def test_deleted_code_is_hidden_and_soon_erased_from_the_disk(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "SWEEP", 0.2)
    kept, gone = write(root, "kept.ipynb", "ordinary_name(1)"), write(root, "gone.ipynb", "zyxwvuts_name(1)")
    with closing(MaintainedIndex(LocalFiles(root))) as notebook_index:
        notebook_index.builder.start()
        until(lambda: notebook_index.builder.progress.files == 2 and settled(notebook_index.builder))
        assert rests(notebook_index, "zyxw") == ["vuts_name(1)"]
        gone.unlink()  # by another program, so the server gets no event

        def nowhere() -> bool:
            rests(notebook_index, "ordin")  # activity of the user
            return not any(
                b"zyxwvuts" in file.read_bytes() for file in SCHEMA.owned_files(notebook_index.builder.path)
            )

        until(nowhere)
        assert rests(notebook_index, "zyxw") == []
        assert rests(notebook_index, "ordin") == ["ary_name(1)"]
    assert kept.exists()


def test_index_contains_no_files_of_another_root_folder(root: Path) -> None:
    write(root, "ada/a.ipynb", "adas_own_name(1)")
    write(root, "eve/e.ipynb", "eves_own_name(1)")
    write(root, "ada/inner/i.ipynb", "inner_own_name(1)")
    memories = {name: built(root / name) for name in ("ada", "eve", "ada/inner")}
    expected = {"ada": {"adas", "inner"}, "eve": {"eves"}, "ada/inner": {"inner"}}
    assert len({notebook_index.builder.path for notebook_index in memories.values()}) == 3
    for name, notebook_index in memories.items():
        with closing(notebook_index):
            assert {
                word for word in ("adas", "eves", "inner") if rests(notebook_index, f"{word}_own")
            } == expected[name]
            files = SCHEMA.owned_files(notebook_index.builder.path)
            for word in {"adas", "eves", "inner"} - expected[name]:
                assert not any(f"{word}_own".encode() in file.read_bytes() for file in files)


# The index -------------------------------------------------------------------------------------------------


def test_full_disk_keeps_the_existing_index(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(IndexStore):
        def __init__(self, path: Path) -> None:
            super().__init__(path)
            self._run("PRAGMA max_page_count = 40")

    for at in range(40):
        file = write(root, f"{at}.ipynb", *(f"value_{at}_{row} = {row}" for row in range(50)))
        os.utime(file, (at, at))
    monkeypatch.setattr(build, "IndexStore", Full)
    monkeypatch.setattr(build, "LONG_BATCH", 1e-9)
    with closing(MaintainedIndex(LocalFiles(root))) as notebook_index:
        notebook_index.builder.start()
        until(lambda: bool(notebook_index.builder.progress.error))
        assert "full" in notebook_index.builder.progress.error
        assert 0 < len(known(notebook_index.builder.path)) < 40
        assert rests(notebook_index, "value_39_49") == [" = 49"]
        assert rests(notebook_index, "value_0_") == []
    assert SCHEMA.state_of(notebook_index.builder.path) is FileState.OURS
    with closing(IndexStore(notebook_index.builder.path)) as store:
        for path in store.stamps():
            assert len(store.lines("python", f"value_{path.removesuffix('.ipynb')}_7", "", "")) == 1


def test_index_in_a_read_only_home_remains_readable(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = write(root, "gone.ipynb", "settle_it(2)")
    write(root, "a.ipynb", "frobnicate_it(1)")
    built(root).close()

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Schema, "prepare", refuse)
    with closing(MaintainedIndex(LocalFiles(root))) as notebook_index:
        notebook_index.builder.start()
        until(lambda: "Read-only" in notebook_index.builder.progress.error)
        assert rests(notebook_index, "frob") == ["nicate_it(1)"]
        gone.unlink()
        assert rests(notebook_index, "settle") == []


def test_next_server_completes_the_index_of_a_killed_one(root: Path, tmp_path: Path) -> None:
    for at in range(30):
        write(root, f"{at}.ipynb", f"import m{at}\nname_of_{at} = 1", "common(1)")
    child = building(root)
    assert child.stdout
    for _ in range(10):
        child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    place = path_of(LocalFiles(root).identity)
    assert 5 < len(known(place)) < 30
    with closing(built(root)) as notebook_index:
        assert held(notebook_index) == fresh(root, tmp_path / "fresh.db")


def test_concurrent_builders_produce_the_same_index(root: Path, tmp_path: Path) -> None:
    for at in range(30):
        write(root, f"{at}.ipynb", f"import m{at}\nname_of_{at} = 1", "common(1)")
    children = [building(root) for _ in range(2)]
    read = [child.communicate()[0].splitlines() for child in children]
    assert [child.returncode for child in children] == [0, 0]
    assert {*read[0], *read[1]} == {f"{at}.ipynb" for at in range(30)}
    with closing(built(root)) as notebook_index:
        assert held(notebook_index) == fresh(root, tmp_path / "fresh.db")
