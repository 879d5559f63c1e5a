"""Decides where completion is allowed: the administrator's switch and the denied paths."""

from __future__ import annotations

import os
import posixpath
import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_turbopilot.protocol.errors import DisabledError
from jupyter_turbopilot.util.bounds import normalized
from jupyter_turbopilot.util.notebook_file import equivalent_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from jupyter_turbopilot.settings.config import Turbopilot

# Environment variables of a spawner, which override the settings in configuration files. With 0, the first
# switches Turbopilot off, and the second allows only the engine `remote`.
ENABLED, LOCAL_ENGINES = "TURBOPILOT_ENABLED", "TURBOPILOT_LOCAL_ENGINES"
_ON, _OFF = {"", "1", "true", "yes", "on"}, {"0", "false", "no", "off"}
OFF = "Turbopilot is switched off by your administrator."
DENIED = "Turbopilot is switched off by your administrator in this folder."
ONLY_REMOTE = (
    "Models in this Jupyter server are switched off by your administrator. Remove c.Turbopilot.engine from "
    "your configuration. If it is not set there, ask your administrator to set TURBOPILOT_ENGINE_URL."
)
UNCHECKED = "Turbopilot is off here until the disk responds: your administrator denies some folders."
PATHLESS = "Turbopilot is switched off by your administrator for requests without the path of a notebook."
PATHLESS_WARNING = (
    "c.Turbopilot.denied_paths is set for this server, so it refuses requests without a path, such as those "
    "of users' Jupyter servers. If the users' servers have the same patterns in their configuration (for "
    "example in /etc/jupyter), set c.Turbopilot.denied_paths = [] in the configuration file of this server."
)
_ANY = "**"  # any number of folders
_UNLIKELY = ("\ufdd0/", "\ufdd0\ufdd0/")  # paths that only a pattern for every path matches
_CACHED = 1024  # paths

Parts = tuple[str, ...]


@dataclass(frozen=True)
class Access:
    """Where completion is allowed.

    `denied` matches paths below the server's root folder, with a slash at the end of each part. `absolute`
    matches paths on the disk. `root`: the root folder, if its files are on the disk; `roots`: the same as
    configured and without symbolic links, for comparison.
    """

    reason: str = ""  # why completion is off everywhere; empty if it is on
    is_invalid: bool = False  # whether it is off because a setting is invalid
    only_remote: bool = False  # whether only the engine `remote` is allowed, also in the page
    denied: re.Pattern[str] | None = None
    absolute: re.Pattern[str] | None = None
    root: str = ""
    roots: tuple[Parts, ...] = ()
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
        if self.denied and not known:
            raise DisabledError(PATHLESS)
        if not all(map(self.allows, known)):
            raise DisabledError(DENIED)

    def check_file(self, path: str) -> list[str]:
        """Return the files that a path leads to through links; raise a DisabledError if one is denied.

        Reads the disk, which may hang. The links may change, so no result is cached.
        """
        found = []
        for real in self._real_paths(path):
            inside = [real[len(root) :] for root in self.roots if real[: len(root)] == root]
            if _any_matches(self.absolute, [real]) or self._denies(inside):
                raise DisabledError(DENIED)
            found += ["/".join(parts) for parts in inside or [real]]
        return found

    def allows(self, path: str) -> bool:
        """Return whether completion is allowed for a path; for an unknown one, only without denied paths."""
        if self.reason or not self.denied:
            return not self.reason
        return bool(path) and not self._is_denied(path)

    @cached_property
    def _is_denied(self) -> Callable[[str], bool]:
        """Return whether a pattern matches a form of a path or a folder above it."""
        return lru_cache(_CACHED)(lambda path: self._denies(set(self._forms(path))))

    def _denies(self, forms: Collection[Parts]) -> bool:
        return _any_matches(self.denied, forms) or _any_matches(
            self.absolute, ((*root, *parts) for root in self.roots for parts in forms)
        )

    def identity(self, folder: str = "") -> str:
        """Return what distinguishes an index of a folder with these denied paths; empty if there are none."""
        if not self.denied:
            return ""
        return f" denied {self.denied.pattern} {self.absolute and self.absolute.pattern} in {folder!r}"

    def _forms(self, path: str) -> Iterator[Parts]:
        """Yield the possible forms of a path below the root folder."""
        for name in equivalent_paths(path.replace("\\", "/")):
            parts = _parts(name, folds_case=self.folds_case)
            yield parts
            for root in self.roots:
                if parts[: len(root)] == root:
                    yield parts[len(root) :]

    def _real_paths(self, path: str) -> Iterator[Parts]:
        """Yield the paths on the disk that the forms of a path lead to."""
        if not self.root:
            return
        for name in equivalent_paths(path.replace(os.sep, "/")):
            parts = _parts(name, folds_case=self.folds_case)
            is_absolute = any(parts[: len(root)] == root for root in self.roots)
            folder = Path(self.root).anchor if is_absolute else self.root
            with suppress(OSError, ValueError):  # no such file can exist
                real = os.path.realpath(Path(folder, name))
                yield _parts(real, folds_case=self.folds_case)


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
    values = {name: environ.get(name, "").strip().lower() for name in (ENABLED, LOCAL_ENGINES)}
    for name, value in values.items():
        if value not in _ON | _OFF:
            return _invalid(f"{name} must be 0 or 1, not {value!r}")
    only_remote = values[LOCAL_ENGINES] in _OFF
    is_off = values[ENABLED] in _OFF or not settings.enabled
    if is_off or (only_remote and settings.engine != "remote"):
        return Access(OFF if is_off else ONLY_REMOTE)
    denied, absolute = [], []
    for written in settings.denied_paths:
        pattern = written.replace("\\", "/")
        if pattern.startswith("~"):
            return _invalid_pattern(written, "starts with `~`. Write the path of the folder instead")
        if ".." in pattern.split("/"):
            return _invalid_pattern(written, "leads out of the server's root folder. Remove the `..`")
        expression = _expression(_folder(_parts(pattern, folds_case=folds_case)))
        if all(re.match(expression, path) for path in _UNLIKELY):
            return _invalid_pattern(
                written, "matches every path. To deny all, set c.Turbopilot.enabled = False"
            )
        denied.append(expression)
        if pattern.startswith("/") or pattern[1:2] == ":":
            absolute.append(expression)
    places = (root, os.path.realpath(root)) if root else ()
    return Access(
        "",
        only_remote=only_remote,
        denied=_compile(sorted({*denied})),
        absolute=_compile(sorted({*absolute})),
        root=root,
        roots=tuple(dict.fromkeys(_parts(place, folds_case=folds_case) for place in places)),
        folds_case=folds_case,
    )


def _invalid_pattern(pattern: str, why: str) -> Access:
    return _invalid(f"c.Turbopilot.denied_paths has the pattern {pattern!r}, which {why}")


def _invalid(problem: str) -> Access:
    return Access(f"{problem}. Until then, Turbopilot is off.", is_invalid=True)


def _parts(path: str, *, folds_case: bool) -> Parts:
    """Return the normalized parts of a path; `..` does not lead out of the root folder."""
    name = normalized("NFC", path.replace("\\", "/"))
    if folds_case:
        name = name.casefold()
    return tuple(part for part in posixpath.normpath(f"/{name}").split("/") if part)


def _folder(pattern: Parts) -> Parts:
    """Return the pattern of the folder whose whole content a pattern matches, or the pattern itself."""
    inner = _without_final(pattern)
    if inner[-1:] == ("*",):
        outer = _without_final(inner[:-1])
        if outer[-1:] != ("*",):  # `a/*/*` does not match files in `a`
            return outer
    return inner


def _without_final(pattern: Parts) -> Parts:
    while pattern[-1:] == (_ANY,):
        pattern = pattern[:-1]
    return pattern


def _expression(pattern: Parts) -> str:
    """Return the regular expression of a pattern, for paths with a slash at the end of each part.

    The shortest match of what follows a wildcard is always sufficient, so atomic groups prevent backtracking
    into it. Otherwise, the time would grow exponentially with the number of wildcards.
    """
    first, *others = _split(pattern, _ANY)
    return _names(first) + "".join(f"(?>(?:[^/]+/)*?{_names(names)})" for names in others if names)


def _names(pattern: Sequence[str]) -> str:
    return "".join(f"{_name(part)}/" for part in pattern)


def _name(pattern: str) -> str:
    """Return the regular expression of a name."""
    first, *others = (
        "".join("[^/]" if character == "?" else re.escape(character) for character in piece)
        for piece in pattern.split("*")
    )
    if not others:
        return first
    *inner, last = others
    return first + "".join(f"(?>[^/]*?{piece})" for piece in inner if piece) + f"[^/]*{last}"


def _split(pattern: Parts, separator: str) -> list[list[str]]:
    found: list[list[str]] = [[]]
    for part in pattern:
        if part == separator:
            found.append([])
        else:
            found[-1].append(part)
    return found


def _compile(expressions: Sequence[str]) -> re.Pattern[str] | None:
    return re.compile("|".join(dict.fromkeys(expressions))) if expressions else None


def _any_matches(expression: re.Pattern[str] | None, paths: Iterable[Parts]) -> bool:
    if not expression:
        return False
    return any(expression.match("".join(f"{part}/" for part in parts)) for parts in paths)
