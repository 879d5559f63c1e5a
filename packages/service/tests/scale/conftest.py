"""One fleet of each kind for all tests, which must restore the number of replicas."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tiny_model import write_tiny_model

from .fleet import Fleet, RayFleet, RouterFleet

pytest.register_assert_rewrite("tests.engine.conformance")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder: only `make test-scale` runs them."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.scale)
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_model(tmp_path_factory.mktemp("scale") / "tiny.gguf")


@pytest.fixture(scope="session")
def ray_fleet(model: Path) -> Iterator[RayFleet]:
    fleet = RayFleet(model)
    yield fleet
    fleet.stop()


@pytest.fixture(scope="session")
def router_fleet(model: Path) -> Iterator[RouterFleet]:
    fleet = RouterFleet(model)
    yield fleet
    fleet.stop()


@pytest.fixture(params=["ray_fleet", "router_fleet"], scope="session")
def fleet(request: pytest.FixtureRequest) -> Fleet:
    found: Fleet = request.getfixturevalue(request.param)
    return found
