"""The settings of the usage log beside its file, which is `c.Turbopilot.usage_log`."""

from __future__ import annotations

from traitlets import Bool
from traitlets.config import Configurable


class TurbopilotUsageLog(Configurable):
    """The usage log."""

    text = Bool(
        False,
        help="Also log the text of shown suggestions. The text is omitted if lines look like secrets, and in "
        "files that may contain credentials.",
    ).tag(config=True)
