"""Whether a folder is on a disk of this computer: other computers write to a network's, too."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MOUNTS = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")
_NETWORK = re.compile(
    r"nfs|cifs|smb|afs$|afpfs|webdav|ncp|9p|lustre|gpfs|beegfs|ceph|gluster|glusterfs|orangefs|pvfs|ocfs|gfs2"
    r"|panfs|wekafs|virtiofs|vboxsf|prl_fs|fuse\.(?!ext|ntfs|fuseblk)"
)


def is_on_network(folder: Path) -> bool:
    """Tell whether a folder is known to be on a disk that other computers may share."""
    place = os.path.realpath(folder)
    if os.name == "nt":
        return place.startswith("\\\\")
    try:
        mounts = [*told_by_linux(_MOUNTS.read_text("utf-8", "surrogateescape"))]
    except OSError:  # macOS, for one
        mounts = _told_by_system()
    return bool(_NETWORK.match(kind_of_mount(mounts, place)))


def kind_of_mount(mounts: Iterable[tuple[str, str]], place: str) -> str:
    """Return what kind of file system a place is on, of those mounted, each with its kind."""
    best, kind = "", ""
    for mounted, its_kind in mounts:
        at = mounted.rstrip("/")
        # Of several at one place, the last covers the others.
        if len(at) >= len(best) and (place == at or place.startswith(f"{at}/")):
            best, kind = at, its_kind
    return kind


def told_by_linux(mounts: str) -> Iterator[tuple[str, str]]:
    """Iterate over the places, and the kinds of file system, in what Linux says of its mounts."""
    for line in mounts.splitlines():
        head, _, tail = line.partition(" - ")
        fields, further = head.split(), tail.split()
        if len(fields) < 5 or not further:  # noqa: PLR2004 - the fifth is where it is mounted
            continue
        yield _ESCAPED.sub(lambda code: chr(int(code[1], 8)), fields[4]), further[0]


def _told_by_system() -> list[tuple[str, str]]:
    try:
        return [(mount.mountpoint, mount.fstype) for mount in psutil.disk_partitions(all=True)]
    except (psutil.Error, OSError):
        return []
