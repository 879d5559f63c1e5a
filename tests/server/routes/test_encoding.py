from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.server.routes.encoding import compact

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda part: st.lists(part) | st.dictionaries(TEXT, part),
)


@given(JSON)
def test_what_is_written_reads_back_as_it_was(value: Any) -> None:
    assert json.loads(compact(value)) == value


def test_there_is_no_space_behind_a_colon() -> None:
    assert compact({"content": "a: b", "n": [1, 2]}) == b'{"content":"a: b","n":[1,2]}'


def test_what_cannot_be_written_as_utf8_is_replaced() -> None:
    assert compact({"name": "\udcff", "é": 1.5}) == '{"name":"?","é":1.5}'.encode()


def test_parts_that_are_json_already_are_kept_beside_such_text() -> None:
    assert compact({"name": "\udcff", "choices": [msgspec.Raw(b'{"text":"a"}')]}) == (
        b'{"name":"?","choices":[{"text":"a"}]}'
    )
