"""Whether a folder is on a disk of this computer: other computers write to a network's, too."""

from __future__ import annotations

import os
import re
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")
_NETWORK = re.compile(
    r"nfs|cifs|smb|afs$|ncp|9p|lustre|gpfs|beegfs|ceph|gluster|glusterfs|orangefs|pvfs|ocfs|gfs2|panfs|wekafs"
    r"|virtiofs|vboxsf|prl_fs|fuse\.(?!ext|ntfs|fuseblk)"
)


def is_on_network(folder: Path) -> bool:
    """Tell whether a folder is known to be on a disk that other computers may share."""
    place = os.path.realpath(folder)
    if os.name == "nt":
        return place.startswith("\\\\")
    try:
        mounts = _MOUNTS.read_text("utf-8", "surrogateescape")
    except OSError:
        return False
    return bool(_NETWORK.match(kind_of_mount(mounts, place)))


def kind_of_mount(mounts: str, place: str) -> str:
    """Return what kind of file system a place is on, by what Linux says of its mounts."""
    best, kind = "", ""
    for line in mounts.splitlines():
        head, _, tail = line.partition(" - ")
        fields, further = head.split(), tail.split()
        if len(fields) < 5 or not further:  # noqa: PLR2004 - the fifth is where it is mounted
            continue
        at = _ESCAPED.sub(lambda code: chr(int(code[1], 8)), fields[4]).rstrip("/")
        # Of several at one place, the last covers the others.
        if len(at) >= len(best) and (place == at or place.startswith(f"{at}/")):
            best, kind = at, further[0]
    return kind
