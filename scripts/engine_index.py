"""Write an index of the engine's wheels, from which pip installs them: python scripts/engine_index.py FOLDER.

Standard input contains the files of the releases, one JSON object with name, url and digest a line.
"""

from __future__ import annotations

import html
import json
import sys
from pathlib import Path

NAME = "llama-cpp-python"


def page(assets: list[dict[str, str]]) -> str:
    """Return the page that lists the wheels among the assets (PEP 503). Pure."""
    prefix = NAME.replace("-", "_")
    wheels = [one for one in assets if one["name"].startswith(prefix) and one["name"].endswith(".whl")]
    links = []
    for one in wheels:
        address = f"{one['url']}#{one['digest'].replace(':', '=')}"
        links.append(f'<a href="{html.escape(address)}">{html.escape(one["name"])}</a><br>\n')
    return f"<!DOCTYPE html>\n<title>{NAME}</title>\n{''.join(links)}"


def main() -> None:
    """Write the index."""
    folder = Path(sys.argv[1]) / NAME
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.html").write_text(page([json.loads(line) for line in sys.stdin]), "utf-8")


if __name__ == "__main__":
    main()
