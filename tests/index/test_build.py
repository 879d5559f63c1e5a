from __future__ import annotations

import errno
import json
import os
import sqlite3
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import closing, suppress
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.engine.cpu_usage import Pause
from jupyter_turbopilot.index import build
from jupyter_turbopilot.index.build import Builder, BuildProgress, EndedError
from jupyter_turbopilot.index.entries import Page
from jupyter_turbopilot.index.excluded import MOST_BYTES
from jupyter_turbopilot.index.local_files import FileInfo, LocalFiles
from jupyter_turbopilot.index.paths import deletion_mark, path_of
from jupyter_turbopilot.index.store import SCHEMA, IndexStore
from jupyter_turbopilot.util.sqlite_file import FileState, Schema, delete

from . import folders
from .folders import look_again, settled, until
from .notebooks import write
from .test_store import content


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def builder(root: Path) -> Iterator[Builder]:
    source = LocalFiles(root)
    with closing(Builder(path_of(source.identity), source)) as made:
        yield made


def known(builder: Builder) -> set[str]:
    return folders.known(builder.path)


def test_builder_pauses_reading_but_not_deletion_while_busy(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "_PAUSED_POLL", 0.05)
    monkeypatch.setattr(build, "QUIET", 0.3)
    monkeypatch.setattr(build, "_POLL", 0.01)
    monkeypatch.setattr(build, "PATIENCE", 600.0)
    source, busy, types, requests = LocalFiles(root), threading.Event(), threading.Event(), [1]

    def asked() -> int:
        if types.is_set():
            requests.append(1)
        return len(requests)

    gone = write(root, "gone.ipynb", "x_first = 1")
    with closing(
        Builder(
            path_of(source.identity),
            source,
            pause=lambda: Pause.KERNEL if busy.is_set() else None,
            asked=asked,
        )
    ) as builder:
        builder.start()
        until(lambda: known(builder) == {"gone.ipynb"} and settled(builder))
        busy.set()
        for at in range(3):
            write(root, f"{at}.ipynb", "x_more = 1")
            builder.changed(f"{at}.ipynb")
        gone.unlink()
        builder.changed("gone.ipynb")
        until(lambda: known(builder) == set())
        types.set()
        busy.clear()
        until(lambda: len(requests) > 20)
        assert known(builder) == set()
        types.clear()
        until(lambda: len(known(builder)) == 3)


def test_builder_reads_files_despite_constant_typing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "PATIENCE", 0.2)
    write(root, "a.ipynb", "x_first = 1")
    source = LocalFiles(root)
    count = iter(range(10**9))
    with closing(Builder(path_of(source.identity), source, asked=lambda: next(count))) as builder:
        builder.start()
        until(lambda: known(builder) == {"a.ipynb"})


def test_builder_reads_only_changed_files_after_a_restart(root: Path) -> None:
    source = LocalFiles(root)
    changed = write(root, "a.ipynb", "first_name(1)")
    write(root, "b.ipynb", "second_name(2)")
    gone = write(root, "c.ipynb", "third_name(3)")
    with closing(Builder(path_of(source.identity), source)) as first:
        first.start()
        until(lambda: first.progress.files == 3 and settled(first))
    gone.unlink()
    changed.write_text(changed.read_text().replace("first_name", "other_name"))
    os.utime(changed, (1, 1))  # a clock that was set back
    read: list[str] = []

    class Noting(LocalFiles):
        def read(self, path: str) -> str:
            read.append(path)
            return super().read(path)

    with closing(Builder(first.path, Noting(root))) as second:
        second.start()
        until(lambda: second.progress.files == 2 and settled(second))
    assert read == ["a.ipynb"]


@pytest.mark.parametrize("error", [ZeroDivisionError, MemoryError])
def test_builder_continues_after_an_unexpected_error_in_a_file(
    builder: Builder, root: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    write(root, "bad.ipynb", "x_name = 1")
    write(root, "good.ipynb", "good_name(1)")
    page_of = build.page_of

    def fail_for_one(path: str, text: str) -> Page:
        if path == "bad.ipynb":
            raise error
        return page_of(path, text)

    monkeypatch.setattr(build, "page_of", fail_for_one)
    with closing(builder._open()) as store:
        builder._work(store)
        assert len(store.stamps()) == 2
        assert store.lines("python", "good_name", "", "")


@pytest.mark.parametrize("error", ["no room", "read-only", "no threads"])
def test_builder_reports_once_that_no_index_can_be_kept(
    builder: Builder,
    root: Path,
    error: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: object) -> None:
        if error == "no threads":
            raise RuntimeError
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    if error == "no room":
        monkeypatch.setattr(build, "free_room", lambda _: 1024)
    elif error == "no threads":
        monkeypatch.setattr(threading.Thread, "start", refuse)
    else:
        monkeypatch.setattr(Schema, "prepare", refuse)
    builder.start()
    until(lambda: bool(builder.progress.error))
    builder.changed("a.ipynb")
    builder.used()
    assert builder.progress.error
    assert len(caplog.records) == 1
    assert not builder.path.exists()


@pytest.mark.parametrize("how", ["emptied", "deleted"])
def test_builder_does_not_recreate_an_index_deleted_by_the_user(
    builder: Builder, root: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "SWEEP", 0.1)
    write(root, "a.ipynb", "first_name(1)")
    builder.start()
    until(lambda: builder.progress.files == 1 and settled(builder))
    if how == "emptied":
        with closing(IndexStore(builder.path)) as store:
            store.clear("mark")
    else:
        for file in SCHEMA.owned_files(builder.path):
            file.unlink()
    write(root, "b.ipynb", "second_name(2)")
    builder.used()  # which scans the folder
    until(lambda: how in builder.progress.error)
    # The same message as in a terminal, which has no server.
    again = "the next Jupyter server or IPython that starts begins a new one"
    assert builder.progress.error == f"the index was {how}; {again}"
    assert known(builder) == set()
    with closing(Builder(builder.path, LocalFiles(root))) as second:
        second.start()
        until(lambda: known(second) == {"a.ipynb", "b.ipynb"})


def test_builder_removes_denied_files_from_the_indexes_with_other_denied_paths(
    root: Path, tmp_path: Path
) -> None:
    write(root, "a.ipynb", "first_name(1)")
    write(root, "exams/b.ipynb", "second_name(2)")
    (elsewhere := tmp_path / "elsewhere").mkdir()
    write(elsewhere, "exams/b.ipynb", "second_name(2)")
    source, other = LocalFiles(root), LocalFiles(elsewhere)
    unlimited = [Builder(path_of(one.identity), one) for one in (source, other)]
    for one in unlimited:
        one.build_now()
    allows = lambda path: not path.startswith("exams/")  # noqa: E731
    with closing(Builder(path_of(source.identity, "exams"), source, allows=allows)) as limited:
        limited.build_now()
    assert known(limited) == known(unlimited[0]) == {"a.ipynb"}
    assert known(unlimited[1]) == {"exams/b.ipynb"}
    assert b"second_name" not in unlimited[0].path.read_bytes()


def test_build_now_builds_an_index_that_was_deleted_in_jupyterlab(builder: Builder, root: Path) -> None:
    write(root, "a.ipynb", "first_name(1)")
    SCHEMA.prepare(builder.path)
    deletion_mark(LocalFiles(root).identity).touch()
    with pytest.raises(EndedError):
        builder._open()
    builder.build_now()
    assert known(builder) == {"a.ipynb"}


def test_builder_leaves_an_index_empty_that_is_cleared_meanwhile(builder: Builder, root: Path) -> None:
    for at in range(20):
        write(root, f"{at}.ipynb", f"name_of_{at} = 1")
    read = builder._source.read

    def slow(path: str) -> str:
        if len(known(builder)) > 3:
            with closing(IndexStore(builder.path)) as other:
                other.clear("mark")
        time.sleep(build.BATCH)
        return read(path)

    builder._source.read = slow  # type: ignore[attr-defined, method-assign]
    with pytest.raises(EndedError):
        builder.build_now()
    assert known(builder) == set()


def test_builder_uses_an_index_replaced_by_another_server(builder: Builder, root: Path) -> None:
    write(root, "a.ipynb", "first_name(1)")
    builder.start()
    until(lambda: builder.progress.files == 1 and settled(builder))
    fresh = builder.path.with_name("fresh.db")
    SCHEMA.prepare(fresh)
    delete(builder.path)
    fresh.replace(builder.path)
    write(root, "b.ipynb", "second_name(2)")
    builder.changed("b.ipynb")
    until(lambda: known(builder) == {"a.ipynb", "b.ipynb"})


def test_builder_leaves_an_index_that_another_version_has_replaced(builder: Builder) -> None:
    builder.start()
    until(lambda: settled(builder))
    other = Schema(SCHEMA.application, SCHEMA.version + 1, SCHEMA.tables)
    other.prepare(builder.path)
    builder.changed("a.ipynb")
    until(lambda: "another version" in builder.progress.error)
    assert other.state_of(builder.path) is FileState.OURS


def test_builder_finds_files_of_other_programs(
    builder: Builder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "SWEEP", 0.1)
    builder.start()
    until(lambda: settled(builder) and not builder._scans)
    write(root, "new/a.ipynb", "first_name(1)")
    builder.used()
    until(lambda: known(builder) == {"new/a.ipynb"})


def test_builder_finds_a_folder_that_is_renamed_during_a_scan(builder: Builder, root: Path) -> None:
    for path in ("0.ipynb", "1.ipynb", "2.ipynb", "d/b.ipynb"):
        write(root, path, "x_name = 1")
    walk = builder._source.walk

    def renaming(unseen: list[str]) -> Iterator[FileInfo]:
        for looked in walk(unseen):
            yield looked
            if (root / "d").exists():  # its files are not listed yet
                (root / "d").rename(root / "e")
                builder.changed("d", "e")

    builder._source.walk = renaming  # type: ignore[method-assign]
    with closing(builder._open()) as store:
        builder._work(store)
        assert set(store.stamps()) == {"0.ipynb", "1.ipynb", "2.ipynb", "e/b.ipynb"}


def test_changed_reads_a_file_with_an_unchanged_stamp(builder: Builder, root: Path) -> None:
    file = write(root, "a.ipynb", "first_name(1)")
    os.utime(file, (5, 5))
    with closing(builder._open()) as store:
        builder._work(store)
        file.write_text(file.read_text().replace("first", "other"))
        os.utime(file, (5, 5))
        look_again(builder, store)
        assert not store.lines("python", "other_name", "", "")
        builder.changed("a.ipynb")
        builder._work(store)
        assert store.lines("python", "other_name", "", "")
        assert not store.lines("python", "first_name", "", "")


def test_builder_keeps_a_temporarily_unreadable_file(builder: Builder, root: Path) -> None:
    write(root, "a.ipynb", "first_name(1)")
    write(root, "b.ipynb", "second_name(1)")
    read, failing = builder._source.read, [True]

    def fails(path: str) -> str:
        if failing[0] and path == "a.ipynb":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(path)

    builder._source.read = fails  # type: ignore[attr-defined, method-assign]
    with closing(builder._open()) as store:
        builder._work(store)
        assert set(store.stamps()) == {"b.ipynb"}
        failing[0] = False
        look_again(builder, store)
        assert store.lines("python", "first_name", "", "")
        failing[0] = True
        write(root, "a.ipynb", "third_name(1)")
        builder.changed("a.ipynb")
        builder._work(store)
        assert store.lines("python", "first_name", "", ""), (
            "the previous content is kept until the file can be read again"
        )


def test_builder_skips_a_file_that_cannot_be_stored(
    builder: Builder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "bad", "c"):
        write(root, f"{name}.ipynb", f"name_of_{name} = 1")
    (root / os.fsdecode(b"\xff.py")).write_text("name_without_letters = 1")
    (root / "modules.py").write_text("\n".join(f"import m{'x' * 40}{at}" for at in range(8000)))
    put = IndexStore.put

    def refuse(store: IndexStore, path: str, *rest: object) -> bool:
        if path == "bad.ipynb" and rest[-1] != Page():
            raise sqlite3.DataError("string or blob too big")
        return put(store, path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(IndexStore, "put", refuse)
    with closing(builder._open()) as store:
        builder._work(store)
        assert set(store.stamps()) == {"a.ipynb", "bad.ipynb", "c.ipynb", "modules.py"}
        assert not store.lines("python", "name_of_bad", "", "")


def test_progress_reports_why_it_is_paused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "_PAUSED_POLL", 0.05)
    write(root, "a.ipynb", "x_first = 1")
    source, reason = LocalFiles(root), [Pause.BATTERY]
    with closing(
        Builder(path_of(source.identity), source, pause=lambda: next(iter(reason), None))
    ) as builder:
        builder.start()
        until(
            lambda: builder.progress == BuildProgress(building=True, files=0, found=1, paused=Pause.BATTERY)
        )
        reason[0] = Pause.KERNEL
        until(lambda: builder.progress.paused is Pause.KERNEL)
        reason.clear()
        until(lambda: builder.progress == BuildProgress(building=False, files=1, found=1))


def test_changed_files_are_uncertain_until_the_change_is_processed(builder: Builder, root: Path) -> None:
    write(root, "kept.ipynb", "x_first = 1")
    with closing(builder._open()) as store:
        builder._work(store)
        builder.changed("0.ipynb")
        assert builder.may_be_deleted("0.ipynb")
        assert not builder.may_be_deleted("kept.ipynb")
        builder._work(store)
        assert not builder.may_be_deleted("0.ipynb")


NAMES = st.sampled_from(["a.py", "b.py", "d/a.py", "d/e/b.py", "secrets.py", ".h/a.py"])
SOURCES = st.sampled_from(
    ["import os", "x_one = 1\nx_two = 2", 'password = "hunter2hunter2"\nx_three = 3', ""]
)
HAPPENED = st.one_of(
    st.tuples(st.just("write"), NAMES, SOURCES),
    st.tuples(st.just("delete"), NAMES, SOURCES),
    st.tuples(st.just("rename"), NAMES, NAMES),
    st.tuples(st.just("rename"), st.just("d"), st.just("moved")),
    st.tuples(st.just("tell"), NAMES | st.just("d"), SOURCES),
    st.tuples(st.just("look"), NAMES, SOURCES),
    st.tuples(st.just("work"), NAMES, SOURCES),
)


class OnDisk:
    """Files in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.source = LocalFiles(root)
        self._clock = 1

    def write(self, name: str, text: str) -> None:
        self._clock += 1
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        os.utime(file, (self._clock, self._clock))

    def delete(self, name: str) -> None:
        (self.root / name).unlink(missing_ok=True)

    def rename(self, name: str, other: str) -> None:
        (self.root / other).parent.mkdir(parents=True, exist_ok=True)
        with suppress(OSError):  # it does not exist, or another file is there
            (self.root / name).rename(self.root / other)


@settings(max_examples=20)
@given(happened=st.lists(HAPPENED, max_size=14), order=st.randoms(use_true_random=False))
def test_builder_reaches_the_same_index_for_any_order_of_events(
    tmp_path_factory: pytest.TempPathFactory,
    happened: list[tuple[str, str, str]],
    order: Random,
) -> None:
    root = tmp_path_factory.mktemp("root")
    files, touched = OnDisk(root), []
    builder = Builder(root.parent / f"{root.name}.db", files.source)
    builder._rushing = True
    store = builder._open()
    for what, name, text in happened:
        if what == "write":
            files.write(name, text)
            touched.append(name)
        elif what == "delete":
            files.delete(name)
            touched.append(name)
        elif what == "rename":
            files.rename(name, text)
            touched += [name, text]
        elif what == "tell":
            builder.changed(name)
        elif what == "look":
            look_again(builder, store)
        else:
            builder._work(store)
    order.shuffle(touched)
    builder.changed(*touched)
    builder._work(store)
    fresh = Builder(root.parent / f"{root.name}-fresh.db", files.source)
    fresh._rushing = True
    with closing(store), closing(fresh._open()) as other:
        fresh._work(other)
        assert content(store) == content(other)
        assert set(store.stamps()) == {one.path for one in files.source.walk([])}
        assert not any("hunter2" in source for _, _, source in content(store)["entries"])


def test_builder_indexes_only_allowed_paths(root: Path) -> None:
    write(root, "exams/a.ipynb", "x_solution = 1")
    write(root, "own.ipynb", "x_own = 1")
    source = LocalFiles(root)
    with closing(Builder(path_of(source.identity), source)) as before:
        before.build_now()
    assert known(before) == {"exams/a.ipynb", "own.ipynb"}
    with closing(
        Builder(path_of(source.identity), source, allows=lambda path: not path.startswith("exams/"))
    ) as builder:
        builder.start()
        until(lambda: known(builder) == {"own.ipynb"} and settled(builder))
        write(root, "exams/a.ipynb", "x_solution = 2")
        write(root, "more.ipynb", "x_more = 1")
        builder.changed("exams/a.ipynb", "more.ipynb")
        until(lambda: known(builder) == {"own.ipynb", "more.ipynb"} and settled(builder))


def test_builder_removes_denied_files_of_a_folder_that_it_cannot_list(root: Path) -> None:
    class Unlisted(LocalFiles):
        def walk(self, unseen: list[str]) -> Iterator[FileInfo]:
            unseen.append("")
            yield from ()

    write(root, "exams/a.ipynb", "x_solution = 1")
    write(root, "own.ipynb", "x_own = 1")
    source = Unlisted(root)
    with closing(Builder(path_of(source.identity), LocalFiles(root))) as before:
        before.build_now()
    allows = lambda path: not path.startswith("exams/")  # noqa: E731
    with closing(Builder(before.path, source, allows=allows)) as builder:
        builder.start()
        until(lambda: known(builder) == {"own.ipynb"})


def test_builder_compares_the_queue_once_with_all_deleted_paths(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared, original = list[str](), build.is_under

    def is_under(path: str, folders: Collection[str]) -> bool:
        compared.append(path)
        return original(path, folders)

    monkeypatch.setattr(build, "is_under", is_under)
    files = [write(root, f"{at}.ipynb", "x_name = 1") for at in range(50)]
    source = LocalFiles(root)
    with closing(Builder(path_of(source.identity), source, pause=lambda: Pause.KERNEL)) as builder:
        builder.start()
        until(lambda: builder.progress.found == len(files))
        for file in files:
            file.unlink()
        builder.changed(*(file.name for file in files))
        until(lambda: not builder.progress.building)
        assert len(compared) == len(files)


@pytest.mark.parametrize("change", ["switched off", "too large"])
def test_builder_removes_a_disabled_or_large_notebook_while_paused(root: Path, change: str) -> None:
    path = write(root, "lesson.ipynb", "x_lesson = 1")
    source, busy = LocalFiles(root), threading.Event()
    pause = lambda: Pause.KERNEL if busy.is_set() else None  # noqa: E731
    with closing(Builder(path_of(source.identity), source, pause=pause)) as builder:
        builder.start()
        until(lambda: known(builder) == {"lesson.ipynb"} and settled(builder))
        busy.set()
        content = json.loads(path.read_text())
        if change == "switched off":
            content["metadata"]["turbopilot"] = {"enabled": False}
        path.write_text(json.dumps(content) + " " * MOST_BYTES * (change == "too large"))
        builder.changed("lesson.ipynb")
        until(lambda: known(builder) == set())
