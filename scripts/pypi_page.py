"""Hatchling runs this when it builds the package: PyPI's page is README.md, with links that work there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class PyPIPage(MetadataHookInterface):
    """Fills in `readme`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Hand the page to Hatchling."""
        sys.path.insert(0, str(Path(__file__).parent))
        import repository

        text = (repository.ROOT / "README.md").read_text("utf-8")
        page = repository.page(text, repository.address(), metadata["version"])
        metadata["readme"] = {"content-type": "text/markdown", "text": page}
