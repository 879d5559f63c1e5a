"""Search for a text in a stream of pieces. Pure."""

from __future__ import annotations


class Matcher:
    """Searches for a text in pieces as they arrive, by the Knuth-Morris-Pratt algorithm."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.begun = 0  # length of the text's longest prefix that the pieces so far end with
        self._fallback = [0]  # for each prefix: its longest proper suffix that is also a prefix
        for at in range(1, len(text)):
            self._fallback.append(self._after(text[at], self._fallback[at - 1]))

    def _after(self, char: str, begun: int) -> int:
        while begun and (begun == len(self.text) or self.text[begun] != char):
            begun = self._fallback[begun - 1]
        return begun + (self.text[begun] == char)

    def find(self, piece: str, start: int = 0) -> int:
        """Search a piece from `start` for the next occurrence of the text; return its end, or -1."""
        for at in range(start, len(piece)):
            self.begun = self._after(piece[at], self.begun)
            if self.begun == len(self.text):
                return at + 1
        return -1

    def beginnings(self) -> list[int]:
        """Return the lengths of all prefixes of the text that the pieces so far end with, longest first."""
        lengths, begun = [], self.begun
        while begun:
            lengths.append(begun)
            begun = self._fallback[begun - 1]
        return lengths
