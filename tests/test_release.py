"""What `make release` checks, and the recipe for conda-forge."""

from __future__ import annotations

import json
import re
import tomllib
import zipfile
from pathlib import Path

import release
import repository
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
RECIPE = yaml.safe_load((ROOT / "recipe" / "recipe.yaml").read_text("utf-8"))
URL = "https://github.com/ada/turbopilot"
# What has to agree -----------------------------------------------------------------------------------------


def test_the_versions_in_this_tree_agree() -> None:
    sources = release.read()
    version = json.loads(sources.package)["version"].replace("-rc.", "rc")
    assert [one for one in release.problems(version, sources) if "CHANGELOG" not in one] == []


def write_wheel(folder: Path, page: str) -> Path:
    path = folder / "jupyter_turbopilot-1.2.3-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "jupyter_turbopilot-1.2.3.dist-info/METADATA", f"Name: jupyter-turbopilot\n\n{page}\n"
        )
    return path


# The repository's address -----------------------------------------------------------------------------------


def test_the_badge_opens_the_demo_and_is_left_out_where_binder_cannot_find_it() -> None:
    assert repository.badge("") == ""
    assert repository.badge("https://example.org/ada/turbopilot") == ""
    found = re.search(r"/v2/gh/(\S+)/HEAD\?urlpath=lab%2Ftree%2F(\S+)\)$", repository.badge(URL))
    assert found
    assert found[1] == "ada/turbopilot"
    assert (ROOT / found[2].replace("%2F", "/")).is_file()


def test_pypis_page_is_the_readme_with_links_that_work_there(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    page = repository.page(readme, URL, "1.2.3")
    assert f"({URL}/blob/v1.2.3/docs/get-started.md)" in page
    assert f'src="{URL}/raw/v1.2.3/docs/ghost-text-moving.png"' in page
    assert "<!--" not in page
    assert release.lost(write_wheel(tmp_path, page)) == []
    assert release.lost(write_wheel(tmp_path, readme))


# The recipe -------------------------------------------------------------------------------------------------


def as_conda(requirement: str) -> str:
    """Return a requirement in conda's words."""
    wanted = Requirement(requirement)
    bounds = sorted(map(str, wanted.specifier), key=lambda bound: bound.startswith("<"))
    return f"{wanted.name} {','.join(bounds)}".strip()


def test_the_recipe_wants_what_the_package_wants() -> None:
    _, *run = RECIPE["requirements"]["run"]
    assert sorted(run) == sorted(map(as_conda, PROJECT["project"]["dependencies"]))
    _, pip, *build = RECIPE["requirements"]["host"]
    assert pip == "pip"
    assert sorted(build) == sorted(map(as_conda, PROJECT["build-system"]["requires"]))
    least = SpecifierSet(PROJECT["project"]["requires-python"])
    assert str(least) == f">={RECIPE['context']['python_min']}"
