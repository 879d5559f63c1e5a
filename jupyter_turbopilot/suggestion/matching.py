"""Looks for a text in another that comes in piece by piece, without ever going back. Pure."""

from __future__ import annotations


class Matcher:
    """Knows how much of a text the end of what came in so far is (Knuth, Morris and Pratt)."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.begun = 0
        self._fallback = [0]  # of each beginning: the longest end of it that is a beginning as well
        for at in range(1, len(text)):
            self._fallback.append(self._after(text[at], self._fallback[at - 1]))

    def _after(self, char: str, begun: int) -> int:
        while begun and (begun == len(self.text) or self.text[begun] != char):
            begun = self._fallback[begun - 1]
        return begun + (self.text[begun] == char)

    def find(self, piece: str, start: int = 0) -> int:
        """Take a piece in from a place on; return where in it the text ends next, or -1."""
        for at in range(start, len(piece)):
            self.begun = self._after(piece[at], self.begun)
            if self.begun == len(self.text):
                return at + 1
        return -1

    def beginnings(self) -> list[int]:
        """Return the lengths of all beginnings of the text that what came in ends with, the longest first."""
        lengths, begun = [], self.begun
        while begun:
            lengths.append(begun)
            begun = self._fallback[begun - 1]
        return lengths
