"""Decides where completion is allowed: the administrator's switch and the denied paths. Pure."""

from __future__ import annotations

import posixpath
import sys
import unicodedata
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from jupyter_turbopilot.context.notebook_file import names_of
from jupyter_turbopilot.errors import DisabledError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jupyter_turbopilot.config import Turbopilot

# The environment variable with which a spawner switches Turbopilot off, whatever the configuration files say.
ENABLED = "TURBOPILOT_ENABLED"
_ON, _OFF = {"", "1", "true", "yes", "on"}, {"0", "false", "no", "off"}
OFF = "Turbopilot is switched off by your administrator."
DENIED = "Turbopilot is switched off by your administrator in this folder."
PATHLESS = "Turbopilot is switched off by your administrator for requests without the path of a notebook."
_ANY = "**"  # any number of folders
_ALL = {"*", _ANY}  # at the end of a pattern: everything in a folder
_UNLIKELY = ("\ufdd0",)  # a path that only a pattern for every path matches

Parts = tuple[str, ...]


@dataclass(frozen=True)
class Access:
    """Where completion is allowed.

    `patterns` deny paths below the server's root folder, and everything in a matching folder. `absolute`:
    those that may also be paths on the disk.
    """

    reason: str = ""  # why completion is off everywhere; empty if it is on
    is_invalid: bool = False  # whether it is off because a setting is invalid
    patterns: tuple[Parts, ...] = ()
    absolute: tuple[Parts, ...] = ()
    root: Parts = ()
    folds_case: bool = False

    def require_enabled(self) -> None:
        """Raise a DisabledError if completion is off everywhere."""
        if self.reason:
            raise DisabledError(self.reason)

    def check(self, *paths: str) -> None:
        """Raise a DisabledError unless completion is allowed for all paths of a request.

        While there are denied paths, a request needs a path.
        """
        self.require_enabled()
        known = [path for path in paths if path]
        if self.patterns and not known:
            raise DisabledError(PATHLESS)
        if not all(map(self.allows, known)):
            raise DisabledError(DENIED)

    def allows(self, path: str) -> bool:
        """Return whether completion is allowed for a path; for an unknown one, only without denied paths."""
        if self.reason or not self.patterns:
            return not self.reason
        return bool(path) and not any(
            any(_matches(parts, pattern) for pattern in self.patterns)
            or any(_matches((*self.root, *parts), pattern) for pattern in self.absolute)
            for parts in self._forms(path)
        )

    def identity(self, folder: str = "") -> str:
        """Return what distinguishes an index of a folder with these denied paths; empty if there are none."""
        if not self.patterns:
            return ""
        return f" denied {sorted({*self.patterns})!r} {sorted({*self.absolute})!r} in {folder!r}"

    def _forms(self, path: str) -> Iterator[Parts]:
        """Yield the possible forms of a path below the root folder."""
        for name in names_of(path.replace("\\", "/")):
            parts = _parts(name, folds_case=self.folds_case)
            yield parts
            if self.root and parts[: len(self.root)] == self.root:
                yield parts[len(self.root) :]


def access_of(
    settings: Turbopilot,
    environ: Mapping[str, str],
    root: str = "",
    *,
    folds_case: bool = sys.platform in {"win32", "darwin"},
) -> Access:
    """Return where the settings and the environment allow completion. `root`: the server's root folder.

    `folds_case`: whether the file system ignores case. With an invalid value, completion is off everywhere.
    """
    value = environ.get(ENABLED, "").strip().lower()
    if value not in _ON | _OFF:
        return Access(
            f"{ENABLED} must be 0 or 1, not {value!r}. Until then, Turbopilot is off.", is_invalid=True
        )
    if value in _OFF or not settings.enabled:
        return Access(OFF)
    at = _parts(root, folds_case=folds_case)
    patterns, absolute = [], []
    for written in settings.denied_paths:
        parts = _parts(pattern := written.replace("\\", "/"), folds_case=folds_case)
        while parts and parts[-1] in _ALL:
            parts = parts[:-1]
        if ".." in pattern.split("/"):
            return _invalid(written, "leads out of the server's root folder. Remove the `..`")
        if _matches(_UNLIKELY, parts):
            return _invalid(written, "matches every path. To deny all, set c.Turbopilot.enabled = False")
        patterns.append(parts)
        if pattern.startswith("/") or pattern[1:2] == ":":
            absolute.append(parts)
    return Access("", patterns=tuple(patterns), absolute=tuple(absolute), root=at, folds_case=folds_case)


def _invalid(pattern: str, why: str) -> Access:
    reason = (
        f"c.Turbopilot.denied_paths has the pattern {pattern!r}, which {why}. Until then, Turbopilot is off."
    )
    return Access(reason, is_invalid=True)


def _parts(path: str, *, folds_case: bool) -> Parts:
    """Return the normalized parts of a path; `..` does not lead out of the root folder."""
    name = unicodedata.normalize("NFC", path.replace("\\", "/"))
    if folds_case:
        name = name.casefold()
    return tuple(part for part in posixpath.normpath(f"/{name}").split("/") if part)


def _matches(parts: Sequence[str], pattern: Parts) -> bool:
    """Return whether a pattern matches a path or a folder above it."""
    states = _with_skipped({0}, pattern)  # the numbers of matched parts of the pattern
    for part in parts:
        if len(pattern) in states:
            return True
        after = {state for state in states if pattern[state] == _ANY}
        after |= {
            state + 1 for state in states if pattern[state] != _ANY and fnmatchcase(part, pattern[state])
        }
        states = _with_skipped(after, pattern)
    return len(pattern) in states


def _with_skipped(states: set[int], pattern: Parts) -> set[int]:
    """Add the states in which `**` stands for no folder."""
    found = set(states)
    for state in range(len(pattern)):
        if state in found and pattern[state] == _ANY:
            found.add(state + 1)
    return found
