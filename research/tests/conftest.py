"""The fixtures of the product's tests, and the folders of benchmarks and scripts for imports."""

from __future__ import annotations

import sys
from pathlib import Path

pytest_plugins = ["tests.conftest", "tests.terminal.commands.conftest"]

RESEARCH = Path(__file__).parents[1]
sys.path += [str(RESEARCH / "benchmarks"), str(RESEARCH / "scripts")]
