"""Write the page's patterns of secrets from those of the server; `cog` runs it."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

from contract import WIDTH

TABLE: dict[str, Any] = tomllib.loads(
    (Path(__file__).parents[1] / "jupyter_turbopilot" / "context" / "secrets.toml").read_text("utf-8")
)


def typescript() -> str:
    """Return the constants of the page."""
    # In names of files, Python's `\\w` matches letters of all languages.
    files = [pattern.replace(r"\w", r"[\p{L}\p{N}_]") for pattern in _patterns("files")]
    return "\n\n".join(
        (
            _constant("FOLDERS", "Folders whose files contain credentials.", TABLE["folders"]),
            _constant("FILES", "Names of files with credentials, in any case.", files),
            _constant("TEXTS", "Secrets anywhere in a line.", _patterns("texts")),
            _constant("KEYS", "Keys of services, after the start of a word.", _patterns("keys", "tokens")),
        )
    )


def _patterns(*names: str) -> list[str]:
    """Return the patterns of rows, without spaces that are escaped and possessive quantifiers."""
    rows = [row for name in names for row in TABLE["rows"][name] if not row.get("server_only")]
    return [re.sub(r"([*+?}])\+", r"\1", row["pattern"]).replace("\\ ", " ") for row in rows]


def _constant(name: str, what: str, texts: list[str]) -> str:
    quoted = ["'" + json.dumps(text)[1:-1].replace("'", "\\'").replace('\\"', '"') + "'" for text in texts]
    line = f"export const {name} = [{', '.join(quoted)}];"
    if len(line) > WIDTH:
        line = f"export const {name} = [\n  " + ",\n  ".join(quoted) + "\n];"
    return f"/** {what} */\n{line}"
