from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_turbopilot.cli import parser
from jupyter_turbopilot.commands.serve import Options, key_of
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
