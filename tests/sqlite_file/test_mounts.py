from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.memory.store import Store, belonging, prepare
from jupyter_turbopilot.sqlite_file import disk, mounts
from jupyter_turbopilot.sqlite_file.mounts import is_on_network, kind_of_mount, told_by_linux

MOUNTS = """\
22 1 0:20 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:25 / /home rw,relatime shared:2 - nfs4 server:/home rw,vers=4.2
31 30 0:26 / /home/ada/own\\040disk rw - xfs /dev/sdb1 rw
32 22 0:27 / /mnt rw - fuse.sshfs host: rw
33 32 0:28 / /mnt rw - tmpfs none rw
34 22 0:29 / /windows rw - fuseblk /dev/sdc1 rw
35 22 0:30 / /data rw - fuse.s3fs bucket rw
"""


@pytest.mark.parametrize(
    ("place", "kind"),
    [
        ("/", "ext4"), ("/srv/x", "ext4"), ("/home", "nfs4"), ("/home/ada", "nfs4"), ("/homes", "ext4"),
        ("/home/ada/own disk/x", "xfs"), ("/mnt/x", "tmpfs"),
    ],
)  # fmt: skip
def test_a_place_is_on_what_is_mounted_nearest_above_it(place: str, kind: str) -> None:
    assert kind_of_mount(told_by_linux(MOUNTS), place) == kind


def test_file_systems_that_other_computers_share_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "mountinfo"
    monkeypatch.setattr(mounts, "_MOUNTS", told)
    told.write_text(MOUNTS)
    assert is_on_network(Path("/home/ada"))
    assert is_on_network(Path("/data"))
    assert not is_on_network(Path("/windows"))
    assert not is_on_network(Path("/srv"))


def test_where_linux_does_not_tell_of_mounts_the_system_is_asked_as_on_macos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    macos = [
        ("/", "apfs"),
        ("/System/Volumes/Data", "apfs"),
        ("/Volumes/group", "smbfs"),
        ("/Users/ada", "nfs"),
    ]
    mounted = [SimpleNamespace(mountpoint=place, fstype=kind) for place, kind in macos]
    monkeypatch.setattr(mounts, "_MOUNTS", tmp_path / "none")
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: mounted)
    assert is_on_network(Path("/Volumes/group/x"))
    assert is_on_network(Path("/Users/ada/Library"))
    assert not is_on_network(Path("/Users/bob/Library"))

    def refused(**_: object) -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "disk_partitions", refused)
    assert not is_on_network(Path("/Users/ada")), "nothing is known"


@given(st.text(), st.text(min_size=1))
def test_whatever_the_mounts_are_something_is_said(text: str, place: str) -> None:
    assert isinstance(kind_of_mount(told_by_linux(text), place), str)


def test_on_a_network_there_is_no_write_ahead_log_and_one_that_was_there_is_begun_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "index.db"
    prepare(place)
    with closing(Store(place)) as store:
        store.note("root", "before")
    monkeypatch.setattr(disk, "is_on_network", lambda _: True)
    prepare(place)
    with closing(Store(place)) as store, closing(sqlite3.connect(place)) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert store.noted("root") == ""
        store.note("root", "after")
        assert store.tidy()
    assert belonging(place) == [place, place.with_name(".index.db.lock")]
    prepare(place)
    with closing(Store(place)) as store:
        assert store.noted("root") == "after"
