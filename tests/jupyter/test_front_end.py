import json
from pathlib import Path

import pytest

from jupyter_turbopilot.jupyter.front_end import examine, own_build

INSTALL = "python -m pip install --force-reinstall jupyter-turbopilot"
REMEDY = f"Delete that folder, run: {INSTALL}, then reload the pages that are open"


def build(folder: Path, version: str = "0.2.0", digest: str = "new") -> Path:
    """Write a build into a labextensions folder; return it."""
    there = folder / "jupyter-turbopilot"
    (there / "static").mkdir(parents=True)
    entry = f"static/remoteEntry.{digest}.js"
    (there / entry).touch()
    (there / "package.json").write_text(
        json.dumps({"version": version, "jupyterlab": {"_build": {"load": entry}}})
    )
    return there


def install(packages: Path, record: str) -> None:
    """Write the metadata of an installation into a folder of packages."""
    described = packages / "jupyter_turbopilot-0.2.0.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: jupyter-turbopilot\nVersion: 0.2.0\n")
    (described / "RECORD").write_text(record)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return build(tmp_path / "package")


def test_examine_reports_a_missing_build(tmp_path: Path, own: Path) -> None:
    assert examine([str(tmp_path)], own).text == f"it is missing. Run: {INSTALL}"


def test_examine_reports_another_version(tmp_path: Path, own: Path) -> None:
    # With `pip install --user` the folder is outside of Python's prefix.
    there = build(tmp_path / "home" / ".local", version="0.1.0", digest="old")
    build(tmp_path / "lab")
    finding = examine([str(there.parent), str(tmp_path / "lab")], own)
    assert finding.problem
    assert finding.text == (
        f"JupyterLab loads {there}, which is version 0.1.0, and the package is 0.2.0. {REMEDY}"
    )


@pytest.mark.parametrize("harm", ["text", "field", "entry", "build"])
def test_examine_reports_a_damaged_build(tmp_path: Path, own: Path, harm: str) -> None:
    there = build(tmp_path / "lab", digest="old" if harm == "build" else "new")
    if harm == "entry":
        (there / "static" / "remoteEntry.new.js").unlink()
    elif harm != "build":
        (there / "package.json").write_text("{" if harm == "text" else '{"version": "0.2.0"}')
    finding = examine([str(tmp_path / "lab")], own)
    assert finding.problem
    assert (
        finding.text
        == f"JupyterLab loads {there}, which is damaged, or not the build of this package. {REMEDY}"
    )


def test_own_build_is_in_the_sources_or_installed_by_pip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources, packages = tmp_path / "sources", tmp_path / "lib" / "packages"
    there = build(tmp_path / "share" / "jupyter" / "labextensions")
    names = (
        "jupyter_turbopilot/package.json",
        "../../share/jupyter/labextensions/jupyter-turbopilot/package.json",
    )
    install(packages, "".join(f"{name},,\n" for name in names))
    monkeypatch.syspath_prepend(packages)
    assert own_build(sources).resolve() == there
    assert not examine([str(there.parent)], there).problem
    sources.mkdir()
    assert own_build(sources) == sources
