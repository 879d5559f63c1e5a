"""Write the gate's coefficients of the models that run in a page as TypeScript; `cog` runs it."""

from __future__ import annotations

import json
import re

from jupyter_turbopilot.suggestion.fit import DEFAULT, FITS

MODELS = (DEFAULT, "characters")  # the one whose fit serves all others, and that of the extension
PARTS = ("coefficients", "thresholds")  # nothing is learned in a page


def typescript() -> str:
    """Return the table, as the front end's formatter has it."""
    entries = [f"  {_name(model)}: {{\n{_parts(FITS[model])}\n  }}" for model in MODELS]
    return "\n".join(
        [
            f"export const DEFAULT = '{DEFAULT}';",
            "",
            "export const FITS: Readonly<Record<string, Partial<IFit>>> = {",
            ",\n".join(entries),
            "};",
        ]
    )


def _parts(parts: dict[str, dict[str, float]]) -> str:
    return ",\n".join(f"    {part}: {{\n{_values(parts[part])}\n    }}" for part in PARTS)


def _values(values: dict[str, float]) -> str:
    return ",\n".join(f"      {_name(name)}: {_number(value)}" for name, value in values.items())


def _number(value: float) -> str:
    return repr(int(value) if value == int(value) else value)


def _name(name: str) -> str:
    return name if re.fullmatch(r"[a-z]+", name) else json.dumps(name).replace('"', "'")
