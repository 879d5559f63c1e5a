from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from jupyter_turbopilot.cli import parser
from jupyter_turbopilot.commands.serve import Options, key_of, port
from jupyter_turbopilot.errors import BadRequestError


def options(key: str | None = None, file: Path | None = None, *, none: bool = False) -> Options:
    return Options("127.0.0.1", 18080, key, file, none, hub=False)


def test_the_key_is_the_options_or_the_environments_or_to_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TURBOPILOT_API_KEY", raising=False)
    assert key_of(options()) is None
    monkeypatch.setenv("TURBOPILOT_API_KEY", "environment")
    (tmp_path / "key").write_text("file\n")
    assert key_of(options()) == "environment"
    assert key_of(options("option")) == "option"
    assert key_of(options(file=tmp_path / "key")) == "file"
    assert key_of(options(none=True)) == ""
    with pytest.raises(BadRequestError, match="A key is"):
        key_of(options(""))


def test_one_way_to_name_the_key_is_enough() -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["serve", "--api-key", "a", "--no-api-key"])


@pytest.mark.parametrize("text", ["0", "65536", "-1", "http", "1e3"])
def test_what_is_no_port_is_refused(text: str) -> None:
    assert port("18080") == 18080
    with pytest.raises(argparse.ArgumentTypeError, match="is not a port: choose one from 1 to 65535"):
        port(text)
