from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from jupyter_turbopilot.completer.tenant import DIGITS, salted, session_of, tenant_of

SECRET = b"s" * 32
names = st.text(max_size=20) | st.sampled_from(["a", "ada", "ada\n", "all", "user", "('user', 'ada')"])


@given(st.none() | names, st.binary(max_size=40))
def test_tenant_is_a_digest_and_never_empty(name: str | None, secret: bytes) -> None:
    tenant = tenant_of(name, secret)
    assert len(tenant) == DIGITS
    assert set(tenant) <= set("0123456789abcdef")
    assert tenant == tenant_of(name, secret)


@given(st.none() | names, names)
def test_tenant_differs_between_users(one: str | None, other: str) -> None:
    assert (tenant_of(one, SECRET) == tenant_of(other, SECRET)) == (one == other)


@given(st.none() | names)
def test_tenant_depends_on_the_secret_of_the_server(name: str | None) -> None:
    assert tenant_of(name, b"one") != tenant_of(name, b"other")


@given(names, names, names, names)
def test_salted_never_returns_another_tenant(tenant: str, other: str, salt: str, another: str) -> None:
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
    assert session != tenant_of(path, SECRET)
