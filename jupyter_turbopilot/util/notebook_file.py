"""Notebook files: parsing, and paths as front ends name them. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

SECTION = "turbopilot"  # Turbopilot's section of a notebook's metadata
# JSON may escape each character of a key.
_ESCAPED_SECTION = re.compile(
    '"' + "".join(rf"(?:{letter}|\\u00(?i:{ord(letter):02x}))" for letter in SECTION) + '"'
)
LONGEST_SECTION = 6 * len(SECTION) + 2  # characters of the escaped key
_MOST_DRIVES = 4


@dataclass(frozen=True)
class NotebookCell:
    """A cell as stored in the file."""

    type: str  # code, markdown or raw
    source: str


@dataclass(frozen=True)
class Notebook:
    """A notebook's cells and the language of its kernel."""

    name: str
    cells: tuple[NotebookCell, ...]
    language: str = "python"
    enabled: bool = field(default=True, kw_only=True)  # whether its metadata allow Turbopilot


def parse_notebook(text: str, name: str) -> Notebook | None:
    """Parse the text of a notebook file; None if it is not a notebook."""
    try:
        raw = json.loads(text)
        cells = [NotebookCell(str(cell["cell_type"]), "".join(cell["source"])) for cell in raw["cells"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    metadata = raw.get("metadata")
    return Notebook(name, tuple(cells), _language(metadata), enabled=is_enabled(metadata))


def is_enabled(metadata: Any) -> bool:
    """Return whether a notebook's metadata allow Turbopilot; an invalid value does not."""
    if not isinstance(metadata, dict) or SECTION not in metadata:
        return True
    section = metadata[SECTION]
    return isinstance(section, dict) and section.get("enabled", True) is True


def is_enabled_in(text: str) -> bool:
    """Return whether the text of a notebook file allows Turbopilot.

    The cells may be of any format. A damaged file with Turbopilot's section counts as disabled.
    """
    if not may_have_section(text):
        return True
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return not isinstance(raw, dict) or is_enabled(raw.get("metadata"))


def may_have_section(text: str) -> bool:
    """Return whether a piece of a notebook file may contain Turbopilot's section: a fast check."""
    return f'"{SECTION}"' in text or ("\\u00" in text and _ESCAPED_SECTION.search(text) is not None)


def _language(metadata: Any) -> str:
    """Return a notebook's language; Python if the metadata have none."""
    for about, key in (("language_info", "name"), ("kernelspec", "language")):
        held = metadata.get(about) if isinstance(metadata, dict) else None
        if isinstance(held, dict) and held.get(key):
            return str(held[key]).lower()
    return "python"


def equivalent_paths(path: str) -> tuple[str, ...]:
    """Return the possible forms of a path in the server's folder: as it is, and without names of drives.

    JupyterLab prefixes paths with the name of a drive, and a drive of an extension may contain another one.
    """
    forms, rest = [path.strip("/")], path
    for _ in range(_MOST_DRIVES):
        rest = rest.partition(":")[2]
        forms.append(rest.strip("/"))
    forms.append(path.rpartition(":")[2].strip("/"))
    return tuple(dict.fromkeys(form for form in forms if form)) or ("",)
