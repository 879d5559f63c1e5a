"""The workflows for GitHub: what can be known of them without running them."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

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
