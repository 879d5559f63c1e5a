"""The workflows for GitHub: what can be known of them without running them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import build_site
import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
NAMES = [path.stem for path in WORKFLOWS]


def read(name: str) -> dict[str, Any]:
    text = (ROOT / ".github" / "workflows" / f"{name}.yml").read_text("utf-8")
    # YAML 1.1 takes `on` for a truth value.
    return yaml.safe_load(re.sub(r"^on:", '"on":', text, flags=re.MULTILINE))


def commands(name: str) -> list[str]:
    jobs = read(name)["jobs"].values()
    return [step["run"] for job in jobs for step in job["steps"] if "run" in step]


def checked(program: str, *arguments: object) -> None:
    command = [Path(sys.executable).with_name(program), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_they_are_what_githubs_schemas_want() -> None:
    checked("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)
    checked("check-jsonschema", "--builtin-schema", "vendor.dependabot", ROOT / ".github" / "dependabot.yml")


def test_an_audit_of_their_security_finds_nothing() -> None:
    checked("zizmor", "--offline", "--no-progress", "--persona", "pedantic", ROOT / ".github")


def test_dependabot_knows_every_place_that_names_dependencies() -> None:
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text("utf-8"))["updates"]
    places = {update["package-ecosystem"]: ROOT / update["directory"].lstrip("/") for update in updates}
    assert set(places) == {"github-actions", "pip", "npm"}
    assert (places["pip"] / "pyproject.toml").is_file()
    assert (places["npm"] / "package-lock.json").is_file()


@pytest.mark.parametrize("name", NAMES)
def test_every_action_is_named_by_a_commit_and_its_release(name: str) -> None:
    text = (ROOT / ".github" / "workflows" / f"{name}.yml").read_text("utf-8")
    used = re.findall(r"uses: (.*)", text)
    assert used
    for action in used:
        assert re.fullmatch(r"[\w.-]+(/[\w.-]+)+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_one_action_is_named_by_one_commit_everywhere() -> None:
    used = {action for path in WORKFLOWS for action in re.findall(r"uses: (\S+)", path.read_text("utf-8"))}
    assert len({action.partition("@")[0] for action in used}) == len(used)


@pytest.mark.parametrize("name", NAMES)
def test_a_workflow_may_read_and_a_job_that_publishes_has_no_more_than_it_needs(name: str) -> None:
    workflow = read(name)
    assert workflow["permissions"] in ({}, {"contents": "read"})
    assert workflow["concurrency"]
    writing = {
        job: {right for right, how in said.get("permissions", {}).items() if how == "write"}
        for job, said in workflow["jobs"].items()
    }
    assert {job: rights for job, rights in writing.items() if rights} == {
        "release": {"pypi": {"id-token"}, "github": {"attestations", "contents", "id-token"}},
        "pages": {"deploy": {"id-token", "pages"}},
    }.get(name, {})
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 150


@pytest.mark.parametrize(
    ("name", "job", "actions"),
    [
        ("release", "pypi", ["actions/download-artifact", "pypa/gh-action-pypi-publish"]),
        ("pages", "deploy", ["actions/deploy-pages"]),
    ],
)
def test_who_publishes_runs_nothing_of_ours(name: str, job: str, actions: list[str]) -> None:
    assert [step.get("uses", "").partition("@")[0] for step in read(name)["jobs"][job]["steps"]] == actions


@pytest.mark.parametrize("name", ["release", "pages"])
def test_what_may_write_neither_checks_out_nor_installs(name: str) -> None:
    for job in read(name)["jobs"].values():
        if "write" not in job["permissions"].values():
            continue
        for step in job["steps"]:
            assert not re.search(r"checkout|setup-", step.get("uses", ""))
            assert not re.search(r"\b(pip|npm|python|make)\b", step.get("run", ""))


def test_what_is_released_is_built_of_versions_that_are_known() -> None:
    job = read("release")["jobs"]["build"]
    assert job["env"]["PIP_CONSTRAINT"] == "requirements.lock"
    lock = dict(
        line.lower().replace("_", "-").split("==")
        for line in (ROOT / "requirements.lock").read_text("utf-8").splitlines()[1:]
    )
    system = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["build-system"]
    for wanted in map(Requirement, system["requires"]):
        assert wanted.specifier.contains(lock[wanted.name])
    # What hatchling itself requires.
    assert {"packaging", "pathspec", "pluggy", "trove-classifiers"} <= set(lock)


def test_what_is_released_is_handed_in_before_anything_of_it_is_tried() -> None:
    jobs = read("release")["jobs"]
    building = "\n".join(step.get("run", "") for step in jobs["build"]["steps"])
    trying = "\n".join(step.get("run", "") for step in jobs["try"]["steps"])
    assert "--tagged" in building
    assert not re.search("wheel_test|twine", building)
    assert "twine check --strict dist/*" in trying
    assert "wheel_test.py dist" in trying
    assert not any("upload-artifact" in step.get("uses", "") for step in jobs["try"]["steps"])
    assert jobs["try"]["needs"] == "build"
    assert jobs["pypi"]["needs"] == ["build", "try"]
    assert jobs["github"]["needs"] == ["build", "pypi"]


def test_what_is_published_is_what_was_handed_in_and_not_another_of_the_same_name() -> None:
    jobs = read("release")["jobs"]
    handed_in = {step["id"] for step in jobs["build"]["steps"] if "upload-artifact" in step.get("uses", "")}
    assert jobs["build"]["outputs"] == {
        name: f"${{{{ steps.{name}.outputs.artifact-id }}}}" for name in handed_in
    }
    fetched = {
        name: [step["with"] for step in jobs[name]["steps"] if "download-artifact" in step.get("uses", "")]
        for name in ("pypi", "github")
    }
    for name, count in (("pypi", 1), ("github", 2)):
        assert len(fetched[name]) == count
        for asked in fetched[name]:
            assert "name" not in asked
            assert asked["artifact-ids"] in {f"${{{{ needs.build.outputs.{one} }}}}" for one in handed_in}


def test_a_tag_on_a_commit_that_is_not_on_main_is_refused_before_anything_else() -> None:
    checkout, refuse, *_ = read("release")["jobs"]["build"]["steps"]
    assert checkout["with"]["fetch-depth"] == 0  # main has to be there
    assert refuse["run"] == "git merge-base --is-ancestor HEAD origin/main"


@pytest.mark.parametrize("name", ["tests", "nightly"])
def test_what_the_tests_import_and_run_is_installed(name: str) -> None:
    """The documentation's tests build the site, and what they need is an extra of its own."""
    (job,) = [job for job in read(name)["jobs"].values() if "strategy" in job]
    ran = "\n".join(step.get("run", "") for step in job["steps"])
    assert "python -m pytest" in ran
    installed = {
        extra
        for one, several in re.findall(r"--extra (\w+)|\.\[([\w,]+)\]", ran)
        for extra in (one or several).split(",")
    }
    assert {"test", "docs"} <= installed
    assert read(name)["env"]["PYTHONUTF8"] == "1"


@pytest.mark.parametrize("name", NAMES)
def test_what_is_kept_for_the_next_run_does_not_depend_on_the_tests(name: str) -> None:
    """`actions/cache` keeps nothing of a job that fails."""
    for job in read(name)["jobs"].values():
        steps = job["steps"]
        saved = [at for at, step in enumerate(steps) if "actions/cache/save@" in step.get("uses", "")]
        tested = [at for at, step in enumerate(steps) if "pytest" in step.get("run", "")]
        assert not [step for step in steps if "actions/cache@" in step.get("uses", "")]
        assert not saved or max(saved) < min(tested)


@pytest.mark.parametrize("name", NAMES)
def test_a_constraint_that_an_older_pip_ignores_is_given_to_a_new_one(name: str) -> None:
    for job in read(name)["jobs"].values():
        upgraded = False
        for step in job["steps"]:
            upgraded = upgraded or bool(re.search(r"pip install .*-U pip$", step.get("run", "")))
            assert upgraded or "PIP_BUILD_CONSTRAINT" not in step.get("env", {})


@pytest.mark.parametrize("versions", ["newest", "pre-release", "oldest"])
def test_the_nightly_run_takes_the_newest_packages_of_the_front_end_too(versions: str) -> None:
    (job,) = read("nightly")["jobs"].values()
    assert versions in {one["versions"] for one in job["strategy"]["matrix"]["include"]}
    (build,) = [step for step in job["steps"] if "npm run build" in step.get("run", "")]
    chosen = re.search(r"== '(.+)' && '(.+)' \|\| '(.+)' \}\}", build["env"]["INSTALL"])
    assert chosen
    assert chosen[2 if versions == chosen[1] else 3] == (
        "ci" if versions == "oldest" else "install --no-package-lock"
    )


@pytest.mark.skipif(sys.platform == "win32", reason="the job runs on Linux")
@pytest.mark.parametrize(("tag", "candidate"), [("v1.2.3", False), ("v1.2.3rc1", True)])
def test_a_candidate_becomes_a_pre_release(tag: str, candidate: bool, tmp_path: Path) -> None:
    (step,) = [step for step in read("release")["jobs"]["github"]["steps"] if "run" in step]
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "one.whl").touch()
    gh = tmp_path / "gh"
    gh.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    gh.chmod(0o755)
    given = {"GITHUB_REF_NAME": tag, "GITHUB_REPOSITORY": "ada/turbopilot"}
    done = subprocess.run(
        ["bash", "-e", "-c", step["run"]],
        cwd=tmp_path,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", **given},
        capture_output=True,
        text=True,
        check=True,
    )
    said = done.stdout.splitlines()
    assert said[:3] == ["release", "create", tag]
    assert ("--prerelease" in said) is candidate
    assert said[-1] == "dist/one.whl"


def test_the_site_that_is_published_is_the_one_that_make_docs_builds() -> None:
    assert f"cp -r {(build_site.FOLDER / 'html').relative_to(ROOT).as_posix()} site" in "\n".join(
        commands("pages")
    )


def test_the_tests_run_on_what_the_package_says_it_is_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    matrix = read("tests")["jobs"]["python"]["strategy"]["matrix"]
    versions = [
        line.rpartition(" ")[2]
        for line in project["classifiers"]
        if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", line)
    ]
    assert matrix["python"] == versions
    assert project["requires-python"] == f">={versions[0]}"
    systems = {
        line.split(" :: ")[-1] for line in project["classifiers"] if line.startswith("Operating System")
    }
    assert systems == {"Linux", "MacOS", "Windows"}
    assert matrix["os"] == ["ubuntu-latest", "macos-latest", "windows-latest"]


def test_what_they_run_is_there() -> None:
    everything = "\n".join(command for name in NAMES for command in commands(name))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z-]+)", everything, re.MULTILINE)) <= targets
    for script in re.findall(r"scripts/\w+\.py", everything):
        assert (ROOT / script).is_file()
    for path, test in re.findall(r"(tests/\S+\.py)::(\w+)", everything):
        assert f"def {test}(" in (ROOT / path).read_text("utf-8")
    extras = set(re.findall(r"--extra (\w+)", everything)) | {
        extra for found in re.findall(r"\.\[([\w,]+)\]", everything) for extra in found.split(",")
    }
    known = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert extras <= set(known)
