from pathlib import Path

import build_site
import pytest


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built like `make docs`; a warning fails the build."""
    return build_site.build(tmp_path_factory.mktemp("docs"))
