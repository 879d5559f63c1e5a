import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.plugins.remote.errors import WAIT, RemoteRefusalError, refused
from jupyter_turbopilot.protocol.errors import MISSING_SCOPE, BusyError, NotReadyError


@given(st.integers(100, 999))
def test_refused_message_contains_the_host(status: int) -> None:
    error = refused("host:1", status)
    assert error.message.startswith("host:1 ")
    assert error.message.endswith(".")
    assert isinstance(error, RemoteRefusalError) == (status not in WAIT)


@pytest.mark.parametrize(
    ("status", "advice"),
    [(401, "key"), (403, "key"), (404, "only chat"), (400, "vocabulary"), (500, "log"), (302, "redirects")],
)
def test_refused_message_contains_advice(status: int, advice: str) -> None:
    assert advice in refused("host", status).message


def test_refused_distinguishes_busy_and_loading_servers() -> None:
    assert isinstance(refused("host", 429), BusyError)
    assert isinstance(refused("host", 503), NotReadyError)


def test_refused_in_hub_without_the_scope_is_switched_off() -> None:
    error = refused("host", 403, in_hub=True, code=MISSING_SCOPE)
    assert (error.status, error.code) == (403, "disabled")
    assert "your JupyterHub account may not use host" in error.message


def test_refused_in_hub_distinguishes_the_reasons_for_a_403() -> None:
    off = refused("host", 403, in_hub=True, code="disabled")
    assert (off.code, "host has the setting" in off.message) == ("disabled", True)
    for code in ("", "forbidden"):
        error = refused("host", 403, in_hub=True, code=code)
        assert isinstance(error, RemoteRefusalError)
        assert "firewall" in error.message


def test_refused_in_hub_has_the_same_message_for_other_statuses() -> None:
    assert refused("host", 404, in_hub=True).message == refused("host", 404).message
