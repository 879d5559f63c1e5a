"""An opt-in log of suggestions and their outcomes for user studies, in a file of the user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_turbopilot.completer.listeners import Where
    from jupyter_turbopilot.settings.config import Turbopilot
    from turbopilot_research.usage.log import UsageLog


def describe_content(*, text: bool) -> str:
    """Describe what is logged."""
    return "numbers and the text of suggestions" if text else "numbers, no text"


def usage_log_of(settings: Turbopilot, where: Where) -> UsageLog | None:
    """Return the usage log, if the settings name a file."""
    if not settings.usage_log:
        return None
    from turbopilot_research.usage.log import UsageLog
    from turbopilot_research.usage.settings import TurbopilotUsageLog

    text = settings.section(TurbopilotUsageLog).text
    return UsageLog(settings.usage_log, text=text, eagerness=settings.eagerness, where=where)
