import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from traitlets import Int, TraitError, Unicode
from traitlets.config import Config, Configurable

from jupyter_turbopilot.plugins.remote.settings import TurbopilotRemote
from jupyter_turbopilot.plugins.transformers.settings import TurbopilotTransformers
from jupyter_turbopilot.settings.config import EngineSection, Turbopilot, _section_of, sections
from jupyter_turbopilot.util import registry
from jupyter_turbopilot.util.registry import Entry


class TurbopilotOther(Configurable):
    """The section of another distribution."""

    name = Unicode("none").tag(config=True)


class TurbopilotFar(EngineSection):
    """The section of another distribution's engine."""

    slots = Int(1, min=1).tag(config=True)


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Entry]]:
    """The sections of settings of another distribution with an engine."""
    engine, entries = Entry("far", f"{__name__}:TurbopilotFar"), list[Entry]()
    monkeypatch.setattr(registry, "registered", lambda: {"engines": [engine], "settings": entries})
    monkeypatch.setattr(registry, "failures", {})
    _section_of.cache_clear()
    yield entries
    _section_of.cache_clear()


@pytest.mark.parametrize(
    ("engine", "section"),
    [("llama", EngineSection), ("transformers", TurbopilotTransformers), ("remote", TurbopilotRemote)],
)
def test_engine_section_is_that_of_the_configured_engine(engine: str, section: type[EngineSection]) -> None:
    assert type(Turbopilot(engine=engine).engine_section) is section


@pytest.mark.parametrize(
    ("engine", "remote", "may_send"),
    [
        ("llama", {}, True),
        ("remote", {}, False),
        ("remote", {"send_documents": True}, False),
        ("remote", {"send_documents": True, "send_kernel_context": True}, True),
    ],
)
def test_index_is_sent_to_remote_servers_only_if_allowed(
    engine: str, remote: dict[str, bool], may_send: bool
) -> None:
    settings = Turbopilot(engine=engine, config=Config(TurbopilotRemote=remote))
    assert settings.may_send_index is may_send


@pytest.mark.parametrize(
    "invalid", [{"TurbopilotRemote": {"slots": -1}}, {"TurbopilotTransformers": {"device": 4}}]
)
def test_validate_sections_refuses_invalid_values(invalid: dict[str, dict[str, object]]) -> None:
    settings = Turbopilot(config=Config(invalid))
    with pytest.raises(TraitError):
        settings.validate_sections()


def test_validate_sections_refuses_an_invalid_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TURBOPILOT_ENGINE_AUTH", "password")
    with pytest.raises(TraitError):
        Turbopilot().validate_sections()


def test_validate_sections_refuses_an_engine_without_its_settings(far: list[Entry]) -> None:
    far.append(Entry("far", f"{__name__}:Missing"))
    with pytest.raises(TraitError, match="settings of the engine far cannot be imported"):
        Turbopilot(engine="far").validate_sections()


def test_validate_sections_reads_the_section_of_another_engine(far: list[Entry]) -> None:
    far.append(Entry("far", f"{__name__}:TurbopilotFar"))
    Turbopilot(engine="far", config=Config(TurbopilotFar={"slots": 2})).validate_sections()
    with pytest.raises(TraitError, match="slots"):
        Turbopilot(engine="far", config=Config(TurbopilotFar={"slots": 0})).validate_sections()


def test_settings_of_server_and_page_are_few() -> None:
    schema = Path(__file__).parents[2] / "labextension" / "schema" / "plugin.json"
    own = [section for section in sections() if section.__module__.startswith(registry.PREFIX)]
    traits = sum(len(section.class_own_traits(config=True)) for section in own)
    assert traits + len(json.loads(schema.read_text("utf-8"))["properties"]) <= 60
