"""Files and folders that are never indexed: credentials, installed packages, generated files. Pure."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from jupyter_turbopilot.analysis.languages import LANGUAGES
from jupyter_turbopilot.context.private import LONGEST_PATH, is_private_path
from jupyter_turbopilot.util.bounds import LINE
from jupyter_turbopilot.util.files import MEGABYTE

MOST_BYTES = MEGABYTE  # size of an indexed file
DEEPEST = 32  # levels of nested folders
NOTEBOOK = ".ipynb"
# Folders of package managers, builds and editors.
_FOLDERS = frozenset({
    "site-packages", "dist-packages", "node_modules", "bower_components", "__pycache__", "__pypackages__",
    "checkpoints", "anaconda3", "miniconda3", "miniforge3", "mambaforge", "vendor", "third_party", "build",
    "dist", "target", "venv", "virtualenv", "renv", "packrat",
})  # fmt: skip
_PACKAGES = (".egg-info", ".dist-info", ".egg", "-packages")
# Marker files of Python environments in folders of any name.
ENVIRONMENT = frozenset({"pyvenv.cfg", "conda-meta"})
_GENERATED_NAME = re.compile(
    r"(?:_pb2(?:_grpc)?\.py|[.-]min\.m?js|\.bundle\.js|_generated\.\w{1,8})$", re.IGNORECASE
)
# Headers of generated files. "Do not edit" alone is not enough: people write it above tables, too.
_GENERATED = re.compile(
    r"""@generated|^.{0,8}(?:code\ )?generated\ by\ |do\ not\ (?:edit|modify)\ this\ file
    |auto(?:matically)?[ -]?generated\ (?:by|from|file|code)\b
    |file\ (?:is|was|has\ been)\ (?:[\w-]{1,16}[ -])?generated
    |generated(?s:.{0,200})do\ not\ (?:edit|modify)|do\ not\ (?:edit|modify)(?s:.{0,200})generated""",
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_HEAD = 1000  # characters at the start of a file that are searched for such a header
_MINIFIED = 250  # average characters per line of a minified file


def language_of(path: str) -> str:
    """Return the language of a source file; "" if it is not indexed."""
    return LANGUAGES.get(PurePosixPath(path).suffix.lower(), "")


def is_wanted(path: str) -> bool:
    """Return whether a file with this path, relative to the root folder, may be indexed."""
    if len(path) > LONGEST_PATH or not _is_text(path):
        return False
    *folders, name = path.split("/")
    if len(folders) > DEEPEST or not all(map(is_wanted_folder, folders)) or _is_hidden(name):
        return False
    if is_private_path(path) or _GENERATED_NAME.search(name):
        return False
    return name.lower().endswith(NOTEBOOK) or bool(language_of(name))


def is_wanted_folder(name: str) -> bool:
    """Return whether the files of a folder with this name may be indexed."""
    return not (_is_hidden(name) or name.lower() in _FOLDERS or name.lower().endswith(_PACKAGES))


def _is_text(path: str) -> bool:
    """Return whether a path is valid Unicode without NUL: file systems allow other names."""
    try:
        return b"\0" not in path.encode()
    except UnicodeEncodeError:
        return False


def _is_hidden(name: str) -> bool:
    return not name or name.startswith((".", "~")) or name.endswith("~")


def is_generated(source: str) -> bool:
    """Return whether a file is marked as generated, or is minified."""
    return bool(_GENERATED.search(source[:_HEAD])) or is_minified(source)


def is_minified(source: str) -> bool:
    """Return whether a text has lines too long for hand-written code."""
    lines = source.splitlines()
    return len(source) > _MINIFIED * max(1, len(lines)) or any(len(line) > LINE for line in lines)
