"""Configuration of the Jupyter server that `unchanged.py` records: `jupyter server --config` executes it.

The engine's clock is fixed, a request's token is the name of its user, and no setting depends on the machine.
Everything else is unmodified.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.identity import IdentityProvider, User

from jupyter_turbopilot.engine.llama.kind import LlamaKind, llama_engine
from jupyter_turbopilot.jupyter.pilot import pilot

if TYPE_CHECKING:
    from jupyter_turbopilot.models.store import Store
    from jupyter_turbopilot.settings.config import Turbopilot


class Users(IdentityProvider):
    """Uses the token as the user's name."""

    def get_user(self, handler: Any) -> User | None:
        """Return the user, or None without a token."""
        name = self.get_token(handler)
        return User(name) if name else None

    def is_token_authenticated(self, handler: Any) -> bool:  # noqa: ARG002
        """Return True: no request here has a cookie."""
        return True


def with_fixed_clock(*arguments: Any) -> Any:
    """Load the model into an engine that measures every batch as 0 seconds."""
    engine: Any = llama_engine(*arguments)
    engine.clock = lambda: 0.0
    return engine


def kind_with_fixed_clock(settings: Turbopilot, store: Store) -> LlamaKind:
    """Return the default engine kind of the settings, with the fixed clock."""
    return LlamaKind(settings, store, with_fixed_clock)


c = get_config()  # type: ignore[name-defined]  # noqa: F821 - traitlets defines it
c.ServerApp.identity_provider_class = Users
c.ServerApp.allow_root = True
c.ServerApp.open_browser = False
c.ServerApp.port_retries = 0
if os.environ["UNCHANGED_CLOCK"] == "fixed":
    pilot.kind_of = kind_with_fixed_clock
c.Turbopilot.threads = int(os.environ["UNCHANGED_THREADS"])
c.Turbopilot.yield_cpu = False
c.Turbopilot.keep_sequences = False
c.Turbopilot.idle_minutes = 0.0
c.Turbopilot.deadline = 300.0
