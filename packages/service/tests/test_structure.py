"""The structure of the package, and the names of the product that it uses."""

from pathlib import Path

import pytest

from jupyter_turbopilot.util.registry import OTHER_DISTRIBUTIONS
from tests.docs.pages import check_imports
from tests.docs.test_commands import check_options, ours
from tests.test_platforms import import_everything

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "turbopilot_service"


def test_every_module_has_a_test_file_of_its_name() -> None:
    modules = [path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"]
    without = [each for each in modules if not (TESTS / each).with_name(f"test_{each.name}").is_file()]
    assert without == [Path("replica.py")]  # scale/test_ray_replica.py, which needs Ray


def test_code_imports_only_public_names_of_the_product() -> None:
    check_imports(PACKAGE)


def test_modules_can_be_imported_without_functions_of_posix() -> None:
    import_everything("turbopilot_service.hub")


SERVICE = {
    command for command, package in OTHER_DISTRIBUTIONS.items() if package.startswith("turbopilot-service")
}


@pytest.mark.parametrize("command", sorted(command for command in ours() if SERVICE & {*command.split()}))
def test_documented_options_exist(command: str) -> None:
    check_options(command)
