"""Result files: the counts of an evaluation, which research/measure.md defines."""

from __future__ import annotations

import hashlib
import platform
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from jupyter_turbopilot.engine.load.machine import cores, processor
from jupyter_turbopilot.protocol.errors import BadRequestError, TurbopilotError
from turbopilot_research.evaluate.replay import Pace, TypingResult
from turbopilot_research.evaluate.scoring import Tally, interval

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from turbopilot_research.evaluate.notebooks import TypedNotebook

RULES = 1  # version of research/measure.md: increase it with each change of a count
# The options that change what the user types, and when.
_TYPING = ("requests", "trace", "clock", "busy")
_LISTED = ", ".join(f"`--{name.replace('_', '-')}`" for name in _TYPING[:-1]) + f" or `--{_TYPING[-1]}`"
_METRICS: dict[str, Callable[[Tally], float]] = {
    "precision": lambda tally: tally.precision,
    "keystrokes_saved": lambda tally: tally.share_saved,
    "net_saved": lambda tally: tally.net(),
    "shown_per_100_keystrokes": lambda tally: tally.per_hundred,
}


class Metric(msgspec.Struct, frozen=True):
    """A value, and its 95 % interval over notebooks; null for one notebook."""

    value: float
    low: float | None = None
    high: float | None = None


class Measurement(msgspec.Struct, frozen=True):
    """The counts of one configuration."""

    metrics: dict[str, Metric]
    notebooks: dict[str, Tally]
    kinds: dict[str, Tally]  # by the kind of the cursor's position
    # From each request to its complete answer; with --clock, to the first text, for the requests that showed
    # a text before the next keystroke.
    ms: list[float]
    invalid: int  # shown suggestions after which the cell cannot become valid
    pace: Pace | None  # null without --clock

    @property
    def typed(self) -> TypingResult:
        """The counts as a result."""
        return TypingResult(self.notebooks, self.kinds, self.ms, self.invalid, pace=self.pace)


class Made(NamedTuple):
    """How the results of an evaluation were made."""

    source: str
    model: str
    notebooks: str
    options: dict[str, Any]


class ResultFile(msgspec.Struct, frozen=True, kw_only=True):
    """The results of one evaluation."""

    rules: int
    version: str  # of jupyter-turbopilot
    source: str  # engine of this process, URL without credentials, or packages of a JupyterLab
    model: str  # name, file or URL; empty: the server's only one
    notebooks: str  # name of the set
    digest: str  # of the notebooks and of the user's options: results with equal digests compare
    options: dict[str, Any]  # those given, and the defaults in effect
    machine: str  # that types; a server may run on another one
    date: str
    results: dict[str, Measurement]


def _metrics(typed: TypingResult) -> dict[str, Metric]:
    tallies = [*typed.notebooks.values()]
    return {
        name: Metric(metric(typed.total), *(interval(tallies, metric) if len(tallies) > 1 else ()))
        for name, metric in _METRICS.items()
    }


def machine() -> str:
    """Describe the processor."""
    name, _, value = processor().partition("|")[0].partition(":")
    return f"{cores()} cores of {value.strip() if name.strip() == 'model name' else platform.machine()}"


def write(
    path: Path, made: Made, notebooks: Sequence[TypedNotebook], results: Mapping[str, TypingResult]
) -> None:
    """Write the results of an evaluation."""
    typed = [([cell.source for cell in one.cells], [*one.typed]) for one in notebooks]
    digested = repr((typed, [made.options.get(name) for name in _TYPING]))
    content = ResultFile(
        rules=RULES,
        version=version("jupyter-turbopilot"),
        source=made.source,
        model=made.model,
        notebooks=made.notebooks,
        options=made.options,
        digest=hashlib.sha256(digested.encode(errors="surrogatepass")).hexdigest()[:16],
        machine=machine(),
        date=datetime.now(UTC).date().isoformat(),
        results={
            name: Measurement(_metrics(one), one.notebooks, one.kinds, one.ms, one.invalid, one.pace)
            for name, one in results.items()
        },
    )
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(content)) + b"\n")
    except OSError as error:
        raise TurbopilotError(f"{path} could not be written: {error.strerror}.") from None


def read(path: Path) -> ResultFile:
    """Read a result file of the same version of the rules."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=ResultFile)
    except OSError as error:
        raise BadRequestError(f"{path} cannot be read: {error.strerror}.") from None
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise BadRequestError(f"{path} is not a result file of `eval`: {error}.") from None
    if found.rules != RULES:
        raise BadRequestError(
            f"{path} was measured by version {found.rules} of the rules, this is {RULES}. Measure again."
        )
    return found


def compare(paths: Sequence[Path]) -> tuple[str, dict[str, TypingResult]]:
    """Return a description of several files, and their results by file and configuration."""
    files = {path: read(path) for path in dict.fromkeys(paths)}
    stems = Counter(path.stem for path in files)
    names = {path: path.stem if stems[path.stem] == 1 else str(path) for path in files}
    lines = [
        "| file | source | model | notebooks | machine | version, date |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {names[path]} | {file.source} | {file.model} | {file.notebooks} | {file.machine} "
        f"| {file.version}, {file.date} |"
        for path, file in files.items()
    ]
    if len({file.digest for file in files.values()}) > 1:
        lines.append(
            f"\nThe files were measured with different notebooks or a different {_LISTED}, so they do not "
            "compare."
        )
    results = {
        f"{names[path]}: {name}": measured.typed
        for path, file in files.items()
        for name, measured in file.results.items()
    }
    return "\n".join(lines), results
