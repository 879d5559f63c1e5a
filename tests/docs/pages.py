"""The documentation pages and the code in them."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parent.parent.parent
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted(ROOT.glob("docs/**/*.md")),
    *sorted(ROOT.glob("research/**/*.md")),
    *sorted(ROOT.glob("packages/**/*.md")),
    ROOT / "binder" / "README.md",
    ROOT / "labextension" / "models" / "README.md",
]
NOT_RUN = re.compile(r"<!-- not run(?: here)?: (\S.*?) -->\s*$", re.DOTALL)
# A block without a language, such as an indented one, counts as a command.
SHELL = {"", "bash", "sh", "shell", "console", "powershell", "bat"}
PROGRAMS = {"ipython", "python", "javascript", "lua", "html", "dockerfile"}
_MARKDOWN = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Block:
    """Code of a page, in the language that its fence names."""

    page: Path
    line: int
    language: str
    text: str
    reason: str  # why it is not run, from the comment above it

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def is_configuration(self) -> bool:
        """Return whether it is for a configuration file (see test_configuration.py)."""
        return self.language == "python" and bool(re.search(r"^c\.", self.text, re.MULTILINE))

    @property
    def is_program(self) -> bool:
        """Return whether it is a program that is not run in a shell."""
        return self.language in PROGRAMS and not self.is_configuration

    @property
    def commands(self) -> list[str]:
        """The commands of a shell block, one per line, without comments and with continued lines joined."""
        joined = self.text.replace("\\\n", " ")
        lines = (re.sub(r"\s+#\s.*$", "", line).strip() for line in joined.splitlines())
        return [re.sub(r"\s+", " ", line) for line in lines if line and not line.startswith("#")]


def blocks() -> Iterator[Block]:
    for page in PAGES:
        above = ""
        for token in _MARKDOWN.parse(page.read_text("utf-8")):
            if token.type in {"fence", "code_block"}:
                reason = NOT_RUN.search(above)
                line = token.map[0] + 1 if token.map else 0
                yield Block(page, line, token.info.strip(), token.content, reason[1] if reason else "")
            if token.nesting >= 0:
                above = token.content if token.type == "html_block" else ""


def inline() -> Iterator[tuple[Path, str]]:
    """Yield the code in sentences and tables."""
    for page in PAGES:
        for token in _MARKDOWN.parse(page.read_text("utf-8")):
            for child in token.children or ():
                if child.type == "code_inline":
                    yield page, child.content


def check_imports(package: Path) -> None:
    """Check that a package imports only what docs/developers/plugins.md lists of the product."""
    section = (ROOT / "docs/developers/plugins.md").read_text("utf-8").partition("## Public modules")[2]
    rows = re.findall(r"^\| (`.*?) \| (.*?) \|", section.partition("\n## ")[0], re.MULTILINE)
    public = {
        (f"jupyter_turbopilot.{module.replace('/', '.')}", name)
        for modules, names in rows
        for module in re.findall(r"`([\w/]+)\.py`", modules)
        for name in re.findall(r"`(\w+)`", names)
    }
    imported = {
        (node.module or "", alias.name)
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jupyter_turbopilot")
        for alias in node.names
    }
    assert imported
    assert sorted(imported - public) == []
