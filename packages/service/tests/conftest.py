"""The fixtures of the product's tests."""

pytest_plugins = ["tests.conftest"]
