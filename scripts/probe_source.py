"""Write the probe that is sent to kernels as a TypeScript string; `cog` runs it."""

from __future__ import annotations

import json

from jupyter_turbopilot.kernels.conversation import TARGET, installation


def typescript() -> str:
    """Return the module's text."""
    return "\n".join(
        (
            f"export const TARGET = {json.dumps(TARGET)};",
            f"export const INSTALLATION =\n  {json.dumps(installation())};",
        )
    )
