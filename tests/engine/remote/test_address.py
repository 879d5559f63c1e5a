from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.remote.address import Address, is_loopback, read_addresses
from jupyter_turbopilot.errors import ModelRefusedError

WRONG = {
    "with a password": "https://me:hush@host/v1",
    "with a user": "https://hush@host/v1",
    "with an empty user": "https://@host/v1",
    "with a key in a query": "https://host/v1?key=hush",
    "with a fragment": "https://host/v1#hush",
    "of a file": "file:///hush",
    "without a host": "https:///hush",
    "with a port that is none": "https://host:hush/v1",
    "with a space": "https://host/hush hush",
    "without a scheme": "hush.example/v1",
    "of a provider without a name": "hf:",
    "of a provider with an odd name": "hf:hush!",
    "without encryption": "http://hush.example/v1",
    "of a private network without encryption": "http://192.168.0.7/v1",
    "that only looks like this machine": "http://localhost.hush.example/v1",
    "of a text generation server with a password": "hf:https://me:hush@host",
}


@pytest.mark.parametrize("url", WRONG.values(), ids=WRONG.keys())
def test_an_address_that_is_refused_is_not_repeated(url: str) -> None:
    with pytest.raises(ModelRefusedError, match="Address 2") as refused:
        read_addresses(["http://127.0.0.1/v1", url], plain_http=False)
    assert "hush" not in refused.value.message


def test_no_address_is_refused() -> None:
    with pytest.raises(ModelRefusedError, match="empty"):
        read_addresses([], plain_http=False)


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://localhost:8080/v1/", "http://localhost:8080"),
        ("http://[::1]:8080/v1/completions", "http://[::1]:8080"),
        (" https://hub.example/user/a/turbopilot/v1 ", "https://hub.example/user/a/turbopilot"),
    ],
)
def test_routes_are_appended_to_what_stands_before_v1(url: str, root: str) -> None:
    assert read_addresses([url], plain_http=False)[0].root == root


def test_another_machine_is_reached_without_encryption_if_that_is_allowed() -> None:
    (address,) = read_addresses(["http://gpu.example:8000/v1"], plain_http=True)
    assert address == Address("http://gpu.example:8000", "gpu.example:8000")


def test_a_provider_is_known_by_name_and_a_text_generation_server_by_its_address() -> None:
    found = read_addresses(["hf:together", "hf:http://127.0.0.1:9/api/generate"], plain_http=False)
    assert found[0] == Address("", "hf:together", "together")
    assert found[1] == Address("http://127.0.0.1:9/api/generate", "127.0.0.1:9", "url", local=True)


@given(st.text(max_size=40), st.booleans())
def test_any_text_is_an_address_or_refused(url: str, plain: bool) -> None:
    try:
        (address,) = read_addresses([url], plain_http=plain)
    except ModelRefusedError as refused:
        assert "Address 1" in refused.message
    else:
        assert address.host
        assert "@" not in address.host


@given(st.ip_addresses())
def test_this_machine_is_known_by_its_loopback_addresses(ip: object) -> None:
    assert is_loopback(str(ip)) == (str(ip).startswith("127.") or str(ip) == "::1")


def test_a_provider_and_a_server_do_not_share_a_key() -> None:
    with pytest.raises(ModelRefusedError, match="hf:"):
        read_addresses(["https://host", "hf:together"], plain_http=False)
