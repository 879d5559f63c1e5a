"""The documented configuration is accepted."""

import ast
import json
import re
from typing import Any

import pytest
from IPython.core.shellapp import InteractiveShellApp
from jupyterhub.app import JupyterHub
from jupyterhub.spawner import Spawner
from traitlets.config import Config, LoggingConfigurable

from jupyter_turbopilot.settings.config import sections

from .pages import ROOT, Block, blocks, inline

CLASSES = {kind.__name__: kind for kind in (*sections(), JupyterHub, Spawner, InteractiveShellApp)}


def snippets(*, of_research: bool = False) -> list[Block]:
    return [
        block
        for block in blocks()
        if block.is_configuration and (ROOT / "research" in block.page.parents) == of_research
    ]


def check(section: str, name: str, value: Any) -> None:
    assert section in CLASSES, f"there is no section c.{section}"
    traits = CLASSES[section].class_traits(config=True)
    assert name in traits, f"there is no setting c.{section}.{name}"
    if issubclass(CLASSES[section], LoggingConfigurable) and section.startswith("Turbopilot"):
        CLASSES[section](**{name: value})  # raises if the value is invalid


def check_block(block: Block) -> None:
    config = Config()
    exec(compile(block.text, block.place, "exec"), {"c": config})  # noqa: S102 - from the documents
    assert config
    for section, settings in config.items():
        for name, value in settings.items():
            check(section, name, value)


@pytest.mark.parametrize("block", snippets(), ids=lambda block: block.place)
def test_configuration_snippets_are_accepted(block: Block) -> None:
    check_block(block)


def test_settings_in_sentences_exist_and_accept_the_value() -> None:
    checked = 0
    for page, code in inline():
        if found := re.fullmatch(r"c\.(\w+)\.(\w+)(?: = (.+))?", code):
            section, name, value = found.groups()
            try:
                read = ast.literal_eval(value or "")
            except (SyntaxError, ValueError):
                read = None
            if read is None or "…" in (value or ""):
                assert name in CLASSES[section].class_traits(config=True), f"{page.name}: {code}"
            else:
                check(section, name, read)
            checked += 1
    assert checked > 60


def test_json_blocks_are_valid() -> None:
    found = [block for block in blocks() if block.language == "json"]
    assert found
    for block in found:
        rest = block.text
        while rest := rest.strip():  # JSON Lines are several
            _, end = json.JSONDecoder().raw_decode(rest)
            rest = rest[end:]


def test_documented_frontend_commands_exist() -> None:
    source = (ROOT / "labextension" / "src" / "commands.ts").read_text("utf-8")
    named = {code for _, code in inline() if re.fullmatch(r"turbopilot:[a-z-]+", code)}
    assert named
    assert not [name for name in named if f"'{name}'" not in source]
