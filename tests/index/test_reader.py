from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_turbopilot.index import local_files
from jupyter_turbopilot.index.build import WHY_DELETED
from jupyter_turbopilot.index.entries import SMALL, page_of
from jupyter_turbopilot.index.local_files import LocalFiles
from jupyter_turbopilot.index.paths import path_of
from jupyter_turbopilot.index.reader import MaintainedIndex, NotebookIndex
from jupyter_turbopilot.index.store import MOST_PATHS_EACH, SCHEMA, IndexStore

from .folders import built, rests, until
from .notebooks import notebook


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "index.db"
    SCHEMA.prepare(path)
    return path


@pytest.fixture
def gone() -> set[str]:
    return set()


@pytest.fixture
def reader(place: Path, gone: set[str]) -> Iterator[NotebookIndex]:
    with closing(NotebookIndex(place, lambda paths: set(paths) - gone)) as opened:
        yield opened


@pytest.fixture
def put(place: Path) -> Iterator[Callable[..., None]]:
    with closing(IndexStore(place)) as store:

        def add(path: str, *cells: str, modified: float = 1.0) -> None:
            store.put(path, "1", modified, page_of(path, notebook(*cells)))

        yield add


def test_continuations_come_from_other_notebooks(reader: NotebookIndex, put: Callable[..., None]) -> None:
    put("a.ipynb", "import numpy as np\nload_table(one)", modified=3.0)
    put("b.ipynb", "import numpy as np\nload_table(one)\nload_table(one)", modified=7.0)
    put("c.ipynb", "import pandas\nload_table(two)", modified=9.0)
    found = reader.continuations(
        "python", "    load_t", "import pandas", path="x.ipynb", modules=["numpy", "pandas"]
    )
    assert [(one.rest, one.times, one.documents, one.above, one.imports) for one in found] == [
        ("able(two)", 1, 1, True, 0.5),
        ("able(one)", 3, 2, False, 0.5),
    ]


def test_continuations_exclude_the_notebook_and_single_letters(
    reader: NotebookIndex, put: Callable[..., None]
) -> None:
    put("a.ipynb", "load_table(one)")
    for path in ("a.ipynb", "/a.ipynb", "RTC:a.ipynb"):
        assert not reader.continuations("python", "load", "", path=path, modules=[])
    assert not reader.continuations("python", "  l", "", path="b.ipynb", modules=[])
    assert not reader.continuations("python", "", "", path="b.ipynb", modules=[])


def test_imports_exclude_the_given_documents(reader: NotebookIndex, put: Callable[..., None]) -> None:
    paths = [f"{number:02}.ipynb" for number in range(MOST_PATHS_EACH + 4)]
    for path in paths:
        put(path, "import numpy as np")
    one_fewer = [("import numpy as np", len(paths) - 1)]
    assert [reader.imports("np", leaving=[path]) for path in paths] == [one_fewer] * len(paths)
    assert reader.imports("np", leaving=paths[:MOST_PATHS_EACH]) == [("import numpy as np", 4)]
    assert reader.imports("np", leaving=[*paths, "nowhere.ipynb"]) == []


def test_imports_are_limited_to_a_folder(reader: NotebookIndex, put: Callable[..., None]) -> None:
    put("a.ipynb", "from helpers import clean")
    put("work/b.ipynb", "from helpers import clean")
    put("work/deep/c.ipynb", "from tools import clean")
    put("work2/d.ipynb", "from others import clean")
    assert reader.imports("clean", folder=".") == [("from helpers import clean", 1)]
    assert reader.imports("clean", folder="work") == [("from helpers import clean", 1)]
    assert reader.imports("clean", folder="work/deep") == [("from tools import clean", 1)]
    assert reader.imports("clean", folder="wor") == []
    assert reader.imports("clean", folder="work_") == []


def test_memory_reopens_a_replaced_index(
    reader: NotebookIndex, put: Callable[..., None], place: Path
) -> None:
    put("a.ipynb", "load_table(one)")
    assert reader.continuations("python", "load", "", path="", modules=[])
    for file in SCHEMA.owned_files(place):
        file.unlink()
    assert not reader.continuations("python", "load", "", path="", modules=[])
    SCHEMA.prepare(place)
    with closing(IndexStore(place)) as store:
        store.put("b.ipynb", "1", 1.0, page_of("b.ipynb", notebook("load_table(two)")))
    assert [one.rest for one in reader.continuations("python", "load", "", path="", modules=[])] == [
        "_table(two)"
    ]


def test_memory_ignores_an_index_of_another_version(
    reader: NotebookIndex, put: Callable[..., None], place: Path
) -> None:
    put("a.ipynb", "load_table(one)")
    with closing(sqlite3.connect(place)) as other:
        other.execute("PRAGMA user_version = 99")
    assert not reader.continuations("python", "load", "", path="", modules=[])


def test_memory_ignores_a_damaged_index(reader: NotebookIndex, put: Callable[..., None], place: Path) -> None:
    put("a.ipynb", *(f"load_table({at})\n" * 30 for at in range(200)))
    with place.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 200_000)
    assert not reader.continuations("python", "load", "", path="", modules=[])


def test_memory_serves_several_threads(reader: NotebookIndex, put: Callable[..., None], place: Path) -> None:
    put("a.ipynb", "load_table(one)")
    with closing(sqlite3.connect(place, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        found: list[int] = []
        threads = [
            threading.Thread(
                target=lambda: found.append(
                    len(reader.continuations("python", "load", "", path="", modules=[]))
                )
            )
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [0] * 8
    assert len(reader.continuations("python", "load", "", path="", modules=[])) == 1


PATHS = (
    "a.ipynb",
    "d/b.py",
    "secrets.py",
    ".aws/c.ipynb",
    "credentials.py",
    "site-packages/d.py",
    ".e/f.ipynb",
)
SECRETS = (
    'qqtoken = "hunter2hunter2"',
    'qqkey = "sk-abcdefghijklmnopqrstuvwx"',
    "url = 'https://qq:qqqqqqqq@host/'",
)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make results independent of the load of the machine."""
    monkeypatch.setattr(local_files, "_ANSWER_IN", 5.0)


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(PATHS),
        st.none() | st.lists(st.integers(0, 9), min_size=1, max_size=3),  # no lines: the file is deleted
        st.none() | st.sampled_from(SECRETS),
        st.sampled_from(["told", "worked", "neither"]),
    ),
    max_size=10,
)


def line(path: str, number: int) -> str:
    """A line and an import that occur in one file only."""
    name = "".join(filter(str.isalnum, path))
    return f"import module_{name}_{number} as alias_{name}_{number}\nwritten_in_{name}({number})"


def write_source(root: Path, path: str, source: str, clock: int) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    # Too long to be joined with the next block.
    begins = f"def opening():\n    return {'x' * SMALL!r}"
    target.write_text(notebook(begins, source) if path.endswith(".ipynb") else f"{begins}\n\n\n{source}")
    os.utime(target, (clock, clock))  # file systems may have a coarse clock


@settings(max_examples=25)
@given(CHANGES)
def test_memory_returns_nothing_private_secret_or_outdated(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, list[int] | None, str | None, str]]
) -> None:
    root = tmp_path_factory.mktemp("root")
    there: dict[str, list[int]] = {}
    with closing(built(root)) as notebook_index, closing(notebook_index.builder._open()) as store:
        for clock, (path, numbers, secret, then) in enumerate(changes):
            if numbers is None:
                (root / path).unlink(missing_ok=True)
                there.pop(path, None)
            else:
                lines = [*(line(path, number) for number in numbers), *filter(None, [secret])]
                write_source(root, path, "\n".join(lines), clock)
                there[path] = numbers
            if then != "neither" or numbers is not None:
                notebook_index.builder.changed(path)
            if then == "worked" or numbers is not None:
                notebook_index.builder._work(store)
        expected = {
            text
            for path in there.keys() & {"a.ipynb", "d/b.py"}
            for number in there[path]
            for text in line(path, number).split("\n")
        }
        for begun in ("import ", "written_in_", "qq", "url"):
            assert {begun + rest for rest in rests(notebook_index, begun)} == {
                text for text in expected if text.startswith(begun)
            }
        for path in PATHS:
            for number in range(10):
                (text, _) = line(path, number).split("\n")
                found_imports = [one for one, _ in notebook_index.imports(text.rpartition(" ")[2])]
                assert found_imports == ([text] if text in expected else [])


@pytest.mark.parametrize("then", ["new version", "denied paths", "unused"])
def test_deleted_index_stays_deleted_until_it_is_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    source, denied = LocalFiles(tmp_path), ""
    write_source(tmp_path, "a.ipynb", "load_table(one)", 0)
    with closing(MaintainedIndex(source)) as deleted:
        deleted.delete()
    if then == "new version":
        with closing(sqlite3.connect(deleted.builder.path)) as old:
            old.execute("PRAGMA user_version = 1")
    elif then == "denied paths":
        denied = " denied a"
    else:
        deleted.builder.path.unlink()
    with closing(MaintainedIndex(source, denied=denied)) as next_server:
        next_server.builder.start()
        until(lambda: next_server.builder.progress.error)
        assert next_server.builder.progress.error == WHY_DELETED
        next_server.build_again()
        until(lambda: rests(next_server, "load_") == ["table(one)"])


def test_delete_clears_the_indexes_with_other_denied_paths(tmp_path: Path) -> None:
    write_source(tmp_path, "a.ipynb", "load_table(one)", 0)
    with (
        closing(built(tmp_path)) as before,
        closing(MaintainedIndex(LocalFiles(tmp_path), denied="b")) as now,
    ):
        assert rests(before, "load_") == ["table(one)"]
        now.delete()
        assert b"load_table" not in before.builder.path.read_bytes()


def test_index_that_another_server_has_deleted_can_be_built_again(tmp_path: Path) -> None:
    source = LocalFiles(tmp_path)
    with closing(MaintainedIndex(source)) as own, closing(MaintainedIndex(source)) as other:
        own.builder.start()
        until(lambda: own.builder.path.exists() and not own.builder.progress.error)
        other.delete()
        own.build_again()
        write_source(tmp_path, "a.ipynb", "load_table(one)", 0)
        own.builder.changed("a.ipynb")
        until(lambda: rests(own, "load_") == ["table(one)"])


def test_servers_with_different_denied_paths_have_different_indexes(tmp_path: Path) -> None:
    source = LocalFiles(tmp_path)
    paths = {MaintainedIndex(source, denied=denied).builder.path for denied in ("", " denied a", " denied b")}
    assert path_of(source.identity) in paths
    assert len(paths) == 3
