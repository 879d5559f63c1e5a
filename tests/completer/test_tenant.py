from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from jupyter_turbopilot.completer.tenant import DIGITS, salted, session_of, tenant_of

SECRET = b"s" * 32
names = st.text(max_size=20) | st.sampled_from(
    ["a", "ada", "ada\n", "group", "all", "user", "('user', 'ada')"]
)
shares = st.sampled_from(["none", "group", "all"])
groups = st.frozensets(names, max_size=3)


@given(names, groups, shares, names, st.binary(max_size=40))
def test_owner_is_a_digest_and_never_empty(
    name: str, member_of: frozenset[str], share: str, group: str, secret: bytes
) -> None:
    tenant = tenant_of(name, member_of, share, group, secret)
    assert len(tenant) == DIGITS
    assert set(tenant) <= set("0123456789abcdef")
    assert tenant == tenant_of(name, member_of, share, group, secret)


@given(names, names, groups, groups, names)
def test_owner_differs_for_users_who_do_not_share(
    one: str, other: str, groups_of_one: frozenset[str], groups_of_other: frozenset[str], group: str
) -> None:
    assume(one != other)

    def same(share: str) -> bool:
        return tenant_of(one, groups_of_one, share, group, SECRET) == tenant_of(
            other, groups_of_other, share, group, SECRET
        )

    assert not same("none")
    assert same("group") == bool(group and group in groups_of_one & groups_of_other)
    assert same("all")


@given(names, groups, shares, names)
def test_owner_depends_on_the_servers_secret(
    name: str, member_of: frozenset[str], share: str, group: str
) -> None:
    assert tenant_of(name, member_of, share, group, b"one") != tenant_of(
        name, member_of, share, group, b"other"
    )


@given(names, names, names, names)
def test_apart_never_returns_another_owner(tenant: str, other: str, salt: str, another: str) -> None:
    assert salted(tenant, "") == tenant
    assert (salted(tenant, salt) == salted(tenant, another)) == (salt == another)
    assume(tenant != other and salt)
    assert salted(tenant, salt) != salted(other, another) or (not another and salted(tenant, salt) == other)


@given(names, names)
def test_session_identifies_a_notebook_without_its_path(path: str, other: str) -> None:
    session = session_of(SECRET, path)
    assert session == session_of(SECRET, path)
    assert (session == session_of(SECRET, other)) == (path == other)
    assert session != session_of(b"another server's", path)
    assert session != tenant_of(path, (), "none", "", SECRET)
