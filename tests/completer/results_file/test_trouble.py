from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path

import pytest

from jupyter_turbopilot.completer.results_file.trouble import unusable
from jupyter_turbopilot.sqlite_file.connection import reason_of


def sqlite_error(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("what SQLite says")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (sqlite_error(sqlite3.SQLITE_CORRUPT), "damaged"),
        (sqlite_error(sqlite3.SQLITE_BUSY), "another process"),
        (sqlite_error(sqlite3.SQLITE_FULL), "what SQLite says"),
        (TimeoutError("a lock's path"), "another process"),
        (NotImplementedError(), "cannot lock"),
        (PermissionError(errno.EACCES, "others may write", "/a/path"), "others may write"),
        (PermissionError(), "PermissionError"),
    ],
)
def test_every_trouble_is_a_sentence_that_names_the_setting(
    error: OSError | NotImplementedError | sqlite3.Error, words: str
) -> None:
    said = unusable("~/a.db", reason_of(error))
    assert words in said
    assert said.startswith("The file in c.Turbopilot.results_file, '~/a.db', cannot be used: ")
    assert said.endswith(".")
    assert not said.endswith("..")
    assert "path" not in said


def test_what_the_system_says_is_repeated() -> None:
    with pytest.raises(OSError, match="too long") as error:
        Path("/" + "x" * 5000).stat()
    assert reason_of(error.value) == os.strerror(errno.ENAMETOOLONG)
