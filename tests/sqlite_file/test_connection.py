from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.sqlite_file.connection import (
    address,
    connect,
    is_busy,
    is_damage,
    is_in_use,
    using,
    value_of,
)

from ..completer.results_file.answers import open_file


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (PureWindowsPath(r"C:\Users\Ada L\a.db"), "file:///C:/Users/Ada%20L/a.db"),
        (PureWindowsPath(r"\\server\share\a.db"), "file:////server/share/a.db"),
        (PurePosixPath("/home/ada/a?.db"), "file:///home/ada/a%3F.db"),
    ],
)
def test_the_address_of_a_file_has_no_host_for_sqlite_to_refuse(path: PurePath, expected: str) -> None:
    assert address(path) == expected


def test_nothing_is_made_where_no_file_is(tmp_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        connect(tmp_path / "answers.db")
    assert not list(tmp_path.iterdir())


def test_a_file_says_its_own_settings_and_nothing_of_others_is_run(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    open_file(path).close()
    with closing(connect(path)) as opened:
        assert [value_of(opened, name) for name in ("secure_delete", "trusted_schema")] == [1, 0]


def test_a_file_is_in_use_until_the_last_one_has_closed_it(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    with using(path):
        with using(path):
            assert is_in_use(path)
        assert is_in_use(path)
    assert not is_in_use(path)
    one, other = open_file(path), open_file(path)
    one.close()
    assert is_in_use(path)
    other.close()
    assert not is_in_use(path)


@given(st.integers(0, 1 << 16))
def test_no_error_is_both_damage_and_somebody_else(code: int) -> None:
    error = sqlite3.OperationalError()
    assert not is_busy(error)
    assert not is_damage(error)
    error.sqlite_errorcode = code
    assert not (is_busy(error) and is_damage(error))
    assert is_busy(error) == (code & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
