from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

import pytest

from jupyter_turbopilot.jupyter import front_end
from jupyter_turbopilot.jupyter.front_end import examine, own_build

REINSTALL = "Run: python -m pip install --force-reinstall jupyter-turbopilot"


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


@pytest.fixture(autouse=True)
def _version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front_end, "version", lambda _: "0.2.0")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return build(tmp_path / "package")


def test_examine_reports_a_missing_build(tmp_path: Path, own: Path) -> None:
    assert examine([str(tmp_path)], own).text == f"it is missing. {REINSTALL}"


@pytest.mark.parametrize("behind", [None, "old", "damaged"])
def test_examine_advises_to_reinstall_an_older_build(tmp_path: Path, own: Path, behind: str | None) -> None:
    # With `pip install --user` the folder is outside of Python's prefix.
    there = build(tmp_path / "home" / ".local", version="0.1.0", digest="old")
    if behind:
        other = build(tmp_path / "lab", digest="old" if behind == "old" else "new")
        (other / "static" / "remoteEntry.new.js").unlink(missing_ok=True)
    finding = examine([str(there.parent), str(tmp_path / "lab")], own)
    assert finding.problem
    assert finding.text == (
        f"JupyterLab loads {there}, which is version 0.1.0, and the package is 0.2.0. {REINSTALL}, "
        "then reload the pages that are open"
    )


def test_examine_advises_to_delete_a_build_that_hides_the_right_one(tmp_path: Path, own: Path) -> None:
    there = build(tmp_path / "home", digest="old")
    build(tmp_path / "lab")
    finding = examine([str(tmp_path / "home"), str(tmp_path / "lab")], own)
    assert finding.problem
    assert finding.text == (
        f"JupyterLab loads {there}, which is a different build from the package's. Delete that folder, "
        "then reload the pages that are open"
    )


@pytest.mark.parametrize("harm", ["text", "field", "entry"])
def test_examine_reports_a_damaged_build(tmp_path: Path, own: Path, harm: str) -> None:
    there = build(tmp_path / "lab")
    if harm == "entry":
        (there / "static" / "remoteEntry.new.js").unlink()
    else:
        (there / "package.json").write_text("{" if harm == "text" else '{"version": "0.2.0"}')
    finding = examine([str(tmp_path / "lab")], own)
    assert finding.problem
    assert finding.text.startswith(f"{there} is damaged. {REINSTALL}, ")
    build(tmp_path / "behind")
    hiding = examine([str(tmp_path / "lab"), str(tmp_path / "behind")], own)
    assert hiding.text.startswith(f"{there} is damaged. Delete that folder, ")


def test_examine_reports_an_overwritten_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = build(tmp_path / "share" / "jupyter" / "labextensions")
    content = (there / "package.json").read_bytes()
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    name = "../share/jupyter/labextensions/jupyter-turbopilot/package.json"
    install(tmp_path / "lib", f"{name},sha256={digest},{len(content)}\n")
    monkeypatch.syspath_prepend(tmp_path / "lib")
    own = own_build(tmp_path / "none")
    assert not examine([str(there.parent)], own).problem
    (there / "package.json").write_bytes(content.replace(b"new", b"old"))
    (there / "static" / "remoteEntry.old.js").touch()
    finding = examine([str(there.parent)], own)
    assert finding.problem
    assert finding.text.startswith(
        f"JupyterLab loads {there}, which is a different build from the package's. Run"
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
    old = build(tmp_path / "home", digest="old")
    message = examine([str(old.parent), str(there.parent)], own_build(sources)).text
    assert message.startswith(f"JupyterLab loads {old}, which is a different build from the package's.")
    sources.mkdir()
    assert own_build(sources) == sources
