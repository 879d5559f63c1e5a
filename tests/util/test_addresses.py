import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.util.addresses import is_loopback


@pytest.mark.parametrize("name", ["localhost", "LocalHost.", "127.0.0.1", "127.9.9.9", "::1", "[::1]"])
def test_loopback_names_are_recognized(name: str) -> None:
    assert is_loopback(name)


@pytest.mark.parametrize("name", ["", "::", "192.168.1.5", "localhost.evil.example", "evil", "127.1"])
def test_public_names_are_not_loopback(name: str) -> None:
    assert not is_loopback(name)


@given(st.ip_addresses())
def test_loopback_addresses_match_the_standard_library(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    assert is_loopback(str(address)) is address.is_loopback
