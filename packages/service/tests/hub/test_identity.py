import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders

from jupyter_turbopilot.protocol.errors import BadRequestError, NotReadyError, TurbopilotError
from turbopilot_service.hub.client import MANAGE_SCOPE, TokenOwner, scope_for
from turbopilot_service.hub.identity import (
    DESCRIPTIONS,
    MAX_NEW_TOKENS,
    REJECTED_SECONDS,
    RENEW_SECONDS,
    VALID_SECONDS,
    HubIdentity,
    Service,
    read_environment,
)

TOKEN = "t"


def person(
    name: str = "ada", *, admin: bool = False, scopes: tuple[str, ...] = (scope_for("ghost"),)
) -> TokenOwner:
    return TokenOwner(name, "user", admin, frozenset(scopes))


class Hub:
    """A fake hub with scripted users; None: it does not respond."""

    def __init__(self, **people: TokenOwner) -> None:
        self.people: dict[str, TokenOwner] | None = people
        self.asked: list[str] = []
        self.renewed: list[str] = []  # lookups with `known`
        self.free = asyncio.Event()
        self.free.set()

    async def token_owner(self, token: str, *, known: bool = False) -> TokenOwner | None:
        self.asked.append(token)
        if known:
            self.renewed.append(token)
        await self.free.wait()
        if self.people is None:
            raise NotReadyError("Gone.", code="hub_gone")
        return self.people.get(token)

    async def close(self) -> None:
        self.people = None


class Desk:
    """An identity provider with a fake hub and a fake clock."""

    def __init__(self, **people: TokenOwner) -> None:
        self.hub, self.now = Hub(**people), 1e6
        self.identity = HubIdentity(self.hub, "ghost", lambda: self.now)

    async def user(self, token: str | None = TOKEN, header: str = "Authorization") -> Any:
        headers = HTTPHeaders({} if token is None else {header: f"Bearer {token}"})
        return await self.identity.get_user(SimpleNamespace(request=SimpleNamespace(headers=headers)))

    async def status(self, token: str | None = TOKEN) -> int:
        try:
            return 200 if await self.user(token) else 401
        except TurbopilotError as error:
            return error.status


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_missing_scope_is_explained_for_a_group_and_for_all_users() -> None:
    with pytest.raises(TurbopilotError, match=r"add you to the group .* If all users .* access:services"):
        await Desk(t=person(scopes=())).user("t")


@pytest.mark.parametrize("header", ["Authorization", "X-Api-Key"])
async def test_users_have_names(header: str) -> None:
    desk = Desk(t=person("ada", admin=True, scopes=(scope_for("ghost"), MANAGE_SCOPE)), u=person("bob"))
    ada, bob = await desk.user("t", header), await desk.user("u", header)
    assert (ada.username, ada.name) == ("user:ada", "ada")
    assert bob.username == "user:bob"
    assert desk.identity.may_manage(ada)
    assert not desk.identity.may_manage(bob)
    assert not desk.identity.may_manage(None)
    assert desk.identity.distinguishes_users


async def test_broad_tokens_are_logged_once_without_users_names(caplog: pytest.LogCaptureFixture) -> None:
    scopes = (scope_for("ghost"), "admin:users")
    service = TokenOwner("prometheus", "service", admin=True, scopes=frozenset(scopes))
    desk = Desk(t=person("ada", scopes=scopes), u=person("bob", scopes=scopes), s=service, n=person("eve"))
    for token in "tusntus":
        await desk.user(token)
    texts = [record.getMessage() for record in caplog.records]
    assert [("the service prometheus" in text, "admin:users" in text) for text in texts] == [
        (False, True),
        (True, True),
    ]
    assert not any(name in text for name in ("ada", "bob") for text in texts)


@pytest.mark.parametrize(
    ("token", "status"),
    [(None, 401), ("unknown", 401), ("other", 403), ("t", 200), ("t\u00e9", 401), ("x" * 5000, 401)],
)
async def test_unknown_or_unauthorized_users_are_rejected(token: str | None, status: int) -> None:
    desk = Desk(t=person(), other=person(scopes=(scope_for("another"),)))
    assert await desk.status(token) == status


async def test_token_is_looked_up_once_and_renewed_in_the_background() -> None:
    desk = Desk(t=person())
    for _ in range(3):
        assert await desk.status() == 200
    assert desk.hub.asked == ["t"]
    desk.now += RENEW_SECONDS
    desk.hub.free.clear()  # no request waits for the renewal
    for _ in range(3):
        assert await desk.status() == 200
    await settle()
    assert desk.hub.asked == ["t", "t"]
    desk.hub.free.set()
    await settle()
    desk.now += VALID_SECONDS - 1
    assert await desk.status() == 200  # the renewed owner is cached


async def test_revoked_token_works_until_the_next_lookup() -> None:
    desk = Desk(t=person())
    assert await desk.status() == 200
    desk.hub.people = {}
    desk.now += RENEW_SECONDS
    assert await desk.status() == 200
    await settle()
    assert await desk.status() == 401


async def test_known_users_continue_without_the_hub_until_expiry() -> None:
    desk = Desk(t=person())
    assert await desk.status() == 200
    desk.hub.people = None
    assert await desk.status("new") == 503
    desk.now += VALID_SECONDS - 1
    assert await desk.status() == 200
    await settle()
    desk.now += 1
    assert await desk.status() == 503
    desk.hub.people = {"t": person()}
    assert await desk.status() == 200


async def test_concurrent_requests_share_one_lookup_despite_a_disconnect() -> None:
    desk = Desk(t=person())
    desk.hub.free.clear()
    first, second = (asyncio.create_task(desk.user()) for _ in range(2))
    await settle()
    first.cancel()
    await settle()
    desk.hub.free.set()
    assert (await second).name == "ada"
    assert desk.hub.asked == ["t"]


async def test_invalid_tokens_do_not_delay_renewals() -> None:
    desk = Desk(t=person(), idle=person("bob"), u=person("eve"))
    assert [await desk.status(), await desk.status("idle")] == [200, 200]
    desk.hub.free.clear()
    made_up = [asyncio.create_task(desk.status(f"made-up-{number}")) for number in range(2 * MAX_NEW_TOKENS)]
    await settle()
    assert len(desk.hub.asked) == 2 + MAX_NEW_TOKENS
    assert await desk.status() == 200
    assert await desk.status("u") == 429
    desk.now += RENEW_SECONDS
    assert await desk.status() == 200
    desk.now += VALID_SECONDS
    idle = asyncio.create_task(desk.status("idle"))
    await settle()
    assert desk.hub.renewed == ["t", "idle"]
    desk.hub.free.set()
    assert await idle == 200
    assert {await asked for asked in made_up} == {401, 429}
    assert await desk.status("u") == 200


async def test_renewals_leave_room_for_new_tokens() -> None:
    tokens = [f"t{number}" for number in range(MAX_NEW_TOKENS)]
    desk = Desk(new=person("eve"), **{token: person(token) for token in tokens})
    assert {await desk.status(token) for token in tokens} == {200}
    desk.now += RENEW_SECONDS
    desk.hub.free.clear()
    assert {await desk.status(token) for token in tokens} == {200}
    new = asyncio.create_task(desk.status("new"))
    await settle()
    desk.hub.free.set()
    assert await new == 200


async def test_rejection_is_cached_briefly() -> None:
    desk = Desk()
    assert {await desk.status("u") for _ in range(3)} == {401}
    assert desk.hub.asked == ["u"]
    desk.hub.people = {"u": person()}
    desk.now += REJECTED_SECONDS
    assert await desk.status("u") == 200


async def test_stop_cancels_all_lookups() -> None:
    desk = Desk(t=person())
    desk.hub.free.clear()
    waiting = asyncio.create_task(desk.user())
    await settle()
    await desk.identity.stop()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert desk.hub.people is None


# The environment of the service ------------------------------------------------------------------------

GIVEN = {
    "JUPYTERHUB_SERVICE_NAME": "turbopilot",
    "JUPYTERHUB_API_URL": "http://127.0.0.1:8081/hub/api",
    "JUPYTERHUB_SERVICE_PREFIX": "/services/turbopilot/",
    "JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:10101",
}


def test_environment_gives_address_and_prefix() -> None:
    assert read_environment(GIVEN) == Service(
        "turbopilot", "http://127.0.0.1:8081/hub/api", "127.0.0.1", 10101, "/services/turbopilot/"
    )


@pytest.mark.parametrize("name", DESCRIPTIONS)
def test_missing_or_empty_variables_are_named(name: str) -> None:
    for environment in (
        GIVEN | {name: ""},
        {other: value for other, value in GIVEN.items() if other != name},
    ):
        with pytest.raises(BadRequestError, match="hub-config") as refused:
            read_environment(environment)
        assert [other for other in DESCRIPTIONS if other in refused.value.message] == [name]


def test_name_defaults_to_the_last_part_of_the_prefix() -> None:
    environment = GIVEN | {"JUPYTERHUB_SERVICE_NAME": "", "JUPYTERHUB_SERVICE_PREFIX": "base//services/ghost"}
    service = read_environment(environment)
    assert (service.name, service.prefix) == ("ghost", "/base/services/ghost/")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("JUPYTERHUB_SERVICE_URL", "127.0.0.1:10101"),
        ("JUPYTERHUB_SERVICE_URL", "http://127.0.0.1"),
        ("JUPYTERHUB_SERVICE_URL", "http://127.0.0.1:port"),
        ("JUPYTERHUB_SERVICE_URL", "http://[::1:10101"),
        ("JUPYTERHUB_SERVICE_URL", "https://127.0.0.1:10101"),
        ("JUPYTERHUB_API_URL", "ftp://hub/api"),
        ("JUPYTERHUB_API_URL", "hub/api"),
    ],
)
def test_invalid_variables_are_named(name: str, value: str) -> None:
    with pytest.raises(BadRequestError, match=name):
        read_environment(GIVEN | {name: value})


def test_service_at_the_root_requires_a_name() -> None:
    with pytest.raises(BadRequestError, match="JUPYTERHUB_SERVICE_PREFIX"):
        read_environment(GIVEN | {"JUPYTERHUB_SERVICE_NAME": "", "JUPYTERHUB_SERVICE_PREFIX": "/"})
    assert read_environment(GIVEN | {"JUPYTERHUB_SERVICE_PREFIX": "/"}).prefix == "/"


@given(st.dictionaries(st.sampled_from(sorted(GIVEN)), st.text(max_size=40)))
def test_any_environment_is_parsed_or_rejected_with_a_message(environment: dict[str, str]) -> None:
    try:
        service = read_environment(GIVEN | environment)
    except BadRequestError as refused:
        assert refused.message
    else:
        assert service.prefix.startswith("/")
        assert service.prefix.endswith("/")
        assert "//" not in service.prefix
        assert service.name
        assert service.port
