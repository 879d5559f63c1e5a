"""Show or stay silent: how sure the model was of each line it wrote. Pure."""

from __future__ import annotations


class Confidence:
    """The probability of each line that holds anything: the product of its tokens' probabilities."""

    def __init__(self) -> None:
        self._lines: list[float] = []
        self._running = 1.0
        self._blank = True

    def add(self, data: bytes, probability: float) -> None:
        """Count one more token, which belongs to the line it begins in."""
        self._running *= probability
        head, newline, rest = data.partition(b"\n")
        self._blank = self._blank and not head.strip()
        if not newline:
            return
        if not self._blank:
            self._lines.append(self._running)
            self._running = 1.0
        self._blank = not rest.rpartition(b"\n")[2].strip()

    @property
    def lines(self) -> list[float]:
        """One figure for each line so far, the unfinished one included."""
        return [*self._lines, self._running]

    @property
    def first(self) -> float:
        """The first line's."""
        return self.lines[0]

    def hopeless(self, threshold: float) -> bool:
        """Tell whether the line being written can no longer be shown: products only fall."""
        return self._running < threshold

    def sure_lines(self, threshold: float) -> int:
        """Return how many whole lines, from the first on, may be shown."""
        count = 0
        for value in self._lines:
            if value < threshold:
                break
            count += 1
        return count


def first_lines(text: str, count: int) -> str:
    """Return the beginning of the text that holds `count` lines with anything in them."""
    at = 0
    for line in text.splitlines(keepends=True):
        if line.strip():
            if count == 0:
                break
            count -= 1
        at += len(line)
    return text[:at].rstrip()
