"""A progress bar on standard error; plain lines where that is not a terminal."""

from __future__ import annotations

import sys
import time
from typing import Any, Self

from jupyter_turbopilot.files import describe_size

WIDTH = 30
_PAUSE = 0.1  # seconds between two pictures


class Bar:
    """One bar; its line is ended whatever happens."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._last = 0.0
        self._last_tenth = -1
        self._begun = time.monotonic()
        self._shown = False
        self._live = sys.stderr.isatty()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._live and self._shown:
            sys.stderr.write("\n")

    def show(self, done: float, total: float, words: str) -> None:
        """Show how far it is."""
        now = time.monotonic()
        if not total or (self._live and now - self._last < _PAUSE and done < total):
            return
        self._last = now
        share = done / total
        if not self._live and int(share * 10) == self._last_tenth:
            return
        self._last_tenth = int(share * 10)
        self.write(f"{self._name}: {'█' * int(share * WIDTH):<{WIDTH}} {share:4.0%} {words}")

    def write(self, text: str) -> None:
        """Show a line instead of the last."""
        self._shown = True
        sys.stderr.write(f"\r\x1b[2K{text}" if self._live else f"{text}\n")
        sys.stderr.flush()

    def fetching(self, step: Any) -> None:
        """Show how far a download is."""
        if step.phase == "verifying":
            self.write(f"{self._name}: checking the digest")
        elif step.phase == "fetching" and step.total:
            rate = step.received / max(time.monotonic() - self._begun, 0.001) / 1e6
            words = f"of {describe_size(step.total)}, {rate:.0f} MB/s from {step.source}"
            self.show(step.received, step.total, words)
