import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from jupyter_turbopilot.index import store as module
from jupyter_turbopilot.index.entries import Page, page_of
from jupyter_turbopilot.index.store import SCHEMA, IndexStore

from .notebooks import notebook


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "index.db"
    SCHEMA.prepare(path)
    return path


@pytest.fixture
def store(place: Path) -> Iterator[IndexStore]:
    with closing(IndexStore(place)) as opened:
        yield opened


def page(*cells: str) -> Page:
    return page_of("a.ipynb", notebook(*cells))


def content(store: IndexStore) -> dict[str, list[tuple]]:
    """The whole content, without row ids."""
    tables = {
        "lines": "SELECT language, text, path, above, times FROM lines JOIN documents ON id = document",
        "imports": "SELECT name, line, path FROM imports JOIN documents ON id = document",
        "documents": "SELECT path, stamp, modified, modules FROM documents",
        "entries": "SELECT path, language, source FROM entries e JOIN documents d ON d.id = document",
        "orphans": "SELECT text FROM lines WHERE document NOT IN (SELECT id FROM documents)",
    }
    return {name: sorted(store._all(query)) for name, query in tables.items()}


def test_lines_returns_none_with_too_many_continuations(
    store: IndexStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_CONTINUATIONS", 3)
    store.put("a.ipynb", "1", 1.0, page(*(f"plt.a{number}(1)" for number in range(4)), "plt.b(1)"))
    assert store.lines("python", "plt.", "", "") == []
    assert [line.text for line in store.lines("python", "plt.b", "", "")] == ["plt.b(1)"]


def test_keep_newest_deletes_the_oldest_documents(store: IndexStore) -> None:
    for at in range(5):
        store.put(f"{at}.ipynb", "1", float(at), page(f"name_of_{at} = 1"))
    store.keep_newest(5)
    assert store.count() == 5
    store.keep_newest(2)
    assert set(store.stamps()) == {"3.ipynb", "4.ipynb"}


def test_put_replaces_a_document(store: IndexStore) -> None:
    store.put("a.ipynb", "1", 1.0, page("import old_module\nold_line(1)", "kept_line(2)"))
    store.put("a.ipynb", "2", 2.0, page("new_line(1)", "kept_line(2)"))
    once = content(store)
    assert store.stamps() == {"a.ipynb": "2"}
    assert store.lines("python", "old_line", "", "") == []
    assert store.imports("old_module") == []
    assert len(store.lines("python", "kept_line", "", "")) == 1
    store.put("a.ipynb", "3", 3.0, page("new_line(1)", "kept_line(2)"))
    assert content(store) == once | {"documents": [("a.ipynb", "3", 3.0, "")]}


def test_forget_removes_text_from_the_file(store: IndexStore, place: Path) -> None:
    store.put("keep.ipynb", "1", 1.0, page("kept_name(1)"))
    store.put("folder/a.ipynb", "1", 1.0, page("import zyxwvut\nqqfrobnicate_secretly(1)"))
    store.put("folder2/a.ipynb", "1", 1.0, page("neighbour(1)"))
    assert store.forget(["folder", "missing.ipynb"]) == 1
    held = b"".join(file.read_bytes() for file in place.parent.glob("index.db*"))
    assert b"kept_name" in held
    assert b"qqfrobnicate" not in held
    assert b"zyxwvut" not in held
    assert b"folder/a" not in held


def test_put_makes_room_by_deleting_the_oldest(place: Path) -> None:
    with closing(IndexStore(place, 2_000_000)) as small:
        stored = [
            small.put(
                f"{at}.ipynb", "1", float(at), page(*(f"value_{at}_{row} = {row}" for row in range(400)))
            )
            for at in range(40)
        ]
        assert all(stored)
        assert small.used() <= small.room
        left = sorted(int(path.removesuffix(".ipynb")) for path in small.stamps())
        assert left == [*range(left[0], 40)]
        assert 0 < left[0] < 39
        assert not small.put("old.ipynb", "1", -1.0, page(*(f"old_{row} = {row}" for row in range(400))))
        assert "old.ipynb" not in small.stamps()


def test_put_is_atomic(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(IndexStore(place)) as opened:
        opened.put("a.ipynb", "1", 1.0, page("before_that(1)"))
        before = content(opened)

        def killed(*_: object) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        monkeypatch.setattr(opened, "_many", killed)
        with pytest.raises(sqlite3.OperationalError):
            opened.put("a.ipynb", "2", 2.0, page("after_that(1)"))
        assert content(opened) == before
        assert not opened.lines("python", "after_that", "", "")


def test_store_reads_the_rest_beside_damaged_text(place: Path) -> None:
    with closing(IndexStore(place)) as opened:
        opened.put("a.ipynb", "1", 1.0, page("first_value = 1"))
        opened.put("b.ipynb", "1", 1.0, page("second_value = 2"))
    with closing(sqlite3.connect(place)) as damaged:
        damaged.execute("UPDATE documents SET path = CAST(x'ff' AS TEXT) WHERE path = 'a.ipynb'")
        damaged.commit()
    with closing(IndexStore(place)) as opened:
        assert opened.stamps() == {"b.ipynb": "1", "\ufffd": "1"}
