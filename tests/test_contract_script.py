"""What `make docs` writes from the schemas; `make check` compares the files with it."""

from __future__ import annotations

import re
from pathlib import Path

import contract

from jupyter_turbopilot.server.routes.endpoint import endpoints
from jupyter_turbopilot.server.routes.table import ROUTES, schemas_of

ROOT = Path(__file__).parent.parent


def test_every_path_has_a_row_in_the_table_of_routes() -> None:
    rows = contract.routes().splitlines()[2:]
    for path, route in ROUTES:
        name = re.sub(r"\(.*?\)", "{name}", path)
        for method in endpoints(route):
            assert [row for row in rows if row.startswith(f"| {method} ") and f"`{name}`" in row], (
                method,
                path,
            )


def test_every_schema_that_a_route_declares_has_a_table_and_every_link_leads_to_one() -> None:
    text = contract.routes() + "\n" + contract.fields()
    headings = re.findall(r"^### (\w+)$", text, re.MULTILINE)
    assert {kind.__name__ for kind in schemas_of(ROUTES)} <= set(headings)
    assert len(headings) == len(set(headings))
    assert {target for _, target in re.findall(r"\[(\w+)\]\(#(\w+)\)", text)} <= set(map(str.lower, headings))
