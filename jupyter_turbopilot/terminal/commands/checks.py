"""The reports of `doctor` for a plugin, and the deletions of `purge`."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.models.findings import Finding
from jupyter_turbopilot.util import registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from jupyter_turbopilot.settings.config import Turbopilot


def delete(path: Path) -> None:
    path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Leftovers:
    """Files that `purge` deletes, and names that it lists, by the reason why they are not deleted."""

    files: Sequence[Path] = ()
    kept: Mapping[str, Iterable[Path | str]] = field(default_factory=dict)  # iterated after the deletion
    error: str = ""
    delete: Callable[[Path], None] = delete


class Check:
    """The base of the group `checks`."""

    def __init__(self, settings: Turbopilot) -> None:
        self.settings = settings

    def examine(self) -> Iterable[Finding]:
        """Return findings for `doctor`."""
        return ()

    def leftovers(self) -> Leftovers:
        """Return the files for `purge`."""
        return Leftovers()


def findings_of(settings: Turbopilot) -> Iterator[Finding]:
    for check in _checks():
        try:
            for finding in check(settings).examine():
                yield registry.instance_of(Finding, finding)
        except registry.FAULTS as error:
            yield Finding("plugins", _failed(check, error), problem=True)


def leftovers_of(settings: Turbopilot) -> Iterator[Leftovers]:
    for check in _checks():
        try:
            left = registry.instance_of(Leftovers, check(settings).leftovers())
            yield replace(left, files=[registry.instance_of(Path, file) for file in left.files])
        except registry.FAULTS as error:
            yield Leftovers(error=_failed(check, error))


def _checks() -> Iterator[type[Check]]:
    is_check = partial(registry.subclass_of, Check)
    return filter(None, (entry.load(is_check) for entry in registry.found("checks")))


def _failed(check: type[Check], error: BaseException) -> str:
    return f"{check.__module__}.{check.__name__} failed: {type(error).__name__}: {error}"
