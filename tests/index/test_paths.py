from __future__ import annotations

import os
import time
from pathlib import Path

import pytest  # noqa: TC002 - fixtures

from jupyter_turbopilot.index import paths
from jupyter_turbopilot.index.paths import (
    DAY,
    delete_old,
    deletion_mark,
    folder,
    index_files,
    indexes,
    path_of,
)
from jupyter_turbopilot.index.store import SCHEMA
from jupyter_turbopilot.util.sqlite_file import Schema


def index(name: str, age: float) -> Path:
    """Create an index that was last used some seconds ago."""
    place = path_of(name)
    SCHEMA.prepare(place)
    os.utime(place, (time.time() - age, time.time() - age))
    return place


def test_delete_old_deletes_the_least_recently_used_beyond_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = [index(f"{days}", days * DAY) for days in (0, 1, 5, 6)]
    monkeypatch.setattr(paths, "MOST_BYTES", sum(map(paths.size_of_index, kept[:3])))
    delete_old(index("own", 0))
    assert set(indexes()) == {*kept[:3], path_of("own")}
    monkeypatch.setattr(paths, "MOST_BYTES", 0)
    delete_old(path_of("own"))
    assert set(indexes()) == {*kept[:2], path_of("own")}


def test_deletion_marks_outlive_unused_indexes_and_are_listed_for_a_purge() -> None:
    own, old, mark = index("own", 0), index("old", 91 * DAY), deletion_mark("/home/ada")
    mark.touch()
    os.utime(mark, (time.time() - 91 * DAY, time.time() - 91 * DAY))
    (other := mark.with_stem("other")).write_text("not created by Turbopilot")
    delete_old(own)
    assert not old.exists()
    assert mark in index_files()
    assert other not in index_files()


def test_indexes_ignore_files_of_other_users(monkeypatch: pytest.MonkeyPatch) -> None:
    own, theirs = index("own", 0), index("theirs", 200 * DAY)
    is_ours = Schema.is_ours

    def refuse(schema: Schema, path: Path) -> bool:
        if path == theirs:
            raise PermissionError
        return is_ours(schema, path)

    monkeypatch.setattr(Schema, "is_ours", refuse)
    assert indexes() == [own]
    delete_old(own)
    assert {file.name for file in index_files()} >= {own.name}
    assert (folder() / theirs.name).exists()
