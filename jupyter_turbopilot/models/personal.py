"""A person's own folder: what is kept of this person's notebooks and this machine, apart from the models.

Models may be in a folder that many people read and only its keeper writes to. Here are `sequences`, what was
read of notebooks; `trials.json`, which models could be loaded; `speed.json`, how fast this machine writes;
`learning.json`, what was learned from suggestions that were taken or not.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from jupyter_turbopilot.files import is_unfinished, read_object, replace_content

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LEARNING = "learning.json"
SPEED = "speed.json"
VERDICTS = "trials.json"
SEQUENCES = "sequences"
SEQUENCES_MAGIC = b"turbopilot sequences 1\n"  # what such a file begins with
_VERDICT = re.compile(r"[0-9a-f]{32}")


def personal_dir() -> Path:
    """Return the user's own folder, a cache: its content can be made or learned again."""
    return Path(platformdirs.user_cache_dir("jupyter-turbopilot", appauthor=False))


def personal_files(folder: Path) -> Iterator[Path]:
    """Iterate over the files in the user's own folder that Turbopilot wrote."""
    yield from sequences(folder)
    yield from _written(folder, SPEED, lambda path: "bytes_a_second" in read_object(path))
    yield from _written(folder, VERDICTS, _holds_verdicts)
    yield from _written(folder, LEARNING, _is_what_was_learned)


def sequences(folder: Path) -> Iterator[Path]:
    """Iterate over the files that hold what was read of notebooks, whole or not."""
    return _written(folder, SEQUENCES, _begins_as_sequences)


def _written(folder: Path, name: str, known: Callable[[Path], bool]) -> Iterator[Path]:
    """Iterate over a file and what is beside it while it is written."""
    for path in folder.glob(f"{name}*"):
        if path.is_file() and (is_unfinished(path.name) or known(path)):
            yield path


def _holds_verdicts(path: Path) -> bool:
    return all(_VERDICT.fullmatch(key) for key in read_object(path) or {"": ""})


def _is_what_was_learned(path: Path) -> bool:
    """Return whether Turbopilot wrote the file, which may be damaged."""
    return path.name == LEARNING and read_object(path).keys() <= {"calibrations", "week"}


def _begins_as_sequences(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return SEQUENCES_MAGIC.startswith(file.read(len(SEQUENCES_MAGIC)))
    except OSError:
        return False


def measured_rate(folder: Path) -> float:
    """Return how many bytes of weights this machine reads a second; 0 if that was not measured.

    To generate a token it reads all weights once: the rate and a file's size tell a model's speed.
    """
    measured = read_object(folder / SPEED).get("bytes_a_second")
    return float(measured) if isinstance(measured, int | float) and measured > 0 else 0.0


def remember_rate(folder: Path, bytes_a_second: float, *, rough: bool = False) -> None:
    """Keep a measured rate; a rough measurement does not replace a careful one."""
    before = read_object(folder / SPEED)
    if rough and before and not before.get("rough"):
        return
    with suppress(OSError):  # where nothing can be written, it is guessed
        content = json.dumps({"bytes_a_second": round(bytes_a_second), "rough": rough})
        replace_content(folder / SPEED, content.encode(), private=True)
