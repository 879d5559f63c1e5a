"""Hatchling's hook that uses a distribution's README.md, with adapted links, as PyPI's page."""

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

        root = Path(self.root).resolve()
        text, folder = (root / "README.md").read_text("utf-8"), root.relative_to(repository.ROOT).as_posix()
        page = repository.page(text, repository.address(), metadata["version"], folder)
        metadata["readme"] = {"content-type": "text/markdown", "text": page}
