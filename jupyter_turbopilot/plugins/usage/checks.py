"""The usage log in `doctor` and `purge`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_turbopilot.index.paths import folder
from jupyter_turbopilot.models.findings import Finding
from jupyter_turbopilot.models.user_cache import personal_dir
from jupyter_turbopilot.plugins.usage import describe_content
from jupyter_turbopilot.plugins.usage.file import check, delete, is_log, locate
from jupyter_turbopilot.terminal.commands.checks import Check, Leftovers

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEPT = "Not deleted, because it is a usage log (delete it with: jupyter turbopilot usage-log clear)"


class UsageLogCheck(Check):
    """Whether a usage log is kept, and problems with its file."""

    def examine(self) -> Iterator[Finding]:
        """Return where the log is kept, or why it cannot be written."""
        name, settings = "usage log", self.settings
        if not settings.usage_log:
            yield Finding(name, "off: c.Turbopilot.usage_log is empty")
            return
        try:
            check(locate(settings.usage_log))
        except OSError as error:
            text = f"{settings.usage_log} cannot be written ({error.strerror})."
            yield Finding(name, f"{text} Set c.Turbopilot.usage_log to a writable file.", problem=True)
        else:
            content = describe_content(text=settings.usage_log_text)
            yield Finding(name, f"kept in {settings.usage_log}: {content}")

    def leftovers(self) -> Leftovers:
        """Return the log. One outside Turbopilot's own folders is kept."""
        try:
            path = locate(self.settings.usage_log)
            if not is_log(path):
                return Leftovers()
            place = path.parent.resolve()  # the path may contain `..` or links
            for own in (personal_dir(), folder().parent):
                if place.is_relative_to(own.resolve()):
                    log = own / place.relative_to(own.resolve()) / path.name
                    return Leftovers([log], delete=delete)
        except (OSError, RuntimeError):
            return Leftovers()
        return Leftovers(kept={_KEPT: [path]})
