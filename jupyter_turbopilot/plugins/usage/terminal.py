"""The usage log in the status that `%turbopilot` prints."""

from __future__ import annotations

from typing import Any

from jupyter_turbopilot.plugins.usage import describe_content
from jupyter_turbopilot.terminal.plugin import TerminalPlugin


class UsageLogStatus(TerminalPlugin):
    """Describes the usage log, if it is on."""

    def status(self, health: dict[str, Any]) -> str:
        """Return whether the usage log is on, what it contains, and why it cannot be written."""
        if not (usage_log := health.get("usage_log")):
            return ""
        file = f", in {usage_log['file']}" if usage_log["file"] else ""
        error = f"; it cannot be written: {usage_log['error']}" if usage_log["error"] else ""
        return f"Usage log: on ({describe_content(text=usage_log['text'])}{file}){error}"


PLUGIN = UsageLogStatus()
