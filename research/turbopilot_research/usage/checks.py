"""The usage log in `doctor` and `purge`."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from jupyter_turbopilot.models.findings import Finding
from jupyter_turbopilot.terminal.commands.checks import Check, Leftovers
from jupyter_turbopilot.util.files import absolute_path
from turbopilot_research.usage import describe_content
from turbopilot_research.usage.file import check, is_log, older_file
from turbopilot_research.usage.settings import TurbopilotUsageLog

if TYPE_CHECKING:
    from collections.abc import Iterator


class UsageLogCheck(Check):
    """Whether a usage log is kept, and problems with its file."""

    def examine(self) -> Iterator[Finding]:
        """Return where the log is kept, or why it cannot be written."""
        name, settings = "usage log", self.settings
        if not settings.usage_log:
            yield Finding(name, "off: c.Turbopilot.usage_log is empty")
            return
        try:
            check(absolute_path(settings.usage_log))
        except OSError as error:
            text = f"{settings.usage_log} cannot be written ({error.strerror})."
            yield Finding(name, f"{text} Set c.Turbopilot.usage_log to a writable file.", problem=True)
        else:
            content = describe_content(text=settings.section(TurbopilotUsageLog).text)
            yield Finding(name, f"kept in {settings.usage_log}: {content}")

    def leftovers(self) -> Leftovers:
        """Return that the log is kept, wherever it is: it cannot be computed again."""
        with suppress(OSError):
            path = absolute_path(self.settings.usage_log)
            if logs := [*filter(is_log, (path, older_file(path)))]:
                return Leftovers(kept={"Not deleted, because it is a usage log": logs})
        return Leftovers()
