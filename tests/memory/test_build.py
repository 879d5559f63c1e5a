from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.memory import build
from jupyter_turbopilot.memory.build import Builder
from jupyter_turbopilot.memory.local_files import LocalFiles
from jupyter_turbopilot.memory.places import place_of
from jupyter_turbopilot.memory.store import Store, belonging

from . import folders
from .folders import settled, until
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
    with closing(Builder(place_of(source.identity), source)) as made:
        yield made


def known(builder: Builder) -> set[str]:
    return folders.known(builder.place)


def test_a_folder_is_read_and_then_the_thread_sleeps(builder: Builder, root: Path) -> None:
    write(root, "a.ipynb", "first_name(1)")
    write(root, "deep/b.ipynb", "second_name(2)")
    builder.start()
    builder.start()
    until(lambda: builder.progress.files == 2 and settled(builder))
    assert known(builder) == {"a.ipynb", "deep/b.ipynb"}
    assert not builder.progress.trouble
    spent = time.thread_time_ns()
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.1
    assert spent


def test_what_is_saved_renamed_or_deleted_is_brought_up_to_date(builder: Builder, root: Path) -> None:
    one = write(root, "a.ipynb", "first_name(1)")
    write(root, "d/b.ipynb", "second_name(2)")
    builder.start()
    until(lambda: builder.progress.files == 2 and settled(builder))
    write(root, "c.ipynb", "third_name(3)")
    builder.changed("/c.ipynb")
    until(lambda: "c.ipynb" in known(builder))
    one.rename(root / "e.ipynb")
    builder.changed("a.ipynb", "e.ipynb")
    until(lambda: known(builder) == {"c.ipynb", "d/b.ipynb", "e.ipynb"})
    (root / "d").rename(root / "f")
    builder.changed("d", "f")
    until(lambda: known(builder) == {"c.ipynb", "f/b.ipynb", "e.ipynb"})
    (root / "c.ipynb").unlink()
    builder.changed("c.ipynb")
    until(lambda: known(builder) == {"f/b.ipynb", "e.ipynb"} and builder.progress.files == 2)


def test_what_is_deleted_on_the_disk_is_forgotten_once_somebody_works(
    builder: Builder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "SWEEP", 0.1)
    builder._pause = 0.1
    write(root, "a.ipynb", "first_name(1)")
    gone = write(root, "b.ipynb", "second_name(2)")
    builder.start()
    until(lambda: builder.progress.files == 2 and settled(builder))
    gone.unlink()
    write(root, "a.ipynb", "another_name(1)")
    time.sleep(0.15)
    assert not builder.used()
    until(lambda: known(builder) == {"a.ipynb"})
    with closing(Store(builder.place)) as store:
        until(lambda: bool(store.having("another_name")))
        assert not store.having("first_name")
    assert not builder._used


def test_files_are_not_read_while_somebody_types_or_a_kernel_computes_but_what_is_gone_is_forgotten(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "QUIET", 0.3)
    source, requests, busy = LocalFiles(root), [1], threading.Event()
    gone = write(root, "gone.ipynb", "x_first = 1")
    with closing(
        Builder(place_of(source.identity), source, resting=busy.is_set, asked=lambda: len(requests))
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
        busy.clear()
        for _ in range(20):
            requests.append(1)
            time.sleep(0.02)
        assert known(builder) == set()
        until(lambda: len(known(builder)) == 3)


def test_somebody_who_never_stops_typing_does_not_keep_files_from_being_read(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "PATIENCE", 0.2)
    write(root, "a.ipynb", "x_first = 1")
    source = LocalFiles(root)
    count = iter(range(10**9))
    with closing(Builder(place_of(source.identity), source, asked=lambda: next(count))) as builder:
        builder.start()
        until(lambda: known(builder) == {"a.ipynb"})


def test_at_the_next_start_only_what_has_changed_is_read(root: Path) -> None:
    source = LocalFiles(root)
    changed = write(root, "a.ipynb", "first_name(1)")
    write(root, "b.ipynb", "second_name(2)")
    gone = write(root, "c.ipynb", "third_name(3)")
    with closing(Builder(place_of(source.identity), source)) as first:
        first.start()
        until(lambda: first.progress.files == 3 and settled(first))
    gone.unlink()
    changed.write_text(changed.read_text().replace("first_name", "other_name"))
    os.utime(changed, (1, 1))  # a clock that jumped back
    read: list[str] = []

    class Noting(LocalFiles):
        def read(self, path: str) -> str:
            read.append(path)
            return super().read(path)

    with closing(Builder(first.place, Noting(root))) as second:
        second.start()
        until(lambda: second.progress.files == 2 and settled(second))
    assert read == ["a.ipynb"]


def test_what_was_changed_last_is_read_first_and_the_future_is_now(builder: Builder, root: Path) -> None:
    for at, name in enumerate(("old.ipynb", "new.ipynb", "future.ipynb")):
        os.utime(write(root, name, f"name_of_{at} = 1"), (2e9 * at, 2e9 * at))
    read: list[str] = []
    builder._source.read = lambda path: read.append(path) or ""  # type: ignore[attr-defined, method-assign]
    with closing(builder._open()) as store:
        builder._work(store)
        assert read == ["future.ipynb", "new.ipynb", "old.ipynb"]
        assert all(age <= time.time() for (age,) in store._all("SELECT modified FROM documents"))


def test_a_folder_with_more_files_than_are_remembered_keeps_the_newest(
    builder: Builder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "MOST_FILES", 3)
    for at in range(6):
        os.utime(write(root, f"{at}.ipynb", f"name_of_{at} = 1"), (at, at))
    with closing(builder._open()) as store:
        builder._work(store)
        assert set(store.stamps()) == {"3.ipynb", "4.ipynb", "5.ipynb"}


def test_awkward_files_cost_nothing_but_themselves(builder: Builder, root: Path) -> None:
    write(root, "good.ipynb", "good_name(1)")
    (root / "nojson.ipynb").write_text("{")
    (root / "wide.ipynb").write_bytes("{}".encode("utf-16"))
    (root / "nested.ipynb").write_text("[" * 500_000)
    with (root / "huge.ipynb").open("wb") as file:
        file.truncate(200 * 1024**2)
    with closing(builder._open()) as store:
        begun = time.monotonic()
        builder._work(store)
        assert time.monotonic() - begun < 5
        assert len(store.stamps()) == 5  # so that none is read again
        assert [
            path
            for (path,) in store._all(
                "SELECT DISTINCT path FROM documents JOIN entries ON document = documents.id"
            )
        ] == ["good.ipynb"]


def test_an_error_of_ours_in_one_file_does_not_keep_others_from_being_read(
    builder: Builder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root, "bad.ipynb", "x_name = 1")
    write(root, "good.ipynb", "good_name(1)")
    page_of = build.page_of
    monkeypatch.setattr(
        build, "page_of", lambda path, text: 1 / 0 if path == "bad.ipynb" else page_of(path, text)
    )
    with closing(builder._open()) as store:
        builder._work(store)
        assert len(store.stamps()) == 2
        assert store.having("good_name")


def test_a_server_killed_in_the_middle_leaves_an_index_that_the_next_completes(
    builder: Builder, root: Path
) -> None:
    for at in range(6):
        write(root, f"{at}.ipynb", f"name_of_{at} = 1")
    read = builder._source.read

    def killed(path: str) -> str:
        if len(known(builder)) == 3:
            raise KeyboardInterrupt
        return read(path)

    builder._source.read = killed  # type: ignore[attr-defined, method-assign]
    store = builder._open()
    with pytest.raises(KeyboardInterrupt):
        builder._work(store)
    with closing(Builder(builder.place, LocalFiles(root))) as second:  # the first has it open still
        second.start()
        until(lambda: second.progress.files == 6 and settled(second))
    store.close()


def test_two_servers_on_one_folder_share_an_index(builder: Builder, root: Path) -> None:
    for at in range(20):
        write(root, f"{at}.ipynb", f"name_of_{at} = 1")
    with closing(Builder(builder.place, LocalFiles(root))) as other:
        builder.start()
        other.start()
        until(lambda: settled(builder) and settled(other) and len(known(builder)) == 20)
        assert not builder.progress.trouble + other.progress.trouble
    with closing(Store(builder.place)) as store:
        assert store._all("SELECT count(*) FROM entries") == [(20,)]


@pytest.mark.parametrize("trouble", ["no room", "read-only", "not writable", "no threads"])
def test_where_no_index_can_be_kept_it_says_so_once_and_nothing_else_happens(
    builder: Builder,
    root: Path,
    trouble: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: object) -> None:
        if trouble == "no threads":
            raise RuntimeError
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    if trouble == "no room":
        monkeypatch.setattr(build, "free_room", lambda _: 1024)
    elif trouble == "no threads":
        monkeypatch.setattr(threading.Thread, "start", refuse)
    else:
        monkeypatch.setattr(build, "prepare", refuse)
    builder.start()
    until(lambda: bool(builder.progress.trouble))
    builder.changed("a.ipynb")
    builder.used()
    assert builder.progress.trouble.startswith("There is no index of your code: ")
    assert len(caplog.records) == 1
    assert not builder.place.exists()


def test_an_index_that_is_deleted_is_begun_anew_with_what_is_saved_next(builder: Builder, root: Path) -> None:
    write(root, "a.ipynb", "first_name(1)")
    builder.start()
    until(lambda: builder.progress.files == 1 and settled(builder))
    for file in belonging(builder.place):
        file.unlink()
    write(root, "b.ipynb", "second_name(2)")
    builder.changed("b.ipynb")
    until(lambda: known(builder) == {"b.ipynb"})


def test_a_burst_of_changes_ends_in_a_look_at_everything(
    builder: Builder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "_MOST_CHANGES", 10)
    with closing(builder._open()) as store:
        builder._work(store)
        for at in range(25):
            write(root, f"{at}.ipynb", f"name_of_{at} = 1")
            builder.changed(f"{at}.ipynb")
        assert len(builder._changed) <= 10
        builder._work(store)
        assert len(store.stamps()) == 25


NAMES = st.sampled_from(["a.py", "b.py", "d/a.py", "d/e/b.py", "secrets.py", ".h/a.py"])
SOURCES = st.sampled_from(
    ["import os", "x_one = 1\nx_two = 2", 'password = "hunter2hunter2"\nx_three = 3', ""]
)
HAPPENED = st.one_of(
    st.tuples(st.just("write"), NAMES, SOURCES),
    st.tuples(st.just("delete"), NAMES, SOURCES),
    st.tuples(st.just("tell"), NAMES | st.just("d"), SOURCES),
    st.tuples(st.just("restart"), NAMES, SOURCES),
    st.tuples(st.just("work"), NAMES, SOURCES),
)


@settings(max_examples=25)
@given(st.lists(HAPPENED, max_size=14), st.randoms(use_true_random=False))
def test_the_index_is_the_same_after_any_order_of_events(
    tmp_path_factory: pytest.TempPathFactory, happened: list[tuple[str, str, str]], order: object
) -> None:
    root = tmp_path_factory.mktemp("root")
    source, touched, clock = LocalFiles(root), [], 1
    builder = Builder(root.parent / f"{root.name}.db", source)
    store = builder._open()
    for what, name, text in happened:
        file = root / name
        if what == "write":
            clock += 1
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            os.utime(file, (clock, clock))
            touched.append(name)
        elif what == "delete":
            file.unlink(missing_ok=True)
            touched.append(name)
        elif what == "tell":
            builder.changed(name)
        elif what == "restart":
            builder._everything = True
        else:
            builder._work(store)
    order.shuffle(touched)  # type: ignore[attr-defined]
    builder.changed(*touched)
    builder._work(store)
    fresh = Builder(root.parent / f"{root.name}-fresh.db", source)
    with closing(store), closing(fresh._open()) as other:
        fresh._work(other)
        assert content(store) == content(other)
        there = {one.path for one in source.walk()}
        assert set(store.stamps()) == there
        assert not any("hunter2" in source for _, _, source in content(store)["entries"])
