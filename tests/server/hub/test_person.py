from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.server.hub.person import MANAGES, Person, read_person

USE = "access:services!service=turbopilot"

MODEL: dict[str, Any] = {
    "name": "ada",
    "kind": "user",
    "admin": False,
    "groups": ["course"],
    "scopes": ["access:services!service=turbopilot", "read:users:name!user=ada"],
    "token_id": "a12",
    "session_id": None,
}


def read(**changes: Any) -> Person:
    return read_person(json.dumps(MODEL | changes).encode())


def test_the_hub_says_who_somebody_is() -> None:
    person = read()
    assert (person.name, person.admin, person.groups) == ("ada", False, ("course",))
    assert read(admin=True).admin


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        (["access:services!service=turbopilot"], True),
        (["access:services"], True),
        (["access:services!service=other"], False),
        (["access:servers!user=ada", "self"], False),
        (["access:services!service=turbopilot2", "xaccess:services"], False),
        ([], False),
    ],
)
def test_the_scope_for_this_service_lets_somebody_use_it(scopes: list[str], allowed: bool) -> None:
    assert read(scopes=scopes).may_use("turbopilot") == allowed


@pytest.mark.parametrize(
    ("admin", "scopes", "allowed"),
    [
        (True, [USE, MANAGES], True),
        (True, [USE], False),
        (True, [USE, "admin:users", "admin-ui2", "admin-ui!user=ada"], False),
        (False, [USE, MANAGES], False),
    ],
)
def test_managing_needs_an_administrators_token_with_the_scope(
    admin: bool, scopes: list[str], allowed: bool
) -> None:
    assert read(admin=admin, scopes=scopes).may_manage == allowed


def test_a_service_is_not_taken_for_the_user_of_its_name() -> None:
    assert read().known_as != read(kind="service").known_as
    assert read(name="service:ada").known_as != read(kind="service").known_as


@pytest.mark.parametrize("name", ["a/b", "..", "%2e%2e", "a\r\nSet-Cookie: x", "Ада", "a b", "\x00"])
def test_any_name_is_a_name(name: str) -> None:
    assert read(name=name).name == name


@pytest.mark.parametrize(
    "answer",
    [b"", b"<html>", b"null", b"[]", b"{}", b'{"name":""}', b'{"name":7}', b'{"name":"a","kind":"pod"}',
     b'{"name":"a","admin":"yes"}', b'{"name":"a","groups":[1]}', b'{"name":"a","scopes":{}}', b"\xff"],
)  # fmt: skip
def test_what_is_no_hubs_answer_is_refused(answer: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_person(answer)


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_else(answer: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_person(answer)
