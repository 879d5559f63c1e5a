"""The workflows for GitHub, which cannot be run here: what can be known of them without running them."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

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
        "pages": {"publish": {"id-token", "pages"}},
    }.get(name, {})
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 150


def test_who_publishes_runs_nothing_of_ours() -> None:
    steps = read("release")["jobs"]["pypi"]["steps"]
    assert [step["uses"].partition("@")[0] for step in steps] == [
        "actions/download-artifact",
        "pypa/gh-action-pypi-publish",
    ]


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
