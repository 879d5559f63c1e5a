"""Ray's session router is experimental, so only the tested version is allowed."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
TESTED = "2.60"  # change it after `make test-scale` has passed with another


def test_ray_version_is_the_tested_one() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["optional-dependencies"]["ray"] == [f"ray[serve]=={TESTED}.*"]
    for name in ("docs/scale.md", "deploy/rayservice.yaml"):
        assert TESTED in (ROOT / name).read_text()


def test_ray_is_required_by_no_other_extra() -> None:
    """Ray takes 600 MB, and `make test` works without it."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert [name for name, wanted in extras.items() if any("ray" in one for one in wanted)] == ["ray"]
