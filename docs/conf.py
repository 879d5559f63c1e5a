"""The configuration of Sphinx. `make docs` first generates its source with scripts/build_site.py.

The site has its own search (`_static/search.js`, the extension below). Sphinx's search shows only pages that contain every
word, so whole questions find nothing. This one ranks sections with BM25 (MiniSearch), stems words, and knows synonyms, such
as graphics card for GPU. It runs in the page without a server, also from a folder on the disk.
"""

import json
import re
from pathlib import Path

from docutils import nodes

project = "jupyter-turbopilot"
author = "the maintainers of jupyter-turbopilot"
copyright = "the maintainers of jupyter-turbopilot, Apache-2.0"
extensions = ["myst_parser", "sphinx_copybutton"]
myst_heading_anchors = 4
templates_path = ["_templates"]
exclude_patterns = ["files/**"]
suppress_warnings = ["myst.header"]  # the parts of a generated page begin where it is generated

html_theme = "pydata_sphinx_theme"
html_title = "jupyter-turbopilot"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_js_files = ["search.js", "search-field.js"]
html_extra_path = [
    "check.png",
    "check-moving.png",
    "fix.png",
    "fix-moving.png",
    "ghost-text.png",
    "ghost-text-moving.png",
    "repeat.png",
    "repeat-moving.png",
]
html_show_sourcelink = False
html_show_sphinx = False
html_sidebars = {"**": ["site-nav"]}
html_theme_options = {
    "navbar_center": [],
    "navbar_end": ["theme-switcher"],
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "search_bar_text": "Search, or ask a question",
}

# Pages for people who use it come before those for people who look something up, and those before the inner life.
_WEIGHTS = {
    "settings": 0.8,
    "http": 0.4,
    "cli": 0.7,
    "recipes": 0.4,
    "contributing": 0.4,
    "architecture": 0.4,
    "finding-fixes": 0.4,
    "changes": 0.3,
    "scale": 0.7,
    "tutorial": 0.7,
}

_LONG = 4  # rows


def _words(node: nodes.Node, skipped: tuple[type[nodes.Node], ...]) -> str:
    """Return the text below a node, without that of some kinds of nodes."""
    if isinstance(node, skipped):
        return ""
    if isinstance(node, nodes.Text):
        return node.astext()
    text = "".join(_words(child, skipped) for child in node.children)
    return text if isinstance(node, nodes.Inline) else f"{text} "


def _sections(doctree: nodes.document, name: str) -> list[dict[str, object]]:
    """Return what the search knows of a page: one entry for each heading."""
    found = []
    for section in doctree.findall(nodes.section):
        heading = section.next_node(nodes.title)
        if not heading:
            continue
        above = []
        parent = section.parent
        while isinstance(parent, nodes.section):
            above.insert(0, parent.next_node(nodes.title).astext())
            parent = parent.parent
        body = [child for child in section.children if not isinstance(child, (nodes.section, nodes.title))]
        text = " ".join(_words(child, (nodes.literal_block, nodes.comment, nodes.raw)) for child in body)
        code = " ".join(block.astext() for child in body for block in child.findall(nodes.literal_block))
        weight = 0.4 if name.startswith("results/") else _WEIGHTS.get(name, 1.0)
        found.append(
            {
                "page": name,
                "anchor": section["ids"][0] if above else "",
                "title": heading.astext(),
                "above": above,
                "text": re.sub(r"\s+", " ", text).strip(),
                "code": code,
                "weight": weight,
            }
        )
        # A row of a table may be the whole answer: it is found by itself, and leads to its section.
        rows = [
            row for child in body for table in child.findall(nodes.tbody) for row in table.findall(nodes.row)
        ]
        if len(rows) >= _LONG:
            found += [
                {
                    **found[-1],
                    "heading": heading.astext(),
                    "title": _words(row.children[0], ()).strip(),
                    "text": " ".join(_words(cell, ()) for cell in row.children[1:]).strip(),
                    "code": "",
                    "above": [*above, heading.astext()],
                }
                for row in rows
            ]
    return found


def _collect(app, doctree, name):
    app.env.metadata[name]["sections"] = _sections(doctree, name)


def _write(app, error):
    if error or app.builder.name != "html":
        return
    static = Path(app.outdir) / "_static"
    entries = [
        entry for name in sorted(app.env.all_docs) for entry in app.env.metadata[name].get("sections", [])
    ]
    for number, entry in enumerate(entries):
        entry["id"] = number
    (static / "search-sections.js").write_text(f"globalThis.turbopilotSections = {json.dumps(entries)};\n")
    (Path(app.outdir) / "searchindex.js").unlink(missing_ok=True)  # of the search that is not used


def setup(app):
    """Have Sphinx collect what is searched."""
    app.connect("doctree-read", lambda app, doctree: _collect(app, doctree, app.env.docname))
    app.connect("build-finished", _write)
