"""What may become of a person's files and of the index of them: it misleads nobody and holds nobody up."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tornado.web import HTTPError

from jupyter_turbopilot.memory import build, contents
from jupyter_turbopilot.memory.build import Builder
from jupyter_turbopilot.memory.contents import Contents
from jupyter_turbopilot.memory.kept import KeptMemory
from jupyter_turbopilot.memory.local_files import LocalFiles
from jupyter_turbopilot.memory.places import place_of
from jupyter_turbopilot.memory.store import Store, belonging, look
from jupyter_turbopilot.sqlite_file.disk import Found

from ..memory.folders import built, known, rests, settled, until
from ..memory.notebooks import notebook, write
from ..memory.test_store import content

BUILDER = """
import sys
import time
from pathlib import Path
from jupyter_turbopilot.memory.build import Builder
from jupyter_turbopilot.memory.local_files import LocalFiles

class Telling(LocalFiles):
    def read(self, path):
        print(path, flush=True)
        time.sleep(0.01)
        return super().read(path)

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


def test_of_a_folder_of_thousands_of_files_the_newest_are_remembered_in_seconds(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "MOST_FILES", 200)
    for folder in range(40):
        (root / f"{folder}").mkdir()
        for at in range(100):
            file = root / f"{folder}/{at}.py"
            file.write_text(f"name_{folder}_{at} = 1")
            os.utime(file, (folder * 100 + at, folder * 100 + at))
    begun = time.monotonic()
    with closing(built(root)) as memory:
        assert time.monotonic() - begun < 10
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
        builder._used, builder._tried = True, float("-inf")
        builder._work(store)
        assert store.having("second_version")


def test_a_disk_that_is_not_mounted_for_a_while_has_lost_no_file(root: Path) -> None:
    write(root, "a.ipynb", "frobnicate_it(1)")
    with closing(built(root)) as memory, closing(memory.builder._open()) as store:
        builder = memory.builder
        root.rename(root.with_name("away"))
        builder.changed("a.ipynb")
        builder._everything = builder._used = True
        builder._tried = float("-inf")
        builder._work(store)
        assert known(builder.place) == {"a.ipynb"}
        assert rests(memory, "frob") == [], "what cannot be looked at is not told"
        root.with_name("away").rename(root)
        assert rests(memory, "frob") == ["nicate_it(1)"]
        write(root, "b.ipynb", "another_one(1)")
        builder._used, builder._tried = True, float("-inf")
        builder._work(store)
        assert known(builder.place) == {"a.ipynb", "b.ipynb"}, "all of it is looked at as soon as it is there"


def test_what_is_deleted_is_not_told_and_soon_nowhere_on_the_disk(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "SWEEP", 0.2)
    kept, gone = write(root, "kept.ipynb", "ordinary_name(1)"), write(root, "gone.ipynb", "zyxwvuts_name(1)")
    with closing(KeptMemory(LocalFiles(root))) as memory:
        memory.builder._pause = 0.2
        memory.builder.start()
        until(lambda: memory.builder.progress.files == 2 and settled(memory.builder))
        assert rests(memory, "zyxw") == ["vuts_name(1)"]
        gone.unlink()  # by another program: the server has no event for it

        def nowhere() -> bool:
            rests(memory, "ordin")  # somebody works
            return not any(b"zyxwvuts" in file.read_bytes() for file in belonging(memory.builder.place))

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
            files = belonging(memory.builder.place)
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
        assert memory.imports("np") == memory.similar("python", ["frobnicate_it"], leaving=[]) == []


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
    with closing(KeptMemory(LocalFiles(root))) as memory:
        memory.builder.start()
        until(lambda: bool(memory.builder.progress.trouble))
        assert "full" in memory.builder.progress.trouble
        assert 0 < len(known(memory.builder.place)) < 40
        assert rests(memory, "value_39_49") == [" = 49"]
        assert rests(memory, "value_0_") == []
    assert look(memory.builder.place) is Found.OURS
    with closing(Store(memory.builder.place)) as store:
        for path in store.stamps():
            assert len(store.having(f"value_{path.removesuffix('.ipynb')}_7")) == 1


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


class Manager:
    """Two notebooks in a storage elsewhere, which may fail."""

    root_dir = "elsewhere"

    def __init__(self) -> None:
        self.texts = {"a.ipynb": notebook("frobnicate_it(1)"), "d/b.ipynb": notebook("settle_it(2)")}
        self.fails = False
        self.slow = 0.0
        self.asked: list[str] = []

    def trait_values(self, **_: Any) -> dict[str, Any]:
        return {}

    async def get(self, path: str, content: bool = True, **_: Any) -> dict[str, Any]:
        self.asked.append(path)
        await asyncio.sleep(self.slow)
        if self.fails:
            raise HTTPError(503)
        if path in self.texts:
            text = self.texts[path]
            return {
                "type": "file",
                "path": path,
                "name": path,
                "size": len(text),
                "content": content and text,
            }
        listed = {"": ["a.ipynb", "d"], "d": ["d/b.ipynb"]}.get(path)
        if listed is None:
            raise HTTPError(404)
        there = [name for name in listed if name == "d" or name in self.texts]
        models = [
            {
                "type": "file" if name in self.texts else "directory",
                "path": name,
                "name": name.split("/")[-1],
                "size": len(self.texts.get(name, "")),
            }
            for name in there
        ]
        return {"type": "directory", "path": path, "content": models}


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


def test_a_manager_that_fails_for_a_while_has_lost_no_file(loop: asyncio.AbstractEventLoop) -> None:
    manager = Manager()
    source = Contents(manager, loop)
    builder = Builder(place_of(source.identity), source)
    builder._rushing = True

    def somebody_works() -> None:
        builder._used, builder._tried = True, float("-inf")
        builder._work(store)

    manager.fails = True
    with closing(builder._open()) as store:
        builder._work(store)
        assert not store.stamps()
        manager.fails = False
        somebody_works()
        assert set(store.stamps()) == {"a.ipynb", "d/b.ipynb"}
        manager.fails = True
        builder.changed("a.ipynb", "d")
        somebody_works()
        assert set(store.stamps()) == {"a.ipynb", "d/b.ipynb"}
        manager.fails = False
        del manager.texts["d/b.ipynb"]
        manager.asked.clear()
        somebody_works()
        assert set(store.stamps()) == {"a.ipynb"}
        assert manager.asked == ["", "d"], "folders are asked, not each file"


def test_a_manager_that_does_not_answer_is_not_waited_for_at_the_end(
    loop: asyncio.AbstractEventLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager = Manager()
    manager.slow = 1000.0
    memory = KeptMemory(Contents(manager, loop))
    memory.builder.start()
    until(lambda: manager.asked == [""])
    begun = time.monotonic()
    assert rests(memory, "frob") == []
    assert time.monotonic() - begun < 0.5
    memory.close()
    assert time.monotonic() - begun < build.END + 1
    monkeypatch.setattr(contents, "_ANSWER", 0.05)
    with pytest.raises(OSError, match="does not answer"):
        memory.source.stamp("a.ipynb")


def test_a_server_that_has_ended_is_not_asked() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    with pytest.raises(OSError, match="has ended"):
        Contents(Manager(), loop).stamp("a.ipynb")


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
