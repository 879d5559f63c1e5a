"""Hatchling's hook that uses README.md, with adapted links, as PyPI's page."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class PyPIPage(MetadataHookInterface):
    """Sets the field `readme`."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the page in the metadata."""
        sys.path.insert(0, str(Path(__file__).parent))
        import repository

        text = (repository.ROOT / "README.md").read_text("utf-8")
        page = repository.page(text, repository.address(), metadata["version"])
        metadata["readme"] = {"content-type": "text/markdown", "text": page}
