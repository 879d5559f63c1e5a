"""Where completion is allowed in this process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.jupyter import runtime
from jupyter_turbopilot.settings.access import access_of

if TYPE_CHECKING:
    from jupyter_turbopilot.settings.access import Access
    from jupyter_turbopilot.settings.config import Turbopilot


def access_of_process(settings: Turbopilot) -> Access:
    """Return where the settings and the environment allow completion in this process."""
    # Absolute patterns need the server's root folder, to which the checked paths are relative.
    server = runtime.find() if settings.denied_paths else None
    return access_of(settings, os.environ, server.root if server else "")


def check_file(access: Access, file: Path | None = None) -> None:
    """Raise a DisabledError unless completion is allowed for a file, by default in the current folder."""
    access.check(runtime.path_in_server(file or Path()) if access.denied else "")
