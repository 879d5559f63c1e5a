"""`serve` as a service of a JupyterHub, which authenticates the users by their tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jupyter_turbopilot.jupyter.standalone import ListenAddress
    from turbopilot_service.hub.identity import HubIdentity


def callers(environment: Mapping[str, str]) -> tuple[HubIdentity, ListenAddress]:
    """Run as a service of a JupyterHub; clients send hub tokens, and the environment sets the address."""
    from turbopilot_service.hub.identity import hub_callers

    return hub_callers(environment)
