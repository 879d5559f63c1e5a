from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from tornado.httputil import HTTPHeaders

from jupyter_turbopilot.server.identity import KeyIdentity


def brings(key: str) -> Any:
    return SimpleNamespace(request=SimpleNamespace(headers=HTTPHeaders({"Authorization": f"Bearer {key}"})))


def test_what_would_help_is_said_where_a_key_would() -> None:
    error = KeyIdentity("right", "127.0.0.1").unknown()
    assert error is not None
    assert (error.status, "key" in error.message) == (401, True)


@pytest.mark.parametrize(
    ("key", "host", "sent", "admitted"),
    [
        ("right", "127.0.0.1", "right", True),
        ("right", "127.0.0.1", "wrong", False),
        ("right", "10.0.0.1", "wrong", True),  # by which names others know this machine, nobody can tell
        ("", "127.0.0.1", "", False),
    ],
)
def test_a_machine_goes_by_other_names_for_who_brings_the_key(
    key: str, host: str, sent: str, admitted: bool
) -> None:
    assert KeyIdentity(key, host).admits_any_host(brings(sent).request.headers) == admitted
