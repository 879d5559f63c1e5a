"""The tests mirror the package."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "turbopilot_research"


def test_every_module_has_a_test_file_of_its_name() -> None:
    modules = [path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"]
    assert [each for each in modules if not (TESTS / each).with_name(f"test_{each.name}").is_file()] == []
