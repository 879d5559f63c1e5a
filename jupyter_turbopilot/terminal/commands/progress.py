"""A progress bar on standard error; plain lines if it is not a terminal."""

from __future__ import annotations

import math
import sys
import time
from typing import Any, Self

from jupyter_turbopilot.terminal.output import width
from jupyter_turbopilot.util.files import describe_size

WIDTH = 30
_PAUSE = 0.1  # seconds between two updates
_MINUTE, _HOUR = 60, 3600


class Bar:
    """A progress bar; as a context manager it always ends its line."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._last = 0.0
        self._last_tenth = -1
        self._text = ""
        self._live = sys.stderr.isatty()
        self._source: str | None = None
        self._begun = self._base = 0.0  # start time and size of the download from this source

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        if self._live and self._text:
            sys.stderr.write("\n")

    def show(self, done: float, total: float, words: str, detail: str = "") -> None:
        """Show the progress; omit `detail` if the line has no room for it."""
        now = time.monotonic()
        if not total or (self._live and now - self._last < _PAUSE and done < total):
            return
        self._last = now
        share = done / total
        if not self._live and int(share * 10) == self._last_tenth:
            return
        self._last_tenth = int(share * 10)
        columns = width() if self._live else sys.maxsize
        name = self._name if len(self._name) <= columns // 3 else f"…{self._name[1 - columns // 3 :]}"
        end = f" {share:4.0%} {words}"
        length = max(0, min(WIDTH, columns - len(f"{name}: {end}")))
        line = f"{name}: {'█' * int(share * length):<{length}}{end}"
        self.write(line + detail if len(line + detail) <= columns else line)

    def write(self, text: str) -> None:
        if text == self._text:
            return
        self._text = text
        sys.stderr.write(f"\r\x1b[2K{text[: width()]}" if self._live else f"{text}\n")
        sys.stderr.flush()

    def show_download(self, step: Any) -> None:
        if step.phase == "waiting":
            self.write(f"{self._name}: waiting for another process that is downloading it")
        elif step.phase == "verifying":
            self.write(f"{self._name}: verifying the digest")
        elif step.phase == "downloading" and step.total:
            words = f"of {describe_size(step.total)}{self._pace(step)}"
            self.show(step.received, step.total, words, f", from {step.source}")

    def _pace(self, step: Any) -> str:
        """Describe the transfer rate and the remaining time."""
        now = time.monotonic()
        if step.source != self._source or step.received < self._base:
            self._source, self._begun, self._base = step.source, now, step.received
        rate = (step.received - self._base) / max(now - self._begun, 0.001)
        if not rate:
            return ""
        return f", {describe_size(rate)}/s, {_duration((step.total - step.received) / rate)} left"


def _duration(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{math.ceil(seconds)} s"
    minutes = math.ceil(seconds / _MINUTE)
    return f"{minutes} min" if seconds < _HOUR else f"{minutes // 60} h {minutes % 60} min"
