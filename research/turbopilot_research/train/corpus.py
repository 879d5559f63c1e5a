"""Collect training documents, and filter out unsuitable ones."""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import re
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.analysis.languages import LANGUAGES
from jupyter_turbopilot.context.private import is_private_path, without_secrets
from jupyter_turbopilot.context.ranking import blocks
from jupyter_turbopilot.protocol.errors import BadRequestError
from jupyter_turbopilot.util.files import describe_size
from jupyter_turbopilot.util.notebook_file import Notebook, NotebookCell, parse_notebook
from jupyter_turbopilot.util.syntax_tree import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

PREPARED = {".jsonl": Path.open, ".xz": lzma.open, ".gz": gzip.open}
LARGEST = 4 * 1024**2  # bytes; larger files are skipped
MAX_NON_ASCII = 0.01  # maximum share of non-ASCII characters
BLOCK = 600  # characters per part of a split file
_SKIPPED = {"node_modules", "site-packages", "__pycache__", "build", "dist", "venv"}
_MAGIC = re.compile(
    r"""^(?P<indent>[ \t]*+)(?:[!%?].*+
    |(?:(?!\n)[\s#=])*[^\s#=](?:[^\n?]*+\?)++[^\S\n]*+
    |(?:(?<=[ ])|[\w,])[\w,\ ]*+=[ ]?[!%].*+)$""",
    re.MULTILINE | re.VERBOSE,
)
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class TrainingDocument(Notebook):
    """A notebook, or a file as one cell. Documents of a `group` are never split between training and test."""

    group: str = ""

    @property
    def code(self) -> str:
        return "\n\n".join(cell.source for cell in self.cells if cell.type == "code")


@dataclass
class Collected:
    """The documents, and the number left out by reason."""

    documents: list[TrainingDocument] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    @property
    def size(self) -> int:
        """Characters of code."""
        return sum(len(document.code) for document in self.documents)

    def summary(self) -> str:
        """Summarise the documents and the reasons for leaving others out."""
        gone = ", ".join(f"{count} {why}" for why, count in self.left_out.most_common())
        return f"{len(self.documents)} documents, {describe_size(self.size)} of code" + (
            f"; left out: {gone}" if gone else ""
        )


def read(paths: Iterable[Path]) -> Iterator[TrainingDocument]:
    """Read notebooks, code and prepared corpora from files and folders; skip unreadable files."""
    for path in paths:
        if not path.exists():
            raise BadRequestError(f"{path} does not exist. Pass a file or a folder.")
        if path.is_dir():
            for file in sorted(path.rglob("*")):
                inner = file.relative_to(path)
                if not _skipped(inner) and file.is_file():
                    yield from _file(file, inner.as_posix(), inner.as_posix())
        elif path.suffix in PREPARED:
            yield from _prepared(path)
        else:
            yield from _file(path, path.name, path.name)


def _skipped(path: Path) -> bool:
    return any(part.startswith(".") or part in _SKIPPED for part in path.parts)


def _file(path: Path, name: str, group: str) -> Iterator[TrainingDocument]:
    if is_private_path(name) or path.stat().st_size > LARGEST:
        return
    try:
        text = path.read_text("utf-8") if path.suffix.lower() in {".ipynb", *LANGUAGES} else ""
    except (OSError, ValueError):
        return
    if path.suffix == ".ipynb":
        if notebook := parse_notebook(text, name):
            yield TrainingDocument(name, notebook.cells, notebook.language, group)
    elif text and (language := LANGUAGES.get(path.suffix.lower())):
        yield TrainingDocument(name, (NotebookCell("code", text),), language, group)


def split_into_parts(document: TrainingDocument) -> TrainingDocument:
    """Split a file into parts of the size of cells; return notebooks unchanged."""
    if len(document.cells) != 1:
        return document
    parts = blocks(document.cells[0].source, BLOCK)
    return replace(document, cells=tuple(NotebookCell("code", part) for part in parts))


def _prepared(path: Path) -> Iterator[TrainingDocument]:
    """Read a prepared corpus: one JSON object per line, with the text `t` or cells `c`, and its group."""
    try:
        with PREPARED[path.suffix](path, "rt", encoding="utf-8") as lines:  # type: ignore[operator]
            for number, line in enumerate(lines):
                raw = json.loads(line)
                group, language = str(raw.get("p", number)), str(raw.get("l", "python"))
                name = f"{group}/{number}"
                if "c" in raw:
                    cells = tuple(NotebookCell(str(kind), str(source)) for kind, source in raw["c"])
                else:
                    cells = (NotebookCell("code", str(raw["t"])),)
                yield TrainingDocument(name, cells, language, group)
    except (
        OSError,
        EOFError,
        lzma.LZMAError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
    ) as error:
        raise BadRequestError(
            f"{path.name} is not a prepared corpus ({type(error).__name__}). "
            "Each line must be a JSON object with the text `t` or the cells `c`."
        ) from None


def clean(
    documents: Iterable[TrainingDocument], share: float = 0.99, *, ascii_only: bool = False
) -> Collected:
    """Leave out unparsable, duplicate and unusually long documents, and lines with secrets.

    With `ascii_only`, for ASCII vocabularies, a small share of other characters is allowed: the model has to
    learn the placeholder that replaces them.
    """
    gathered = Collected()
    seen: set[bytes] = set()
    for document in documents:
        safe = [NotebookCell(cell.type, without_secrets(cell.source)) for cell in document.cells]
        if secret := sum(a != b for a, b in zip(safe, document.cells, strict=True)):
            gathered.left_out["lines that look like secrets"] += secret
        cleaned = replace(document, cells=tuple(cell for cell in safe if cell.source.strip()))
        digest = hashlib.blake2b(_SPACE.sub("", cleaned.code).encode("utf-8", "replace")).digest()
        why = (
            "without code"
            if not cleaned.code.strip()
            else "duplicated"
            if digest in seen
            else "unparsable"
            if cleaned.language == "python" and not parses(cleaned)
            else "with too many non-ASCII characters"
            if ascii_only and _non_ascii_share(cleaned) > MAX_NON_ASCII
            else ""
        )
        if why:
            gathered.left_out[why] += 1
            continue
        seen.add(digest)
        gathered.documents.append(cleaned)
    measures: dict[str, Callable[[str], int]] = {
        "unusually large": len,
        "with unusually long lines": lambda code: max(map(len, code.split("\n"))),
    }
    for why, measure in measures.items():
        sizes = [measure(document.code) for document in gathered.documents]
        most = sorted(sizes)[min(len(sizes) - 1, int(len(sizes) * share))] if sizes else 0
        usual = [one for one, size in zip(gathered.documents, sizes, strict=True) if size <= most]
        if gone := len(sizes) - len(usual):
            gathered.left_out[why] += gone
        gathered.documents = usual
    return gathered


def _non_ascii_share(document: TrainingDocument) -> float:
    text = document.code
    return sum(character > "\x7f" for character in text) / len(text)


def parses(document: TrainingDocument) -> bool:
    """Return whether most of a document's code cells are valid Python, apart from IPython's own syntax."""
    cells = [cell.source for cell in document.cells if cell.type == "code"]
    good = sum(map(_is_python, cells))
    return good * 2 > len(cells)


def _is_python(source: str) -> bool:
    if source.lstrip().startswith("%%"):
        return False
    try:
        parse(_MAGIC.sub(r"\g<indent>pass", source), bounded=False)
    except SyntaxError:
        return False
    return True


def split(
    documents: Sequence[TrainingDocument], share: float = 0.1
) -> tuple[list[TrainingDocument], list[TrainingDocument]]:
    """Split documents into training and held-out ones by their group, deterministically."""
    groups = sorted(
        {document.group for document in documents}, key=lambda g: hashlib.blake2b(g.encode()).digest()
    )
    held_out = set(groups[: max(1, round(len(groups) * share))]) if share and len(groups) > 1 else set()
    return [d for d in documents if d.group not in held_out], [d for d in documents if d.group in held_out]
