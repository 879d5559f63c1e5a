"""What changes where one service serves several people: nothing outlives the process, and each has limits."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.errors import BadRequestError

if TYPE_CHECKING:
    from jupyter_turbopilot.config import Turbopilot

log = logging.getLogger(__name__)

# For each person, unless the settings say otherwise. Fast typing asks for two or three texts a second, and
# for one ahead with each.
LIMITS = {"requests_per_minute": 600, "running_per_person": 2, "waiting_per_person": 8}


def for_several(settings: Turbopilot) -> None:
    """Adapt the settings of a service for several people, and say what they cannot have."""
    refuse_study(settings, "a service for several people cannot ask each of them")
    asked: Any = settings.config.get("Turbopilot", {})
    lost = ["results_file"] if settings.results_file else []
    lost += ["keep_sequences"] if asked.get("keep_sequences") is True else []
    settings.results_file, settings.keep_sequences, settings.learning = "", False, False
    if lost:
        log.warning(
            "Turbopilot: this service keeps nothing of several people across restarts, so it ignores %s.",
            " and ".join(f"c.Turbopilot.{name}" for name in lost),
        )
    if settings.share == "group" and not settings.share_group:
        log.warning(
            'Turbopilot: c.Turbopilot.share is "group", but no group is named, so nobody shares anything. '
            "Set c.Turbopilot.share_group."
        )
    for name, value in LIMITS.items():
        if name not in asked and not getattr(settings, name):
            setattr(settings, name, value)


def refuse_study(settings: Turbopilot, why: str) -> None:
    """Refuse to log people who may not know of it: a log that is missing is noticed too late."""
    if settings.study_log:
        raise BadRequestError(
            f"c.Turbopilot.study_log cannot be used here: {why}. Set it in the configuration of each "
            "participant's own Jupyter server (docs/study.md), and remove it from this one."
        )
