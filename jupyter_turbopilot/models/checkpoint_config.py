"""The JSON files of a checkpoint; each value is validated on access."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.protocol.errors import ConversionError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LARGEST_JSON = 64 * 1024 * 1024


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that must contain an object."""
    try:
        if path.stat().st_size > LARGEST_JSON:
            raise ConversionError(f"{path.name} is too large: the file is damaged.")
        settings = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConversionError(f"There is no {path.name} in {path.parent.name}.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ConversionError(f"{path.name} cannot be read ({type(error).__name__}).") from None
    if not isinstance(settings, dict):
        raise ConversionError(f"{path.name} does not contain a JSON object.")
    return settings


def read_optional_json(path: Path) -> dict[str, Any]:
    """Read a JSON file; return an empty dict if it does not exist."""
    return read_json(path) if path.is_file() else {}


class Config:
    """The values of config.json, validated on access."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    @property
    def family(self) -> str:
        """The architecture's name in transformers."""
        return self.string("model_type")

    def _value(self, names: Iterable[str], default: Any) -> Any:
        for name in names:
            if self.values.get(name) is not None:
                return self.values[name]
        if default is None:
            raise ConversionError(f"config.json does not set {' or '.join(names)}.")
        return default

    def whole(self, *names: str, default: int | None = None) -> int:
        """Return a positive integer."""
        value = self._value(names, default)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1 << 31:
            raise ConversionError(f"config.json has an invalid {names[0]}: {str(value)[:40]}.")
        return value

    def positive_float(self, *names: str, default: float | None = None) -> float:
        """Return a finite positive number."""
        value = self._value(names, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConversionError(f"config.json has an invalid {names[0]}: {str(value)[:40]}.")
        if not (math.isfinite(value) and value > 0):
            raise ConversionError(f"config.json has an invalid {names[0]}: {value}.")
        return float(value)

    def string(self, *names: str, default: str | None = None) -> str:
        value = self._value(names, default)
        if not isinstance(value, str):
            raise ConversionError(f"config.json has an invalid {names[0]}.")
        return value

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean."""
        value = self.values.get(name)
        return default if value is None else bool(value)

    def rope(self) -> dict[str, Any]:
        """Return the RoPE parameters; newer files keep all of them in one object."""
        rope = self.values.get("rope_parameters") or self.values.get("rope_scaling") or {}
        return rope if isinstance(rope, dict) else {}

    def theta(self) -> float:
        """Return the RoPE base frequency."""
        return Config({**self.values, **self.rope()}).positive_float(
            "rope_theta", "rotary_emb_base", default=1e4
        )

    def rotary_fraction(self, *names: str, default: float) -> float:
        """Return the fraction of each head's dimensions that RoPE rotates."""
        config = Config({**self.values, **self.rope()})
        return config.positive_float("partial_rotary_factor", *names, default=default)

    def require(self, **allowed: str | bool | tuple[str, ...]) -> None:
        """Raise ConversionError for settings that the recipe does not support."""
        for name, covered in allowed.items():
            value, good = self.values.get(name), covered if isinstance(covered, tuple) else (covered,)
            if value is not None and value not in good:
                words = " or ".join(map(str, good))
                raise ConversionError(
                    f"{self.family} with {name} = {str(value)[:60]} is not supported. Supported: {words}."
                )
