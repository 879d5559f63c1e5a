from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.remote import key
from jupyter_turbopilot.engine.remote.key import read_key
from jupyter_turbopilot.errors import ModelRefusedError


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (key.ENGINE_KEY, key.HUB_KEY):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(key, "_taken", {})


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


@pytest.mark.parametrize("content", [b"", b"  \n", b"sk hush", b"sk-h\xc3\xbcsh", b"h" * (key.MOST + 1)])
def test_a_file_without_a_key_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ModelRefusedError, match="key") as refused:
        read_key(file_with(tmp_path, content), provider=False)
    assert "sh" not in refused.value.message.replace("chmod", "")


def test_a_file_that_is_not_there_is_refused_without_its_path(tmp_path: Path) -> None:
    with pytest.raises(ModelRefusedError, match="FileNotFoundError") as refused:
        read_key(str(tmp_path / "hush"), provider=False)
    assert "hush" not in refused.value.message


def test_without_a_file_the_environment_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(key.ENGINE_KEY, "one")
    monkeypatch.setenv(key.HUB_KEY, " two ")
    assert (read_key("", provider=False), read_key("", provider=True)) == ("one", "two")


def test_no_key_is_none() -> None:
    assert read_key("", provider=False) == ""


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20))
def test_whatever_the_environment_holds_can_stand_in_a_header_or_is_refused(text: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(key.ENGINE_KEY, text)
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
    monkeypatch.setenv(key.ENGINE_KEY, "sk-1")
    monkeypatch.setenv(key.HUB_KEY, "hf-1")
    key.take_from_environment(provider=provider)
    key.take_from_environment(provider=provider)
    assert key.ENGINE_KEY not in os.environ
    assert (key.HUB_KEY in os.environ) != provider  # a notebook's own token stays where it is
    assert (read_key("", provider=False), read_key("", provider=True)) == ("sk-1", "hf-1")


def test_the_token_that_a_jupyterhub_gave_is_sent_where_that_was_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(key.ENGINE_KEY, "sk-engine")
    monkeypatch.setenv(key.JUPYTERHUB_KEY, "hub-token")
    assert read_key("", provider=False, jupyterhub=True) == "hub-token"
    assert read_key("", provider=False) == "sk-engine"
    key.take_from_environment(provider=False)
    assert os.environ[key.JUPYTERHUB_KEY] == "hub-token"  # the hub's own code needs it


def test_outside_of_a_hub_there_is_no_token_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(key.JUPYTERHUB_KEY, raising=False)
    with pytest.raises(ModelRefusedError, match="JUPYTERHUB_API_TOKEN"):
        read_key("", provider=False, jupyterhub=True)


def test_a_hubs_token_is_never_a_providers_and_never_beside_another_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(key.JUPYTERHUB_KEY, "hub-token")
    with pytest.raises(ModelRefusedError, match="hf:"):
        read_key("", provider=True, jupyterhub=True)
    with pytest.raises(ModelRefusedError, match="key_file"):
        read_key(file_with(tmp_path, b"sk-1"), provider=False, jupyterhub=True)
