"""What `make release` checks, and the recipe for conda-forge."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import rattler_build
import release
import repository
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import recipe

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
RECIPE = yaml.safe_load((ROOT / "recipe" / "recipe.yaml").read_text("utf-8"))
URL = "https://github.com/ada/turbopilot"
CHANGELOG = (
    "# Changelog\n\n## 1.2.3, 2027-01-31\n\n### Added\n\n- A thing.\n\n## 1.2.2, 2026-12-24\n\n- Before.\n"
)
READY = release.Sources(
    package=json.dumps({"version": "1.2.3"}),
    lock=json.dumps({"version": "1.2.3", "packages": {"": {"version": "1.2.3"}}}),
    recipe='context:\n  version: "1.2.3"\n  python_min: "3.11"\n',
    changelog=CHANGELOG,
)


# What has to agree -----------------------------------------------------------------------------------------


def test_where_everything_agrees_there_is_no_problem() -> None:
    assert release.problems("1.2.3", READY) == []


@pytest.mark.parametrize(
    ("part", "text", "words"),
    [
        ("package", '{"version": "1.2.2"}', "labextension/package.json has the version 1.2.2, not 1.2.3."),
        ("lock", '{"version": "1.2.2", "packages": {"": {"version": "1.2.3"}}}', "package-lock.json has"),
        ("lock", '{"version": "1.2.3", "packages": {"": {"version": "1.2.2"}}}', 'packages, "" has'),
        ("recipe", 'context:\n  version: "1.2.2"\n', "recipe.yaml has the version 1.2.2"),
        ("recipe", "context:\n", "recipe.yaml has the version none"),
        ("changelog", "# Changelog\n\n## 1.2.3, unreleased\n\n- A thing.\n", "begins with “## 1.2.3, unreleased”"),
        ("changelog", "# Changelog\n\n## 1.3.0, unreleased\n\n" + CHANGELOG, "begins with “## 1.3.0, unreleased”"),
        ("changelog", "# Changelog\n", "begins with “nothing”"),
        ("changelog", "## 1.2.3, 2027-01-31\n\n## 1.2.2, 2026-12-24\n\n- Before.\n", "says nothing of 1.2.3"),
    ],
)  # fmt: skip
def test_what_does_not_agree_is_named(part: str, text: str, words: str) -> None:
    (found,) = release.problems("1.2.3", replace(READY, **{part: text}))
    assert words in found


def test_all_problems_are_named_at_once() -> None:
    assert len(release.problems("2.0.0", READY)) == 5


def test_a_candidate_has_npms_version_in_npms_files() -> None:
    assert release.in_node("1.2.3rc1") == "1.2.3-rc.1"
    ready = release.Sources(
        *(text.replace("1.2.3", "1.2.3-rc.1") for text in (READY.package, READY.lock)),
        *(text.replace("1.2.3", "1.2.3rc1") for text in (READY.recipe, READY.changelog)),
    )
    assert release.problems("1.2.3rc1", ready) == []


@pytest.mark.parametrize("version", ["1.2", "v1.2.3", "1.2.3-rc.1", "1.2.3.dev0", ""])
def test_what_is_no_version_is_refused(version: str) -> None:
    with pytest.raises(SystemExit, match="is no version"):
        release.in_node(version)


def test_the_notes_of_a_release_are_its_section_of_the_changelog() -> None:
    assert release.notes("1.2.3", CHANGELOG) == "### Added\n\n- A thing."
    assert release.notes("1.2.2", CHANGELOG) == "- Before."
    assert release.notes("9.9.9", CHANGELOG) == ""


def test_the_versions_in_this_tree_agree() -> None:
    sources = release.read()
    version = json.loads(sources.package)["version"].replace("-rc.", "rc")
    assert [one for one in release.problems(version, sources) if "CHANGELOG" not in one] == []


def test_a_version_that_was_never_written_down_is_refused_before_anything_is_built() -> None:
    command = [sys.executable, ROOT / "scripts" / "release.py", "99.0.0"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "labextension/package.json has the version" in done.stderr
    assert "CHANGELOG.md begins with" in done.stderr
    assert not done.stdout


def write_wheel(folder: Path, page: str) -> Path:
    path = folder / "jupyter_turbopilot-1.2.3-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "jupyter_turbopilot-1.2.3.dist-info/METADATA", f"Name: jupyter-turbopilot\n\n{page}\n"
        )
    return path


@pytest.mark.parametrize("tagged", [True, False])
def test_a_release_with_a_tag_is_tried_by_another_job(
    tagged: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs: list[str] = []

    def build() -> None:
        (tmp_path / "jupyter_turbopilot-1.2.3.tar.gz").touch()
        write_wheel(tmp_path, "[A thing](https://example.org)")

    monkeypatch.setattr(release, "ROOT", tmp_path)
    monkeypatch.setattr(release, "DIST", tmp_path)
    monkeypatch.setattr(release, "read", lambda: READY)
    monkeypatch.setattr(release, "state", lambda *_, **__: [])
    monkeypatch.setattr(release, "build", build)
    monkeypatch.setattr(release, "run", lambda *command, **_: programs.append(" ".join(map(str, command))))
    monkeypatch.setattr(sys, "argv", ["release", "1.2.3", *["--tagged"] * tagged])
    release.main()
    tried = [name for name in ("twine check", "wheel_test.py") for run in programs if name in run]
    assert tried == ([] if tagged else ["twine check", "wheel_test.py"])
    assert (tmp_path / "notes.md").read_text("utf-8") == "### Added\n\n- A thing.\n"


def test_links_that_pypi_does_not_have_are_found_in_the_wheel(tmp_path: Path) -> None:
    page = '“[a](docs/a.md)” [b](https://example.org/b.md) [c](#c) <img src="docs/d.png"> `[e](e.md)`'
    assert release.lost(write_wheel(tmp_path, page)) == ["docs/a.md", "docs/d.png"]


# The repository's address -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [f"{URL}.git", f"git+{URL}.git", f"{URL}/", {"type": "git", "url": f"git+{URL}.git"}],
)
def test_the_repository_is_read_however_npm_writes_it(said: object, tmp_path: Path) -> None:
    package = tmp_path / "package.json"
    package.write_text(json.dumps({"repository": said}))
    assert repository.address(package) == URL
    package.write_text("{}")
    assert repository.address(package) == ""


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


def test_where_no_repository_is_named_the_readme_stays_as_it_is() -> None:
    assert repository.page("[a](docs/a.md)", "", "1.2.3") == "[a](docs/a.md)"


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


def test_the_recipe_says_of_the_package_what_the_package_says() -> None:
    project = PROJECT["project"]
    assert RECIPE["package"]["name"] == project["name"]
    assert RECIPE["about"]["summary"] == project["description"]
    assert RECIPE["about"]["license"] == project["license"]
    assert [RECIPE["about"]["license_file"]] == project["license-files"]
    assert RECIPE["build"]["python"]["entry_points"] == [
        f"{name} = {call}" for name, call in project["scripts"].items()
    ]


def test_a_release_completes_the_recipe_so_that_conda_forges_builder_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sdist = tmp_path / "jupyter_turbopilot-4.5.6.tar.gz"
    sdist.write_bytes(b"the sdist")
    into = tmp_path / "new" / "recipe.yaml"
    monkeypatch.setattr(repository, "address", lambda: URL)
    monkeypatch.setattr(
        sys, "argv", ["recipe", str(sdist), "--maintainer", "ada", "--maintainer", "conda-forge/x"]
    )
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--into", str(into)])
    recipe.main()
    made = yaml.safe_load(into.read_text("utf-8"))
    assert made["source"]["sha256"] == hashlib.sha256(b"the sdist").hexdigest()
    assert made["extra"] == {"recipe-maintainers": ["ada", "conda-forge/x"]}
    assert made["about"] == RECIPE["about"] | {"repository": URL}
    assert made["requirements"] == RECIPE["requirements"]
    (variant,) = rattler_build.Stage0Recipe.from_file(into).render()
    built = variant.recipe.to_dict()
    assert (built["package"]["name"], built["package"]["version"]) == ("jupyter-turbopilot", "4.5.6")
    assert built["build"]["noarch"] == "python"
    assert "jupyter_turbopilot-4.5.6.tar.gz" in built["source"][0]["url"]


def test_what_is_no_sdist_of_ours_and_a_package_without_an_address_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match="is no sdist"):
        recipe.version_of(Path("jupyter_turbopilot-1.0.0-py3-none-any.whl"))
    sdist = tmp_path / "jupyter_turbopilot-1.0.0.tar.gz"
    monkeypatch.setattr(repository, "address", lambda: "")
    monkeypatch.setattr(sys, "argv", ["recipe", str(sdist), "--maintainer", "ada"])
    with pytest.raises(SystemExit, match="names no `repository`"):
        recipe.main()
