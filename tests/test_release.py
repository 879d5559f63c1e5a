"""The checks of `make release`, and the conda-forge recipe."""

import json
import tomllib
from pathlib import Path
from typing import Any

import build_site
import pytest
import release
import repository
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
RECIPE = yaml.safe_load((ROOT / "recipe" / "recipe.yaml").read_text("utf-8"))


def test_versions_in_this_tree_agree() -> None:
    sources = release.read()
    version = json.loads(sources.package)["version"].replace("-rc.", "rc")
    assert [one for one in release.problems(version, sources) if "CHANGELOG" not in one] == []


def as_conda(requirement: str) -> str:
    """Return a requirement in conda's notation."""
    wanted = Requirement(requirement)
    bounds = sorted(map(str, wanted.specifier), key=lambda bound: bound.startswith("<"))
    return f"{wanted.name} {','.join(bounds)}".strip()


def test_recipe_requirements_match_the_package() -> None:
    _, *run = RECIPE["requirements"]["run"]
    # Every package on conda-forge is built for all versions of Python: no requirement depends on it.
    everywhere = [one for one in PROJECT["project"]["dependencies"] if not Requirement(one).marker]
    assert sorted(run) == sorted(map(as_conda, everywhere))
    _, pip, *build = RECIPE["requirements"]["host"]
    assert pip == "pip"
    assert sorted(build) == sorted(map(as_conda, PROJECT["build-system"]["requires"]))
    least = SpecifierSet(PROJECT["project"]["requires-python"])
    assert str(least) == f">={RECIPE['context']['python_min']}"


@pytest.mark.parametrize("folder", [".", *repository.DISTRIBUTIONS])
def test_page_of_a_distribution_links_to_files_of_the_release(folder: str) -> None:
    readme = (ROOT / folder / "README.md").read_text("utf-8")
    links = build_site.links(repository.page(readme, "https://example.org/us", "1.0", folder))
    assert not [link for link in links if repository.relative(link)]
    files = [link.partition("/v1.0/")[2].partition("#")[0] for link in links if "/v1.0/" in link]
    assert files
    assert not [file for file in files if not (ROOT / file).exists()]


def steps_of(workflow: str, action: str) -> list[dict[str, Any]]:
    """Return the steps of a workflow that use an action."""
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / f"{workflow}.yml").read_text("utf-8"))["jobs"]
    return [step for job in jobs.values() for step in job["steps"] if step.get("uses", "").startswith(action)]


def test_release_downloads_no_artifact_by_its_name() -> None:
    downloads = [step["with"] for step in steps_of("release", "actions/download-artifact@")]
    assert downloads
    assert not [given for given in downloads if "name" in given]


def test_nightly_jobs_save_no_models() -> None:
    caches = [step["uses"] for step in steps_of("nightly", "actions/cache")]
    assert caches
    assert all(uses.startswith("actions/cache/restore@") for uses in caches)
