from __future__ import annotations

from unittest.mock import patch

from hypothesis import assume, given
from hypothesis import strategies as st

from jupyter_turbopilot.completer import tenant as tenant_module
from jupyter_turbopilot.completer.tenant import DIGITS, salted, session_of, tenant_of

names = st.text(max_size=20) | st.sampled_from(["a", "ada", "ada\n", "all", "user", "('user', 'ada')"])


@given(st.none() | names)
def test_tenant_is_a_digest_and_never_empty(name: str | None) -> None:
    tenant = tenant_of(name)
    assert len(tenant) == DIGITS
    assert set(tenant) <= set("0123456789abcdef")
    assert tenant == tenant_of(name)


@given(st.none() | names, names)
def test_tenant_differs_between_users(one: str | None, other: str) -> None:
    assert (tenant_of(one) == tenant_of(other)) == (one == other)


@given(st.none() | names, names)
def test_digests_depend_on_the_secret_of_the_server(name: str | None, path: str) -> None:
    digests = tenant_of(name), session_of(path)
    with patch.object(tenant_module, "SECRET", b"another server's"):
        assert {tenant_of(name), session_of(path)}.isdisjoint(digests)


@given(names, names, names, names)
def test_salted_never_returns_another_tenant(tenant: str, other: str, salt: str, another: str) -> None:
    assert salted(tenant, "") == tenant
    assert (salted(tenant, salt) == salted(tenant, another)) == (salt == another)
    assume(tenant != other and salt)
    assert salted(tenant, salt) != salted(other, another) or (not another and salted(tenant, salt) == other)


@given(names, names)
def test_session_identifies_a_notebook_without_its_path(path: str, other: str) -> None:
    session = session_of(path)
    assert session == session_of(path)
    assert (session == session_of(other)) == (path == other)
    assert session not in {session_of(path, "tenant"), tenant_of(path)}
