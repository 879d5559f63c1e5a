from __future__ import annotations

import sqlite3

import pytest

from jupyter_turbopilot.sqlite_file.trouble import reason_of


def test_a_python_without_full_text_search_is_not_called_damage() -> None:
    with pytest.raises(sqlite3.OperationalError) as error:
        sqlite3.connect(":memory:").execute("CREATE VIRTUAL TABLE words USING fts99(text)")
    assert "FTS5" in reason_of(error.value)


def test_a_file_that_holds_something_else_is_damaged() -> None:
    with pytest.raises(sqlite3.OperationalError) as error:
        sqlite3.connect(":memory:").execute("SELECT * FROM words")
    assert "damaged" in reason_of(error.value)
