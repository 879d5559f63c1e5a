"""The base of what plugins add to the magics."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.util.registry import found, instance_of

if TYPE_CHECKING:
    from jupyter_turbopilot.terminal.magics import TurbopilotMagics


class TerminalPlugin:
    """Base of plugins for IPython. An instance is registered in the group `magics`."""

    switches: tuple[tuple[str, str], ...] = ()  # options of `%%complete` without a value, and their help

    def complete(self, magics: TurbopilotMagics, options: Any, code: str) -> bool:  # noqa: ARG002
        """Answer `%%complete`, if the options ask for it; return whether they do."""
        return False

    def status(self, health: dict[str, Any]) -> str:  # noqa: ARG002
        """Return a line for `%turbopilot`, or an empty text."""
        return ""


def terminal_plugins() -> list[TerminalPlugin]:
    is_plugin = partial(instance_of, TerminalPlugin)
    return [plugin for entry in found("magics") if (plugin := entry.load(is_plugin))]
