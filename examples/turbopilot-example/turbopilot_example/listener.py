"""Count accepted suggestions."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from jupyter_turbopilot.completer.listeners import SuggestionListener

if TYPE_CHECKING:
    from jupyter_turbopilot.completer.listeners import Where
    from jupyter_turbopilot.protocol.request import Feedback
    from jupyter_turbopilot.settings.config import Turbopilot


def counts() -> Path:
    """Return the file with the counts: a day and a number in each line."""
    return Path(platformdirs.user_data_dir("turbopilot-example", appauthor=False)) / "accepted.txt"


class AcceptedCounter(SuggestionListener):
    """Counts the accepted suggestions of a session, and writes their number at its end."""

    def __init__(self) -> None:
        self._accepted: set[str] = set()

    def receive(self, feedback: Feedback) -> None:
        """Count a suggestion once, even if it was accepted word by word."""
        if feedback.event == "accepted":
            self._accepted.add(feedback.id)

    def close(self) -> None:
        """Append the number to the file. Only here: other methods must not wait for a disk."""
        if self._accepted:
            counts().parent.mkdir(parents=True, exist_ok=True)
            with counts().open("a", encoding="utf-8") as file:
                file.write(f"{datetime.now(UTC):%Y-%m-%d} {len(self._accepted)}\n")


def listener_of(settings: Turbopilot, where: Where) -> AcceptedCounter | None:
    """Return a listener for servers; None where nothing is counted."""
    return AcceptedCounter() if settings.enabled and where == "server" else None
