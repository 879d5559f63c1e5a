"""What may become of a person's files and of the index of them: it misleads nobody and holds nobody up."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_turbopilot.memory import build, contents, local_files
from jupyter_turbopilot.memory.build import Builder
from jupyter_turbopilot.memory.contents import Contents
from jupyter_turbopilot.memory.local_files import LocalFiles
from jupyter_turbopilot.memory.places import place_of
from jupyter_turbopilot.memory.reader import KeptMemory
from jupyter_turbopilot.memory.store import SCHEMA, Store
from jupyter_turbopilot.sqlite_file.schema import Found, Schema

from ..memory.folders import built, known, look_again, rests, settled, until
from ..memory.managers import Manager
from ..memory.notebooks import notebook, write
from ..memory.test_store import content


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """How busy the machine is decides nothing here."""
    monkeypatch.setattr(local_files, "_ANSWER_IN", 5.0)


BUILDER = """
import sys
import time
from pathlib import Path
from jupyter_turbopilot.memory import build
from jupyter_turbopilot.memory.build import Builder
from jupyter_turbopilot.memory.local_files import LocalFiles

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
    """Have another process build the index of a folder; it prints each path that it reads."""
    place = place_of(LocalFiles(root).identity)
    return subprocess.Popen(
        [sys.executable, "-c", BUILDER, str(place), str(root)], stdout=subprocess.PIPE, text=True
    )


def fresh(root: Path, place: Path) -> dict[str, list[tuple]]:
    """Return what an index of a folder holds that was built at once and alone."""
    builder = Builder(place, LocalFiles(root))
    builder.build_now()
    with closing(Store(place)) as store:
        return content(store)


def held(memory: KeptMemory) -> dict[str, list[tuple]]:
    with closing(Store(memory.builder.place)) as store:
        return content(store)


# The person's files ----------------------------------------------------------------------------------------


def test_of_a_folder_of_thousands_of_files_the_newest_are_remembered(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "MOST_FILES", 200)
    for folder in range(40):
        (root / f"{folder}").mkdir()
        for at in range(100):
            file = root / f"{folder}/{at}.py"
            file.write_text(f"name_{folder}_{at} = 1")
            os.utime(file, (folder * 100 + at, folder * 100 + at))
    with closing(built(root)) as memory:
        assert known(memory.builder.place) == {
            f"{folder}/{at}.py" for folder in (38, 39) for at in range(100)
        }
        assert rests(memory, "name_39_")
        assert not rests(memory, "name_12_")


def test_a_file_that_changes_while_it_is_read_is_read_again(root: Path) -> None:
    file = write(root, "a.ipynb", "first_version(1)")
    whole = notebook("second_version(2)")

    class Late(LocalFiles):
        def read(self, path: str) -> str:
            text = super().read(path)
            if "first_version" in text:
                file.write_text(whole)  # somebody saves it, and half of it has been read
                return text[: len(text) // 2]
            return text

    builder = Builder(place_of(LocalFiles(root).identity), Late(root))
    builder._rushing = True
    with closing(builder._open()) as store:
        builder._work(store)
        assert not store.having("first_version")
        look_again(builder, store)
        assert store.having("second_version")


def test_a_disk_that_is_not_mounted_for_a_while_has_lost_no_file(root: Path) -> None:
    write(root, "a.ipynb", "frobnicate_it(1)")
    with closing(built(root)) as memory, closing(memory.builder._open()) as store:
        builder = memory.builder
        root.rename(root.with_name("away"))
        builder.changed("a.ipynb")
        look_again(builder, store)
        assert known(builder.place) == {"a.ipynb"}
        assert rests(memory, "frob") == [], "what cannot be looked at is not told"
        root.with_name("away").rename(root)
        assert rests(memory, "frob") == ["nicate_it(1)"]
        write(root, "b.ipynb", "another_one(1)")
        look_again(builder, store)
        assert known(builder.place) == {"a.ipynb", "b.ipynb"}, "all of it is looked at as soon as it is there"


def test_what_is_deleted_is_not_told_and_soon_nowhere_on_the_disk(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "SWEEP", 0.2)
    monkeypatch.setattr(build, "TIDY", 0.2)
    kept, gone = write(root, "kept.ipynb", "ordinary_name(1)"), write(root, "gone.ipynb", "zyxwvuts_name(1)")
    with closing(KeptMemory(LocalFiles(root))) as memory:
        memory.builder.start()
        until(lambda: memory.builder.progress.files == 2 and settled(memory.builder))
        assert rests(memory, "zyxw") == ["vuts_name(1)"]
        gone.unlink()  # by another program: the server has no event for it

        def nowhere() -> bool:
            rests(memory, "ordin")  # somebody works
            return not any(
                b"zyxwvuts" in file.read_bytes() for file in SCHEMA.belonging(memory.builder.place)
            )

        until(nowhere)
        assert rests(memory, "zyxw") == []
        assert rests(memory, "ordin") == ["ary_name(1)"]
    assert kept.exists()


def test_nothing_of_one_root_folder_is_in_the_index_of_another(root: Path) -> None:
    write(root, "ada/a.ipynb", "adas_own_name(1)")
    write(root, "eve/e.ipynb", "eves_own_name(1)")
    write(root, "ada/inner/i.ipynb", "inner_own_name(1)")
    memories = {name: built(root / name) for name in ("ada", "eve", "ada/inner")}
    expected = {"ada": {"adas", "inner"}, "eve": {"eves"}, "ada/inner": {"inner"}}
    assert len({memory.builder.place for memory in memories.values()}) == 3
    for name, memory in memories.items():
        with closing(memory):
            assert {word for word in ("adas", "eves", "inner") if rests(memory, f"{word}_own")} == expected[
                name
            ]
            files = SCHEMA.belonging(memory.builder.place)
            for word in {"adas", "eves", "inner"} - expected[name]:
                assert not any(f"{word}_own".encode() in file.read_bytes() for file in files)


# The index -------------------------------------------------------------------------------------------------


def test_where_the_home_cannot_be_written_to_there_is_no_index_and_that_is_said(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file/home"))
    write(root, "a.ipynb", "frobnicate_it(1)")
    with closing(KeptMemory(LocalFiles(root))) as memory:
        memory.builder.start()
        until(lambda: bool(memory.builder.progress.trouble))
        assert "Not a directory" in memory.builder.progress.trouble
        assert len(caplog.records) == 1
        assert rests(memory, "frob") == []
        assert memory.imports("np") == memory.following("python", [["frobnicate_it"]], leaving=[]) == []


def test_a_disk_that_is_full_leaves_what_was_remembered_before(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(Store):
        def __init__(self, path: Path) -> None:
            super().__init__(path)
            self._run("PRAGMA max_page_count = 60")

    for at in range(40):
        file = write(root, f"{at}.ipynb", *(f"value_{at}_{row} = {row}" for row in range(50)))
        os.utime(file, (at, at))
    monkeypatch.setattr(build, "Store", Full)
    monkeypatch.setattr(build, "LONG_BATCH", 1e-9)
    with closing(KeptMemory(LocalFiles(root))) as memory:
        memory.builder.start()
        until(lambda: bool(memory.builder.progress.trouble))
        assert "full" in memory.builder.progress.trouble
        assert 0 < len(known(memory.builder.place)) < 40
        assert rests(memory, "value_39_49") == [" = 49"]
        assert rests(memory, "value_0_") == []
    assert SCHEMA.look(memory.builder.place) is Found.OURS
    with closing(Store(memory.builder.place)) as store:
        for path in store.stamps():
            assert len(store.having(f"value_{path.removesuffix('.ipynb')}_7")) == 1


def test_a_disk_that_was_full_is_written_to_again_without_a_restart(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "RETRY", 0.1)
    full = [True]

    class Full(Store):
        def put(self, *given: Any) -> bool:
            if full[0]:
                raise sqlite3.OperationalError("database or disk is full")
            return super().put(*given)

    monkeypatch.setattr(build, "Store", Full)
    write(root, "a.ipynb", "frobnicate_it(1)")
    with closing(KeptMemory(LocalFiles(root))) as memory:
        memory.builder.start()
        until(lambda: "full" in memory.builder.progress.trouble)
        full[0] = False
        until(lambda: rests(memory, "frob") == ["nicate_it(1)"])
        assert not memory.builder.progress.trouble


def test_an_index_in_a_home_that_became_read_only_is_used_as_it_is(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = write(root, "gone.ipynb", "settle_it(2)")
    write(root, "a.ipynb", "frobnicate_it(1)")
    built(root).close()

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Schema, "prepare", refuse)
    with closing(KeptMemory(LocalFiles(root))) as memory:
        memory.builder.start()
        until(lambda: "Read-only" in memory.builder.progress.trouble)
        assert rests(memory, "frob") == ["nicate_it(1)"]
        gone.unlink()
        assert rests(memory, "settle") == []


def test_a_server_that_is_killed_while_it_builds_leaves_an_index_that_the_next_completes(
    root: Path, tmp_path: Path
) -> None:
    for at in range(30):
        write(root, f"{at}.ipynb", f"import m{at}\nname_of_{at} = 1", "common(1)")
    child = building(root)
    assert child.stdout
    for _ in range(10):
        child.stdout.readline()
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    place = place_of(LocalFiles(root).identity)
    assert 5 < len(known(place)) < 30
    with closing(built(root)) as memory:
        assert held(memory) == fresh(root, tmp_path / "fresh.db")


def test_two_servers_that_build_at_once_leave_the_index_that_one_would(root: Path, tmp_path: Path) -> None:
    for at in range(30):
        write(root, f"{at}.ipynb", f"import m{at}\nname_of_{at} = 1", "common(1)")
    children = [building(root) for _ in range(2)]
    read = [child.communicate()[0].splitlines() for child in children]
    assert [child.returncode for child in children] == [0, 0]
    assert {*read[0], *read[1]} == {f"{at}.ipynb" for at in range(30)}
    with closing(built(root)) as memory:
        assert held(memory) == fresh(root, tmp_path / "fresh.db")


# A contents manager of somebody's own ----------------------------------------------------------------------


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop

    def end() -> None:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.call_soon(loop.stop)

    loop.call_soon_threadsafe(end)
    thread.join()
    loop.close()


@pytest.mark.parametrize("status", [503, 403])
def test_a_manager_that_fails_for_a_while_has_lost_no_file(
    loop: asyncio.AbstractEventLoop, status: int
) -> None:
    manager = Manager()
    source = Contents(manager, loop)
    builder = Builder(place_of(source.identity), source)
    builder._rushing = True

    def somebody_works() -> None:
        look_again(builder, store)

    manager.fails = status
    with closing(builder._open()) as store:
        builder._work(store)
        assert not store.stamps()
        manager.fails = 0
        somebody_works()
        assert set(store.stamps()) == {"a.ipynb", "d/b.ipynb"}
        manager.fails = status
        builder.changed("a.ipynb", "d")
        somebody_works()
        assert set(store.stamps()) == {"a.ipynb", "d/b.ipynb"}
        manager.fails = 0
        del manager.texts["d/b.ipynb"]
        manager.asked.clear()
        somebody_works()
        assert set(store.stamps()) == {"a.ipynb"}
        assert manager.asked == [""], "folders are asked, not each file"


def test_a_folder_that_a_manager_does_not_tell_of_keeps_no_other_from_being_forgotten(
    loop: asyncio.AbstractEventLoop,
) -> None:
    manager = Manager()
    source = Contents(manager, loop)
    builder = Builder(place_of(source.identity), source)
    builder._rushing = True
    with closing(builder._open()) as store:
        builder._work(store)
        manager.fails, manager.failing = 403, "d"
        del manager.texts["a.ipynb"]
        look_again(builder, store)
        assert set(store.stamps()) == {"d/b.ipynb"}


def test_a_file_that_a_manager_does_not_give_for_a_moment_is_not_empty(
    loop: asyncio.AbstractEventLoop,
) -> None:
    manager = Manager()
    source = Contents(manager, loop)
    manager.fails, manager.failing = 500, "a"
    with pytest.raises(OSError, match="does not answer"):
        source.read("a.ipynb")
    manager.fails = 400  # it is of another kind than was asked for
    assert source.read("a.ipynb") == ""
    with pytest.raises(OSError, match="does not answer"):
        source.exists("a.ipynb")


def test_what_is_deleted_through_a_manager_is_not_told_of_while_it_is_slow(
    loop: asyncio.AbstractEventLoop,
) -> None:
    manager = Manager()
    memory = KeptMemory(Contents(manager, loop))
    with closing(memory), closing(memory.builder._open()) as store:
        memory.builder._rushing = True
        memory.builder._work(store)
        assert rests(memory, "settle") == ["_it(2)"]
        assert rests(memory, "frob") == ["nicate_it(1)"]
        memory.builder.changed("d")  # the thread waits for the manager, and has not looked
        assert rests(memory, "settle") == []
        assert rests(memory, "frob") == ["nicate_it(1)"]


def test_what_a_manager_was_not_asked_about_lately_is_not_told(loop: asyncio.AbstractEventLoop) -> None:
    memory = KeptMemory(Contents(Manager(), loop))
    with closing(memory), closing(memory.builder._open()) as store:
        memory.builder._rushing = True
        memory.builder._work(store)
        memory.builder._seen -= 2 * build.SWEEP
        assert rests(memory, "frob") == []
        look_again(memory.builder, store)
        assert rests(memory, "frob") == ["nicate_it(1)"]
        memory.builder._report("an error")
        assert rests(memory, "frob") == []


def test_links_in_a_circle_end_after_so_many_folders(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Circle(Manager):
        async def get(self, path: str, **_: Any) -> dict[str, Any]:
            self.asked.append(path)
            names = ["again", "once_more"]
            models = [
                {"type": "directory", "path": f"{path}/{name}".strip("/"), "name": name} for name in names
            ]
            return {"type": "directory", "content": [*models, {"type": "file", "path": f"{path}/a.py"}]}

    monkeypatch.setattr(contents, "MOST_FOLDERS", 100)
    manager, unseen = Circle(), []
    assert len([*Contents(manager, loop).walk("", unseen)]) == 100
    assert len(manager.asked) == 100
    assert unseen


def test_a_notebook_of_any_size_through_a_manager_costs_nothing_but_itself(
    loop: asyncio.AbstractEventLoop,
) -> None:
    class Huge(Manager):
        async def get(self, path: str, **wanted: Any) -> dict[str, Any]:
            model = await super().get(path, **wanted)
            for one in (model, *(model["content"] if isinstance(model.get("content"), list) else ())):
                one["size"] = None
                one["last_modified"] = datetime.min.replace(tzinfo=UTC)
            return model

    manager = Huge()
    manager.texts["a.ipynb"] = "x" * 200 * 1024**2
    source = Contents(manager, loop)
    builder = Builder(place_of(source.identity), source)
    builder._rushing = True
    with closing(builder._open()) as store:
        builder._work(store)
        assert set(store.stamps()) == {"a.ipynb", "d/b.ipynb"}
        assert store.having("settle_it")


def test_two_managers_of_a_kind_have_an_index_each_and_one_has_the_same_after_its_token_changed(
    loop: asyncio.AbstractEventLoop,
) -> None:
    def identity(**settings: Any) -> str:
        manager = Manager()
        manager.trait_values = lambda **_: settings  # type: ignore[method-assign]
        return Contents(manager, loop).identity

    inner = {"": Manager, "s3": Contents}
    assert identity(managers=inner) == identity(managers=dict(reversed(inner.items())))
    assert identity(managers=inner) != identity(managers={"": Manager, "s3": Builder})
    assert identity(kwargs={"s3": {"prefix": "ada"}}) != identity(kwargs={"s3": {"prefix": "eve"}})
    assert identity(access_key_id="a1", kwargs={"s3": {"token": 1}}) == identity(
        access_key_id="b2", kwargs={"s3": {"token": 2}}
    )
    assert "b2" not in identity(access_key_id="b2")
    assert identity(object=Manager()) == identity(object=Manager()), "no address of the memory is in it"


def test_a_manager_that_does_not_answer_is_not_waited_for_at_the_end(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = Manager()
    manager.slow = 1000.0
    memory = KeptMemory(Contents(manager, loop))
    memory.builder.start()
    until(lambda: manager.asked == [""])
    assert rests(memory, "frob") == []
    memory.close()
    monkeypatch.setattr(contents, "_ANSWER", 0.05)
    with pytest.raises(OSError, match="does not answer"):
        memory.source.exists("a.ipynb")


def test_a_server_that_has_ended_is_not_asked() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    with pytest.raises(OSError, match="has stopped"):
        Contents(Manager(), loop).exists("a.ipynb")


def test_a_manager_that_holds_up_the_event_loop_gets_pauses(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Blocking(Manager):
        def get(self, path: str, **_: Any) -> Any:  # type: ignore[override]
            time.sleep(0.02)
            return {"type": "file", "content": "x = 1"}

    slept: list[float] = []
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=slept.append)
    monkeypatch.setattr(contents, "time", clock)
    Contents(Blocking(), loop).read("a.py")
    assert slept[0] >= 3 * 0.02
