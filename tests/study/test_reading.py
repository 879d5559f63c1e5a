from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from jupyter_turbopilot.errors import BadRequestError, NotReadyError
from jupyter_turbopilot.study.events import LOG
from jupyter_turbopilot.study.file import older
from jupyter_turbopilot.study.lines import line_of
from jupyter_turbopilot.study.reading import Reading, held

from .test_checking import LOGGED

HEAD, *REST = map(line_of, LOGGED)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "study.jsonl"
    path.write_bytes(HEAD + b"".join(REST))
    return path


def test_events_are_read_from_the_oldest_file_on_as_often_as_wanted(path: Path) -> None:
    older(path, 1).write_bytes(HEAD + b'{"event":"sho\n\n' + REST[0])
    reading = Reading(path)
    for _ in range(2):
        assert list(reading) == [*LOGGED[:2], *LOGGED]
        assert reading.broken == 1


def test_a_large_log_is_not_held_in_memory(path: Path) -> None:
    path.write_bytes(HEAD + REST[1] * 50_000)
    tracemalloc.start()
    try:
        assert sum(1 for _ in Reading(path)) == 50_001
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_what_cannot_be_read_is_said(path: Path, tmp_path: Path) -> None:
    with pytest.raises(BadRequestError, match="does not exist"):
        Reading(tmp_path / "none.jsonl")
    reading = Reading(path)
    path.unlink()
    with pytest.raises(NotReadyError, match="cannot be read: No such file"):
        list(reading)
    assert "No such file" in held([path])


def test_a_line_of_another_version_ends_it(path: Path) -> None:
    with path.open("ab") as file:
        file.write(line_of(LOGGED[0] | {"schema": LOG.replace("v1", "v2")}))
    with pytest.raises(NotReadyError, match="lines of another version"):
        list(Reading(path))


@pytest.mark.parametrize(
    "schema", ["\x1b]0;owned\x07", "\u202e", "\ud800", "x" * 1000, {"a": "\x1b[2J"}, None]
)
def test_what_the_line_of_another_version_says_is_quoted_and_cut(path: Path, schema: object) -> None:
    with path.open("ab") as file:
        file.write(json.dumps(LOGGED[0] | {"schema": schema}).encode() + b"\n")
    with pytest.raises(NotReadyError) as error:
        list(Reading(path))
    said = error.value.message.removeprefix(str(path))
    assert said.isprintable()
    assert len(said) < 300


def test_text_is_found_in_whatever_is_left_of_a_line(path: Path) -> None:
    text = line_of(LOGGED[2])
    assert held([path]) == "the text of suggestions"
    path.write_bytes(HEAD + REST[0] + text[: text.index(b"value") + 1])
    assert held([path]) == "the text of suggestions"
    path.write_bytes(HEAD + REST[0])
    assert held([path]) == "no text", "a session says whether text is logged, which is none"
