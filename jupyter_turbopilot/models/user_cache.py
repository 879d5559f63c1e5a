"""The user's cache folder: data about the user's notebooks and this machine, separate from the models.

The models folder may be shared and read-only. This folder contains `sequences` (saved evaluated prompts),
`trials.json` (results of load tests) and `statistics.json` (this week's counts of suggestions).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from jupyter_turbopilot.util.files import is_unfinished, read_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STATISTICS = "statistics.json"
VERDICTS = "trials.json"
SEQUENCES = "sequences"
SEQUENCES_MAGIC = b"turbopilot sequences 1\n"  # the beginning of the file
_VERDICT = re.compile(r"[0-9a-f]{32}")


def personal_dir() -> Path:
    """Return the user's cache folder; its content can be recomputed."""
    return Path(platformdirs.user_cache_dir("jupyter-turbopilot", appauthor=False))


def personal_files(folder: Path) -> Iterator[Path]:
    """Iterate over the files in the user's cache folder that Turbopilot wrote."""
    yield from sequences(folder)
    yield from _written(folder, VERDICTS, _contains_verdicts)
    yield from _written(folder, STATISTICS, _is_statistics_file)


def sequences(folder: Path) -> Iterator[Path]:
    """Iterate over the files with saved sequences, including unfinished ones."""
    return _written(folder, SEQUENCES, _is_sequence_file)


def _written(folder: Path, name: str, known: Callable[[Path], bool]) -> Iterator[Path]:
    """Iterate over a file and its temporary files."""
    for path in folder.glob(f"{name}*"):
        if path.is_file() and (is_unfinished(path.name) or known(path)):
            yield path


def _contains_verdicts(path: Path) -> bool:
    return all(_VERDICT.fullmatch(key) for key in read_object(path) or {"": ""})


def _is_statistics_file(path: Path) -> bool:
    """Return whether Turbopilot wrote the file, which may be damaged."""
    return path.name == STATISTICS and read_object(path).keys() <= {"number", "counts"}


def _is_sequence_file(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return SEQUENCES_MAGIC.startswith(file.read(len(SEQUENCES_MAGIC)))
    except OSError:
        return False
