from __future__ import annotations

import platform
import tomllib
from pathlib import Path

import pytest

from jupyter_turbopilot.engine.llama import install

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("system", "machine", "expected"),
    [
        ("Linux", "x86_64", "--only-binary llama-cpp-python --extra-index-url https://"),
        ("Windows", "AMD64", "/whl/cpu"),
        ("Darwin", "arm64", "/whl/metal"),
        ("Darwin", "x86_64", install.REQUIREMENT),
    ],
)
def test_install_command_names_an_index_that_has_a_wheel(
    system: str, machine: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    command = install.install_command()
    assert expected in command
    assert ("--only-binary" in command) is ("https://" in command)


def test_requirement_is_the_one_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert install.REQUIREMENT.strip('"') in project["dependencies"]
