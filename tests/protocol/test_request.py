import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.protocol.request import (
    MAX_BODY,
    MAX_CONTAINERS,
    Completion,
    Feedback,
    containers,
    decode,
    parse_completion,
)

GOOD = {"cells": [{"source": "x = "}], "active": 0, "offset": 4}


def parse(**changes: Any) -> Completion:
    return parse_completion(json.dumps(GOOD | changes).encode())


def test_parse_completion_accepts_a_minimal_request() -> None:
    request = parse()
    assert (request.prefix, request.suffix, request.trigger, request.n) == ("x = ", "", "invoke", 1)


def test_offset_counts_code_points() -> None:
    request = parse(cells=[{"source": "s = '🎈é' + "}], offset=8)
    assert request.prefix == "s = '🎈é'"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"offset": 5}, "offset"),
        ({"offset": -1}, "offset"),
        ({"offset": 2.5}, "offset"),
        ({"offset": True}, "offset"),
        ({"offset": "4"}, "offset"),
        ({"active": 1}, "active"),
        ({"active": -1}, "active"),
        ({"cells": []}, "cells"),
        ({"cells": [{"source": 7}]}, "cells[0].source"),
        ({"cells": [{"source": "x = ", "type": "poem"}]}, "cells[0].type"),
        ({"cells": "x"}, "cells"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": 10**9}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"temperature": -1}, "temperature"),
        ({"temperature": 1e9}, "temperature"),
        ({"n": 0}, "n"),
        ({"n": 9}, "n"),
        ({"n": 2, "stream": True}, "n"),
        ({"trigger": "whenever"}, "trigger"),
        ({"client": "c" * 200}, "client"),
    ],
)
def test_decode_names_the_field_of_a_wrong_value(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse(**changes)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[1]",
        b'"x"',
        b"{",
        b"\xff\xfe",
        b'{"cells": [{"source": "\xed\xa0\x80"}], "offset": 0}',
        b'{"cells": [{"source": "\\ud800"}], "offset": 0}',
        b'{"cells": [{"source": "x"}], "offset": 0, "unknown": "\xff"}',
        b'{"cells": [{"source": "x"}], "offset": NaN}',
        b'{"cells": [{"source": "x"}], "offset": 1e999}',
        b'{"cells": [{"source": "x"}], "offset": ' + b"1" * 5000 + b"}",
        b"[" * 200_000,
        b'{"deep": ' + b"[" * 200_000,
        b'{"deep": ' + b'{"a":' * 200_000,
    ],
)
def test_decode_reports_invalid_bodies(body: bytes) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse_completion(body)
    assert caught.value.message


@given(st.binary(max_size=400))
def test_decode_raises_only_bad_requests_for_any_bytes(body: bytes) -> None:
    for kind in (Completion, Feedback):
        with contextlib.suppress(BadRequestError):
            decode(body, kind)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*GOOD, "n", "trigger", "extra", "client", "max_tokens"]), JSON))
def test_decode_raises_only_bad_requests_for_any_json(changes: dict[str, Any]) -> None:
    try:
        request = parse(**changes)
    except BadRequestError:
        return
    assert 0 <= request.offset <= len(request.cells[request.active].source)


@pytest.mark.parametrize("piece", ["[],", "{},", "[1],", '{"source":""},'])
def test_decode_rejects_too_many_lists_and_objects(piece: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("msgspec.json.decode", None)
    with pytest.raises(BadRequestError, match="lists and objects"):
        decode(f'{{"cells":[{piece * (MAX_BODY // len(piece))}1]}}'.encode(), Completion)


def test_containers_ignores_brackets_in_strings() -> None:
    text = '["\\"{' * (MAX_CONTAINERS // 2)
    found = decode(json.dumps({"cells": [{"source": text}], "offset": 0}).encode(), Completion)
    assert found.cells[0].source == text


@given(
    st.recursive(st.text('[{"\\a'), lambda inner: st.lists(inner) | st.dictionaries(st.text('[{"\\'), inner))
)
def test_containers_counts_lists_and_objects(value: Any) -> None:
    def count(inner: Any) -> int:
        if isinstance(inner, dict):
            return 1 + sum(count(each) for each in inner.values())
        return 1 + sum(count(each) for each in inner) if isinstance(inner, list) else 0

    filler = "[" * (MAX_CONTAINERS + 1)  # so that they are counted at all
    assert containers(json.dumps([filler, value]).encode()) == 1 + count(value)
