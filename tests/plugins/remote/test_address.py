import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.plugins.remote import address
from jupyter_turbopilot.plugins.remote.address import ROUTER, Address, read_addresses, read_key
from jupyter_turbopilot.protocol.errors import ModelRefusedError

WRONG = {
    "with a password": "https://me:hush@host/v1",
    "with a user": "https://hush@host/v1",
    "with an empty user": "https://@host/v1",
    "with a key in a query": "https://host/v1?key=hush",
    "with a fragment": "https://host/v1#hush",
    "of a file": "file:///hush",
    "without a host": "https:///hush",
    "with an invalid port": "https://host:hush/v1",
    "with a space": "https://host/hush hush",
    "without a scheme": "hush.example/v1",
    "of a provider without a name": "hf:",
    "of a provider with an odd name": "hf:hush!",
    "without encryption": "http://hush.example/v1",
    "of a private network without encryption": "http://192.168.0.7/v1",
    "that only looks like this machine": "http://localhost.hush.example/v1",
    "of a provider with a password": "hf:https://me:hush@host",
}


@pytest.mark.parametrize("url", WRONG.values(), ids=WRONG.keys())
def test_read_addresses_never_quotes_an_invalid_address(url: str) -> None:
    with pytest.raises(ModelRefusedError, match="Address 2") as refused:
        read_addresses(["http://127.0.0.1/v1", url], allow_http=False)
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
def test_read_addresses_removes_v1_from_the_root(url: str, root: str) -> None:
    assert read_addresses([url], allow_http=False)[0].root == root


def test_read_addresses_allows_plain_http_if_configured() -> None:
    (found,) = read_addresses(["http://gpu.example:8000/v1"], allow_http=True)
    assert found == Address("http://gpu.example:8000", "gpu.example:8000")


def test_read_addresses_parses_hugging_face_addresses() -> None:
    (found,) = read_addresses(["hf:together"], allow_http=False)
    assert found == Address(f"{ROUTER}/together", "hf:together", "together")


@given(st.text(max_size=40), st.booleans())
def test_read_addresses_accepts_or_rejects_any_text(url: str, plain: bool) -> None:
    try:
        (found,) = read_addresses([url], allow_http=plain)
    except ModelRefusedError as refused:
        assert "Address 1" in refused.message
    else:
        assert found.host
        assert "@" not in found.host


def test_read_addresses_rejects_a_mix_of_kinds() -> None:
    with pytest.raises(ModelRefusedError, match="hf:"):
        read_addresses(["https://host", "hf:together"], allow_http=False)


@pytest.fixture(autouse=True)
def none_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "_taken", {})


def file_with(folder: Path, content: bytes, mode: int = 0o600) -> str:
    path = folder / "key"
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


def test_read_key_reads_a_private_file(tmp_path: Path) -> None:
    assert read_key(file_with(tmp_path, b"sk-1\n"), provider=False) == "sk-1"


@pytest.mark.skipif(os.name != "posix", reason="files have no modes")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_read_key_rejects_a_file_that_others_can_read(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ModelRefusedError, match="chmod 600") as refused:
        read_key(file_with(tmp_path, b"sk-hush", mode), provider=False)
    assert "hush" not in refused.value.message


@pytest.mark.parametrize(
    "content", [b"", b"  \n", b"sk hush", b"sk-h\xc3\xbcsh", b"h" * (address.MAX_KEY + 1)]
)
def test_read_key_rejects_a_file_without_a_valid_key(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ModelRefusedError, match="key") as refused:
        read_key(file_with(tmp_path, content), provider=False)
    assert "sh" not in refused.value.message.replace("chmod", "")


def test_read_key_rejects_a_missing_file_without_its_path(tmp_path: Path) -> None:
    with pytest.raises(ModelRefusedError, match="FileNotFoundError") as refused:
        read_key(str(tmp_path / "hush"), provider=False)
    assert "hush" not in refused.value.message


def test_read_key_uses_the_environment_without_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(address.ENGINE_KEY, "one")
    monkeypatch.setenv(address.HUB_KEY, " two ")
    assert (read_key("", provider=False), read_key("", provider=True)) == ("one", "two")


def test_read_key_returns_an_empty_string_without_a_key() -> None:
    assert read_key("", provider=False) == ""


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20))
def test_read_key_returns_only_valid_header_values(text: str) -> None:
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
def test_take_from_environment_keeps_the_key_in_this_process(
    monkeypatch: pytest.MonkeyPatch, provider: bool
) -> None:
    monkeypatch.setenv(address.ENGINE_KEY, "sk-1")
    monkeypatch.setenv(address.HUB_KEY, "hf-1")
    address.take_from_environment(provider=provider)
    address.take_from_environment(provider=provider)
    assert address.ENGINE_KEY not in os.environ
    assert (address.HUB_KEY in os.environ) != provider  # notebooks may need the token
    assert (read_key("", provider=False), read_key("", provider=True)) == ("sk-1", "hf-1")


def test_read_key_returns_the_jupyterhub_token_if_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(address.ENGINE_KEY, "sk-engine")
    monkeypatch.setenv(address.JUPYTERHUB_KEY, "hub-token")
    assert read_key("", provider=False, jupyterhub=True) == "hub-token"
    assert read_key("", provider=False) == "sk-engine"
    address.take_from_environment(provider=False)
    assert os.environ[address.JUPYTERHUB_KEY] == "hub-token"  # JupyterHub's code needs it


def test_read_key_rejects_jupyterhub_auth_outside_of_a_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(address.JUPYTERHUB_KEY, raising=False)
    with pytest.raises(ModelRefusedError, match="JUPYTERHUB_API_TOKEN"):
        read_key("", provider=False, jupyterhub=True)


def test_read_key_rejects_jupyterhub_auth_with_other_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(address.JUPYTERHUB_KEY, "hub-token")
    with pytest.raises(ModelRefusedError, match="hf:"):
        read_key("", provider=True, jupyterhub=True)
    with pytest.raises(ModelRefusedError, match="key_file"):
        read_key(file_with(tmp_path, b"sk-1"), provider=False, jupyterhub=True)
