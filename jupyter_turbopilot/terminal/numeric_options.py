"""Numeric options of commands and magics: argparse types with a range. Pure."""

from __future__ import annotations

import argparse
import math
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_WHOLE = re.compile(r"-?[0-9]{1,12}")


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return an argparse type for integers in a range."""

    def convert(text: str) -> int:
        number = int(text) if _WHOLE.fullmatch(text) else None
        if number is None or not least <= number <= most:
            raise argparse.ArgumentTypeError(_must_be("a whole number", f"from {least} to {most}", text))
        return number

    return convert


def real(least: float, most: float) -> Callable[[str], float]:
    """Return an argparse type for numbers in a range."""

    def convert(text: str) -> float:
        if not least <= (number := _float(text)) <= most:
            raise argparse.ArgumentTypeError(_must_be("a number", f"from {least:g} to {most:g}", text))
        return number

    return convert


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _must_be(kind: str, numbers: str, text: str) -> str:
    return f"must be {kind} {numbers}, not {text[:40]!r}"


def add_number(parser: Any, names: str, kind: Callable[[str], float], default: float, text: str) -> None:
    """Declare an option with a number; its help ends with the default."""
    parser.add_argument(*names.split(), type=kind, default=default, help=f"{text} (%(default)s)")
