from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from jupyter_turbopilot.cli import parser
from jupyter_turbopilot.jupyter import standalone
from jupyter_turbopilot.jupyter.pilot.pilot import Pilot
from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.settings.config import Turbopilot
from jupyter_turbopilot.terminal.commands import serve
from jupyter_turbopilot.terminal.commands.serve import key_of
from jupyter_turbopilot.util import registry

from ...multi_user_service import HeaderIdentity


def options(key: str | None = None, file: Path | None = None, *, none: bool = False) -> Namespace:
    return Namespace(api_key=key, api_key_file=file, no_api_key=none)


def test_key_of_uses_the_option_the_environment_or_none(
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


def test_serve_refuses_several_key_options() -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["serve", "--api-key", "a", "--no-api-key"])


def callers(_environment: object) -> tuple[str, str]:
    return "identity", "address"


def test_serve_has_an_option_for_the_callers_of_each_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [registry.Entry(name, f"{__name__}:{name}") for name in ("callers", "missing")]
    monkeypatch.setattr(registry, "registered", lambda: {"callers": entries})
    monkeypatch.setattr(registry, "failures", {})
    found = parser().parse_args(["serve", "--callers"]).callers
    assert serve._for_plugin(found) == ("identity", "address", "")
    with pytest.raises(BadRequestError, match="--missing is not available"):
        serve._for_plugin(parser().parse_args(["serve", "--missing"]).callers)
    with pytest.raises(SystemExit):
        parser().parse_args(["serve", "--callers", "--no-api-key"])


@pytest.mark.parametrize("name", ["host", "model"])
def test_serve_works_without_a_plugin_whose_option_is_taken(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken, other = (registry.Entry(option, f"{__name__}:callers") for option in (name, "other"))
    monkeypatch.setattr(registry, "registered", lambda: {"callers": [taken, other]})
    monkeypatch.setattr(serve, "failures", failures := {})
    options = parser().parse_args(["serve", f"--{name}", "text", "--other"])
    assert (vars(options)[name], options.callers) == ("text", other)
    assert [*failures] == [taken.value]


def several(_environment: object) -> tuple[HeaderIdentity, str]:
    return HeaderIdentity(), "address"


@pytest.mark.parametrize(
    ("option", "counts"), [("--api-key=s3cret-key", True), ("--no-api-key", False), ("--several", False)]
)
def test_serve_counts_only_the_suggestions_of_its_owner(
    monkeypatch: pytest.MonkeyPatch, option: str, *, counts: bool
) -> None:
    served: list[Pilot] = []

    async def serve_until_stopped(pilot: Pilot, *_: Any) -> int:
        served.append(pilot)
        return 0

    monkeypatch.setattr(standalone, "serve", serve_until_stopped)
    entry = registry.Entry("several", f"{__name__}:several")
    monkeypatch.setattr(registry, "registered", lambda: {"callers": [entry]})
    assert serve.run(parser().parse_args(["serve", option]), Turbopilot()) == 0
    (pilot,) = served
    pilot.stop()
    assert (pilot.statistics is not None) == counts
