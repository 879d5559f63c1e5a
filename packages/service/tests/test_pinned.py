"""Ray's session router is experimental, so only the tested version is allowed."""

import tomllib
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
TESTED = "2.60"  # change it after `make test-scale` has passed with another


def test_ray_version_is_the_tested_one() -> None:
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    assert project["optional-dependencies"]["ray"] == [f"ray[serve]=={TESTED}.*"]
    for name in ("scale.md", "deploy/rayservice.yaml"):
        assert TESTED in (PACKAGE / name).read_text()
