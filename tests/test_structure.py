"""The structure of the tests."""

from pathlib import Path

TESTS = Path(__file__).parent
PACKAGE = TESTS.parent / "jupyter_turbopilot"

# Tested by the tests of the modules that use them. A module with a test file of its name is removed from here.
TESTED_WITH_OTHERS = {
    "analysis": "column_changes conventions report statements",
    "completer": "shared",
    "engine/stepping": "kv_cache run",
    "fixes": "changes evaluation expressions labels objects patterns quiet rules special_rules",
    "jupyter/routes": "streams",
    "models": "checkpoint checkpoint_config entries model transfer user_cache",
    "models/tuning": "recipe",
    "plugins/convert": "conversion gpt llama recipe writer",
    "plugins/functions": "request route",
    "plugins/protocols": "llamacpp openai",
    "plugins/remote": "settings",
    "plugins/transformers": "settings",
    "protocol": "fix phase",
    "terminal/commands": "command",
}


def test_every_module_has_a_test_file_of_its_name() -> None:
    modules = [path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"]
    without = {each for each in modules if not (TESTS / each).with_name(f"test_{each.name}").is_file()}
    others = {
        Path(folder, f"{name}.py") for folder, names in TESTED_WITH_OTHERS.items() for name in names.split()
    }
    assert without == others
