"""The documented configuration is accepted."""

import ast
import json
import re
from typing import Any

import pytest
from IPython.core.shellapp import InteractiveShellApp
from jupyterhub.app import JupyterHub
from jupyterhub.spawner import Spawner
from prometheus_client.parser import text_string_to_metric_families
from traitlets.config import Config, LoggingConfigurable

from jupyter_turbopilot.jupyter.metrics import Metrics
from jupyter_turbopilot.protocol.reply import Timings
from jupyter_turbopilot.settings.config import Turbopilot, sections

from ..scripted_engine import ScriptedEngine, pilot_with
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


def test_dashboard_shows_the_documented_queries_of_existing_metrics() -> None:
    page = (ROOT / "docs" / "scale.md").read_text()
    section = page.partition("## Metrics")[2].partition("\n## ")[0]
    documented = re.findall(r"^\| `(.+?)` \|", section, re.MULTILINE)
    dashboard = json.loads((ROOT / "deploy" / "grafana.json").read_text())
    assert [panel["targets"][0]["expr"] for panel in dashboard["panels"]] == documented
    metrics = Metrics(pilot_with(Turbopilot(), lambda *_: ScriptedEngine("")))
    metrics.count("complete", "completed")
    metrics.measure(Timings(prompt_tokens=2, cached_tokens=1, predicted_tokens=1))
    families = [*text_string_to_metric_families(metrics.text(with_users=True).decode())]
    existing = {sample.name for family in families for sample in family.samples}
    existing |= {f"{family.name}_total" for family in families if family.type == "counter"}
    assert set(re.findall(r"turbopilot_\w+", " ".join(documented))) <= existing


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
