"""Which files and folders are never remembered: credentials, what others wrote, what programs wrote. Pure."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from jupyter_turbopilot.bounds import LINE
from jupyter_turbopilot.context.private import LONGEST_PATH, is_private_path
from jupyter_turbopilot.files import MEGABYTE

MOST_BYTES = MEGABYTE  # of a file
DEEPEST = 32  # folders within each other
_LANGUAGES = {
    ".py": "python", ".r": "r", ".jl": "julia", ".sql": "sql", ".sh": "bash", ".bash": "bash",
    ".js": "javascript", ".mjs": "javascript", ".ts": "typescript", ".rb": "ruby", ".pl": "perl",
    ".c": "c", ".h": "c", ".cpp": "cpp", ".cc": "cpp", ".hpp": "cpp", ".rs": "rust", ".go": "go",
    ".java": "java", ".scala": "scala",
}  # fmt: skip
NOTEBOOK = ".ipynb"
# What package managers, builds and editors put beside a person's own work.
_FOLDERS = frozenset({
    "site-packages", "dist-packages", "node_modules", "bower_components", "__pycache__", "__pypackages__",
    "checkpoints", "anaconda3", "miniconda3", "miniforge3", "mambaforge", "vendor", "third_party", "build",
    "dist", "target", "venv", "virtualenv", "renv", "packrat",
})  # fmt: skip
_PACKAGES = (".egg-info", ".dist-info", ".egg", "-packages")
# An environment has one of these in it, whatever it is called.
ENVIRONMENT = frozenset({"pyvenv.cfg", "conda-meta"})
_GENERATED_NAME = re.compile(
    r"(?:_pb2(?:_grpc)?\.py|[.-]min\.m?js|\.bundle\.js|_generated\.\w{1,8})$", re.IGNORECASE
)
# What such files say of themselves. People write "do not edit" above tables, too, and of generated data.
_GENERATED = re.compile(
    r"""@generated|^.{0,8}(?:code\ )?generated\ by\ |do\ not\ (?:edit|modify)\ this\ file
    |auto(?:matically)?[ -]?generated\ (?:by|from|file|code)\b
    |file\ (?:is|was|has\ been)\ (?:[\w-]{1,16}[ -])?generated
    |generated(?s:.{0,200})do\ not\ (?:edit|modify)|do\ not\ (?:edit|modify)(?s:.{0,200})generated""",
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_HEAD = 1000  # characters in which a file says that it is generated
_MINIFIED = 250  # characters of a line, on average


def language_of(path: str) -> str:
    """Return the language of a source file; "" where it is none that is remembered."""
    return _LANGUAGES.get(PurePosixPath(path).suffix.lower(), "")


def is_wanted(path: str) -> bool:
    """Tell whether a file with this path, relative to the root folder, may be remembered."""
    if len(path) > LONGEST_PATH or not _is_text(path):
        return False
    *folders, name = path.split("/")
    if len(folders) > DEEPEST or not all(map(is_wanted_folder, folders)) or _is_hidden(name):
        return False
    if is_private_path(path) or _GENERATED_NAME.search(name):
        return False
    return name.lower().endswith(NOTEBOOK) or bool(language_of(name))


def is_wanted_folder(name: str) -> bool:
    """Tell whether the files of a folder with this name may be remembered."""
    return not (_is_hidden(name) or name.lower() in _FOLDERS or name.lower().endswith(_PACKAGES))


def _is_text(path: str) -> bool:
    """Tell whether a path can be written down: a disk may have names that are no text."""
    try:
        return b"\0" not in path.encode()
    except UnicodeEncodeError:
        return False


def _is_hidden(name: str) -> bool:
    return not name or name.startswith((".", "~")) or name.endswith("~")


def is_generated(source: str) -> bool:
    """Tell whether a file says that a program wrote it, or was made small by one."""
    return bool(_GENERATED.search(source[:_HEAD])) or is_minified(source)


def is_minified(source: str) -> bool:
    """Tell whether a text has lines that nobody writes."""
    lines = source.splitlines()
    return len(source) > _MINIFIED * max(1, len(lines)) or any(len(line) > LINE for line in lines)
