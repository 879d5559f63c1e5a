import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from jupyter_turbopilot.protocol.errors import NotReadyError
from turbopilot_service.hub.client import (
    MANAGE_SCOPE,
    MAX_BYTES,
    MAX_CONNECTIONS,
    METRICS_SCOPE,
    Hub,
    TokenOwner,
)

from .fake_hub import REFUSED, FakeHub, answer, known

USE = "access:services!service=turbopilot"

MODEL: dict[str, Any] = {
    "name": "ada",
    "kind": "user",
    "admin": False,
    "scopes": ["access:services!service=turbopilot", "read:users:name!user=ada"],
    "token_id": "a12",
    "session_id": None,
}


def read(**changes: Any) -> TokenOwner:
    return msgspec.json.decode(json.dumps(MODEL | changes), type=TokenOwner)


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
def test_service_scope_permits_use(scopes: list[str], allowed: bool) -> None:
    assert read(scopes=scopes).may_use("turbopilot") == allowed


@pytest.mark.parametrize(
    ("admin", "scopes", "allowed"),
    [
        (True, [USE, MANAGE_SCOPE], True),
        (True, [USE], False),
        (True, [USE, "admin:users", "admin-ui2", "admin-ui!user=ada"], False),
        (False, [USE, MANAGE_SCOPE], False),
    ],
)
def test_managing_requires_an_admin_token_with_the_scope(
    admin: bool, scopes: list[str], allowed: bool
) -> None:
    assert read(admin=admin, scopes=scopes).may_manage == allowed


@pytest.mark.parametrize(
    ("admin", "scopes", "allowed", "broad"),
    [
        (False, [USE, METRICS_SCOPE], True, []),
        (False, [USE], False, []),
        (True, [USE, MANAGE_SCOPE, "admin:users", "tokens"], True, ["admin:users", "tokens"]),
        (False, [USE, "tokens!user=ada", "access:servers!user=ada"], False, []),
    ],
)
def test_metrics_need_their_scope_and_broad_scopes_are_listed(
    admin: bool, scopes: list[str], allowed: bool, broad: list[str]
) -> None:
    owner = read(admin=admin, scopes=scopes)
    assert (owner.may_read_metrics, owner.broad_scopes) == (allowed, broad)


def test_service_and_user_of_the_same_name_differ() -> None:
    assert read().unique_name != read(kind="service").unique_name
    assert read(name="service:ada").unique_name != read(kind="service").unique_name


@pytest.mark.parametrize(
    "answer",
    [b"", b"<html>", b"null", b"[]", b"{}", b'{"name":""}', b'{"name":7}', b'{"name":"a","kind":"pod"}',
     b'{"name":"a","admin":"yes"}', b'{"name":"a","scopes":{}}', b"\xff"],
)  # fmt: skip
def test_invalid_response_is_rejected(answer: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        msgspec.json.decode(answer, type=TokenOwner)


@asynccontextmanager
async def asking(fake: FakeHub, seconds: float = 5.0) -> AsyncIterator[Hub]:
    async with fake:
        hub = Hub(fake.api, seconds)
        yield hub
        await hub.close()


def ask(says: bytes | None, seconds: float = 5.0) -> tuple[object, list[str]]:
    async def go() -> tuple[object, list[str]]:
        fake = FakeHub(says)
        async with asking(fake, seconds) as hub:
            return await hub.token_owner("secret-token"), fake.heads

    return asyncio.run(go())


def test_request_is_sent_with_the_token_in_question() -> None:
    person, heads = ask(known(name="ada"))
    assert person.name == "ada"  # type: ignore[attr-defined]
    assert heads[0].startswith("GET /hub/api/user HTTP/1.1\r\n")
    assert "authorization: token secret-token\r\n" in heads[0].lower()
    assert "cookie" not in heads[0].lower()


@pytest.mark.parametrize("says", [REFUSED, answer(401, b"{}")])
def test_rejected_token_has_no_owner(says: bytes) -> None:
    assert ask(says)[0] is None


STRANGE: dict[str, bytes | None] = {
    "silence": None,
    "a proxy's page": answer(200, b"<html>secret-token</html>", kind="text/html"),
    "an error": answer(500, b'{"message": "secret-token"}'),
    "elsewhere": answer(302, b"", "Location: http://127.0.0.1:1/login"),
    "no end": answer(200, b" " * (MAX_BYTES + 1)),
    "compressed": answer(200, b"\x1f\x8b", "Content-Encoding: gzip"),
    "broken off": b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\nConnection: close\r\n\r\n{"name"',
    "not HTTP": b"secret-token\r\n\r\n",
}


@pytest.mark.parametrize("name", STRANGE)
def test_other_responses_raise_hub_gone_without_a_log(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(NotReadyError) as gone:
        ask(STRANGE[name], 0.5)
    assert gone.value.__cause__ is None
    assert (gone.value.status, gone.value.code) == (503, "hub_gone")
    assert "secret-token" not in gone.value.message + caplog.text


def test_redirect_is_not_followed_with_the_token() -> None:
    async def go() -> list[str]:
        async with FakeHub(known()) as other:
            fake = FakeHub(answer(302, b"", f"Location: {other.api}/user"))
            async with asking(fake) as hub:
                with pytest.raises(NotReadyError):
                    await hub.token_owner("secret-token")
            return other.heads

    assert asyncio.run(go()) == []


async def test_renewal_succeeds_during_a_flood_of_new_tokens() -> None:
    let_go = asyncio.Event()

    async def says(token: str) -> bytes:
        if token.startswith("made-up"):
            await let_go.wait()
        return known(name=token)

    async with asking(FakeHub(says)) as hub:
        made_up = [
            asyncio.create_task(hub.token_owner(f"made-up-{number}")) for number in range(4 * MAX_CONNECTIONS)
        ]
        await asyncio.sleep(0)
        assert await hub.token_owner("renewed", known=True) is not None
        let_go.set()
        assert all(await asyncio.gather(*made_up))
