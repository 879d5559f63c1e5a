"""The scripts behind `make lab` and `make test`."""

import tomllib
from pathlib import Path

import floors
import prose
import pytest
import tables

from jupyter_turbopilot.util import registry
from jupyter_turbopilot.util.registry import Entry

ROOT = Path(__file__).parent.parent


def test_floors_are_the_oldest_supported_versions() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert floors.oldest(project) == ["jupyterlab==4.4", "notebook==7.4"]


def test_lock_files_contain_no_download_addresses() -> None:
    for name in ("requirements.lock", "labextension/package-lock.json"):
        text = (ROOT / name).read_text()
        for trace in ('"resolved"', ".tgz", ".whl", "://registry", "://pypi", "--index-url", " @ "):
            assert trace not in text


def test_command_table_omits_commands_of_other_distributions(monkeypatch: pytest.MonkeyPatch) -> None:
    table = tables.command_line()
    own = registry.registered()
    more = [*own["commands"], Entry("more", "other:declare")]
    monkeypatch.setattr(registry, "registered", lambda: own | {"commands": more})
    assert tables.command_line() == table


@pytest.mark.parametrize(
    ("line", "is_broken"),
    [
        ("# Somebody waits for it.", True),
        ("# The client waits for it.", False),
        ("    if value is None:", False),
        ("def test_who_is_told() -> None:", True),
        ('"""Tell whether it is there."""', True),
        ('"""Return whether the file exists."""', False),
    ],
)
def test_prose_finds_lines_that_break_a_rule(line: str, is_broken: bool) -> None:
    assert bool(prose.broken(line)) is is_broken


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("Fast.\nIt takes 57 ms.", [2]),
        ("It saves 34 % of it,\nin 0.8 GB.", [1, 2]),
        ("Files of at most <!-- limit -->1 MB.", []),
        ("Set `1 MB`.\n```bash\nsleep 5 ms\n```\n<!-- not run: it downloads 2 GB -->", []),
        ("<!-- [[[cog\nprint()\n]]] -->\n12 %\n<!-- [[[end]]] -->", []),
    ],
)
def test_prose_finds_figures_that_are_typed_by_hand(text: str, lines: list[int]) -> None:
    assert prose.typed_figures(text) == lines
