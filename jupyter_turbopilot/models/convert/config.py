"""The JSON files of a checkpoint: what a model says of itself, each value checked when it is asked for."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LARGEST_JSON = 64 * 1024 * 1024


def read_json(path: Path) -> dict[str, Any]:
    """Read a file of settings; a list or nonsense is refused."""
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise ConversionError(f"{path.name} is too large: the file is damaged.")
        settings = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConversionError(f"There is no {path.name} in {path.parent.name}.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ConversionError(f"{path.name} cannot be read ({type(error).__name__}).") from None
    if not isinstance(settings, dict):
        raise ConversionError(f"{path.name} does not hold settings.")
    return settings


def read_optional_json(path: Path) -> dict[str, Any]:
    """Read a file of settings; without the file there are none."""
    return read_json(path) if path.is_file() else {}


class Config:
    """What a model says of itself in config.json; each value is checked when it is asked for."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    @property
    def family(self) -> str:
        """The architecture's name in transformers' terms."""
        return self.word("model_type")

    def _value(self, names: Iterable[str], default: Any) -> Any:
        for name in names:
            if self.values.get(name) is not None:
                return self.values[name]
        if default is None:
            raise ConversionError(f"config.json does not say {' or '.join(names)}.")
        return default

    def whole(self, *names: str, default: int | None = None) -> int:
        """Return a whole number above nothing."""
        value = self._value(names, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1 << 31:
            raise ConversionError(f"config.json has an impossible {names[0]}: {str(value)[:40]}.")
        return value

    def number(self, *names: str, default: float | None = None) -> float:
        """Return a finite number above nothing."""
        value = self._value(names, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConversionError(f"config.json has an impossible {names[0]}: {str(value)[:40]}.")
        if not (math.isfinite(value) and value > 0):
            raise ConversionError(f"config.json has an impossible {names[0]}: {value}.")
        return float(value)

    def word(self, *names: str, default: str | None = None) -> str:
        """Return a word."""
        value = self._value(names, default)
        if not isinstance(value, str):
            raise ConversionError(f"config.json has an impossible {names[0]}.")
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a yes or no."""
        value = self.values.get(name)
        return default if value is None else bool(value)

    def rope(self) -> dict[str, Any]:
        """Return how positions are turned; newer files keep all of it in one place."""
        rope = self.values.get("rope_parameters") or self.values.get("rope_scaling") or {}
        return rope if isinstance(rope, dict) else {}

    def theta(self) -> float:
        """Return the base of the rotation."""
        return Config({**self.values, **self.rope()}).number("rope_theta", "rotary_emb_base", default=1e4)

    def share(self, *names: str, default: float) -> float:
        """Return which part of each head is turned."""
        config = Config({**self.values, **self.rope()})
        return config.number("partial_rotary_factor", *names, default=default)

    def only(self, **allowed: str | bool | tuple[str, ...]) -> None:
        """Refuse settings that the recipe does not cover."""
        for name, covered in allowed.items():
            value, good = self.values.get(name), covered if isinstance(covered, tuple) else (covered,)
            if value is not None and value not in good:
                words = " or ".join(map(str, good))
                raise ConversionError(
                    f"{self.family} with {name} = {str(value)[:60]} is not supported; {words} is."
                )
