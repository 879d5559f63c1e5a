from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.remote import address
from jupyter_turbopilot.engine.remote.address import Address, is_loopback, read_addresses, read_key
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
    (found,) = read_addresses(["http://gpu.example:8000/v1"], plain_http=True)
    assert found == Address("http://gpu.example:8000", "gpu.example:8000")


def test_a_provider_is_known_by_name_and_a_text_generation_server_by_its_address() -> None:
    found = read_addresses(["hf:together", "hf:http://127.0.0.1:9/api/generate"], plain_http=False)
    assert found[0] == Address("", "hf:together", "together")
    assert found[1] == Address("http://127.0.0.1:9/api/generate", "127.0.0.1:9", "url", local=True)


@given(st.text(max_size=40), st.booleans())
def test_any_text_is_an_address_or_refused(url: str, plain: bool) -> None:
    try:
        (found,) = read_addresses([url], plain_http=plain)
    except ModelRefusedError as refused:
        assert "Address 1" in refused.message
    else:
        assert found.host
        assert "@" not in found.host


@given(st.ip_addresses())
def test_this_machine_is_known_by_its_loopback_addresses(ip: object) -> None:
    assert is_loopback(str(ip)) == (str(ip).startswith("127.") or str(ip) == "::1")


def test_a_provider_and_a_server_do_not_share_a_key() -> None:
    with pytest.raises(ModelRefusedError, match="hf:"):
        read_addresses(["https://host", "hf:together"], plain_http=False)


@pytest.fixture(autouse=True)
def none_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "_taken", {})


def file_with(folder: Path, content: bytes, mode: int = 0o600) -> str:
    path = folder / "key"
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


def test_a_key_comes_from_a_file_of_ones_own(tmp_path: Path) -> None:
    assert read_key(file_with(tmp_path, b"sk-1\n"), provider=False) == "sk-1"


@pytest.mark.skipif(os.name != "posix", reason="files have no modes there")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ModelRefusedError, match="chmod 600") as refused:
        read_key(file_with(tmp_path, b"sk-hush", mode), provider=False)
    assert "hush" not in refused.value.message


@pytest.mark.parametrize(
    "content", [b"", b"  \n", b"sk hush", b"sk-h\xc3\xbcsh", b"h" * (address.MAX_KEY + 1)]
)
def test_a_file_without_a_key_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ModelRefusedError, match="key") as refused:
        read_key(file_with(tmp_path, content), provider=False)
    assert "sh" not in refused.value.message.replace("chmod", "")


def test_a_file_that_is_not_there_is_refused_without_its_path(tmp_path: Path) -> None:
    with pytest.raises(ModelRefusedError, match="FileNotFoundError") as refused:
        read_key(str(tmp_path / "hush"), provider=False)
    assert "hush" not in refused.value.message


def test_without_a_file_the_environment_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(address.ENGINE_KEY, "one")
    monkeypatch.setenv(address.HUB_KEY, " two ")
    assert (read_key("", provider=False), read_key("", provider=True)) == ("one", "two")


def test_no_key_is_none() -> None:
    assert read_key("", provider=False) == ""


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20))
def test_whatever_the_environment_holds_can_stand_in_a_header_or_is_refused(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(address.ENGINE_KEY, text)
        try:
            found = read_key("", provider=False)
        except ModelRefusedError as refused:
            assert len(text) < 6 or text not in refused.message
        else:
            assert found.isascii()
            assert not set(found) & set(" \r\n\t\x7f")


@pytest.mark.parametrize("provider", [False, True])
def test_a_key_that_was_taken_is_known_here_and_inherited_by_nobody(
    monkeypatch: pytest.MonkeyPatch, provider: bool
) -> None:
    monkeypatch.setenv(address.ENGINE_KEY, "sk-1")
    monkeypatch.setenv(address.HUB_KEY, "hf-1")
    address.take_from_environment(provider=provider)
    address.take_from_environment(provider=provider)
    assert address.ENGINE_KEY not in os.environ
    assert (address.HUB_KEY in os.environ) != provider  # a notebook's own token stays where it is
    assert (read_key("", provider=False), read_key("", provider=True)) == ("sk-1", "hf-1")


def test_the_token_that_a_jupyterhub_gave_is_sent_where_that_was_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(address.ENGINE_KEY, "sk-engine")
    monkeypatch.setenv(address.JUPYTERHUB_KEY, "hub-token")
    assert read_key("", provider=False, jupyterhub=True) == "hub-token"
    assert read_key("", provider=False) == "sk-engine"
    address.take_from_environment(provider=False)
    assert os.environ[address.JUPYTERHUB_KEY] == "hub-token"  # the hub's own code needs it


def test_outside_of_a_hub_there_is_no_token_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(address.JUPYTERHUB_KEY, raising=False)
    with pytest.raises(ModelRefusedError, match="JUPYTERHUB_API_TOKEN"):
        read_key("", provider=False, jupyterhub=True)


def test_a_hubs_token_is_never_a_providers_and_never_beside_another_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(address.JUPYTERHUB_KEY, "hub-token")
    with pytest.raises(ModelRefusedError, match="hf:"):
        read_key("", provider=True, jupyterhub=True)
    with pytest.raises(ModelRefusedError, match="key_file"):
        read_key(file_with(tmp_path, b"sk-1"), provider=False, jupyterhub=True)
