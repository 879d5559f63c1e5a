"""Find wording that a reader would stumble over: `python scripts/prose.py [FILES]`.

Figures in README.md and docs/ are generated from RESULTS.md; limits have a mark in their line.

The patterns find the obvious cases in comments, docstrings, messages, Markdown and test names. They are a
guard, not the goal: text that passes may still be unclear.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS: tuple[str, ...] = ("binder", "docs", "jupyter_turbopilot", "research", "scripts", "tests")
FOLDERS += tuple(f"labextension/{name}" for name in ("demo", "src", "ui-tests"))
KINDS = {".py", ".ts", ".mjs", ".md"}
LEFT_OUT = {"prose.py", "test_scripts.py"}  # these contain examples
RULES = {
    "name the actor: the user, the caller, the client, the server": (
        r"\b(somebody|nobody|anybody|everybody|whoever|who asks)\b"
    ),
    "use the established term": (
        r"(?<!word )(?<!['\"] )\bin words\b(?![\[(]|\.\w)|\bfar side\b"
        r"|\b(of|none of) (ours|theirs)\b|\bheirs?\b|\bheld to (a|its|the)\b"
    ),
    "use a noun, not a clause": (
        r"\bwhat becomes? of\b|\bgoes on\b"
        r"|\bwhat (is|was) (known|read|said|shown|wanted|asked|left|written)\b"
    ),
    "write `Return whether …`, or name it is_…": r"\btell whether\b",
    "programs report, they do not tell": r"\b(is|are) told\b",
    "name the unit and its behaviour": r"def test_(who|what|nobody)_",
}
FIGURE = re.compile(r"\d(?: %| ms\b| [kMG]i?B\b| times\b| tokens (?:a|per) second)")
LIMIT = "<!-- limit -->"
NO_PROSE = re.compile(
    r"<!-- \[\[\[cog.*?\[\[\[end\]\]\] -->|<!-- not run.*?-->|^ *```.*?^ *```|`[^`\n]*`",
    re.DOTALL | re.MULTILINE,
)


def typed_figures(text: str) -> list[int]:
    """Return the lines with figures that are neither generated, nor code, nor marked as limits."""
    prose = NO_PROSE.sub(lambda found: "\n" * found[0].count("\n"), text)
    lines = enumerate(prose.splitlines(), 1)
    return [number for number, line in lines if FIGURE.search(line) and LIMIT not in line]


def broken(line: str) -> str:
    """Return the rule that a line breaks; empty if none."""
    return next((rule for rule, pattern in RULES.items() if re.search(pattern, line, re.IGNORECASE)), "")


def main() -> None:
    """Print the lines that break a rule; exit with 1 if there are any."""
    within = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*") if path.suffix in KINDS]
    pages = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
    files = [Path(name) for name in sys.argv[1:]] or [*pages, *sorted(within)]
    found = [
        f"{path}:{number}: {rule}: {line.strip()}"
        for path in files
        if path.name not in LEFT_OUT and "node_modules" not in path.parts
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if (rule := broken(line))
    ]
    typed = [
        f"{path}:{number}: generate this figure (scripts/headline.py), or mark a limit with {LIMIT}"
        for path in files
        if path == ROOT / "README.md" or (path.parent == ROOT / "docs" and path.suffix == ".md")
        for number in typed_figures(path.read_text("utf-8"))
    ]
    if found or typed:
        sys.exit("\n".join([*found, *typed]))


if __name__ == "__main__":
    main()
