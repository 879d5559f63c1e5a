"""How numbers of things are worded for a person. Pure."""

from __future__ import annotations


def count_of(number: int, what: str, several: str = "") -> str:
    """Word how many there are."""
    return f"{number} {what if number == 1 else several or f'{what}s'}"
