import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.protocol.contract import Suggestion
from jupyter_turbopilot.protocol.reply import Item, compact

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXT,
    lambda part: st.lists(part) | st.dictionaries(TEXT, part),
)


@given(JSON)
def test_compact_is_read_back_unchanged(value: Any) -> None:
    assert json.loads(compact(value)) == value


def test_compact_replaces_lone_surrogates() -> None:
    assert compact({"name": "\udcff", "é": 1.5}) == '{"name":"?","é":1.5}'.encode()


def test_compact_keeps_encoded_parts_beside_lone_surrogates() -> None:
    assert compact({"name": "\udcff", "choices": [msgspec.Raw(b'{"text":"a"}')]}) == (
        b'{"name":"?","choices":[{"text":"a"}]}'
    )


def test_compact_encodes_a_schema_with_lone_surrogates() -> None:
    assert compact(Suggestion.of(Item("\udcff", 0.5, "stop"))) == (
        b'{"text":"?","confidence":0.5,"finish_reason":"stop"}'
    )
