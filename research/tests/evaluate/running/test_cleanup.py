from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from turbopilot_research.evaluate.running.cleanup import remove, size_of

if TYPE_CHECKING:
    from pathlib import Path

TREES = st.recursive(
    st.integers(0, 10_000),
    lambda within: st.dictionaries(st.sampled_from(["a", "b", "1", "1.moved"]), within, max_size=3),
    max_leaves=8,
)


def fill(place: Path, tree: object) -> int:
    """Create a tree from folders and file sizes; return its size in bytes."""
    if isinstance(tree, dict):
        place.mkdir()
        return 4096 + sum(fill(place / name, within) for name, within in tree.items())
    assert isinstance(tree, int)
    place.write_bytes(bytes(tree))
    return 4096 + tree


@given(TREES)
@settings(max_examples=30, deadline=None)
def test_remove_deletes_what_size_of_counts(tmp_path_factory: pytest.TempPathFactory, tree: object) -> None:
    folder = tmp_path_factory.mktemp("filled")
    size = fill(folder / "x", tree)
    assert size_of(folder, 2**30) == size
    assert size_of(folder, size - 1) > size - 1
    remove(str(folder))
    assert not folder.exists()


@pytest.mark.skipif(os.name != "posix", reason="links need a right on Windows")
def test_cleanup_does_not_follow_links(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_bytes(bytes(10**5))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link").symlink_to(kept)
    assert size_of(folder, 10**6) < 10**5
    remove(str(folder))
    assert not folder.exists()
    assert (kept / "file").exists()


@pytest.mark.skipif(os.name != "posix", reason="the mode is POSIX's")
def test_remove_deletes_folders_deeper_than_path_limits(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    (closed / "file").touch()
    closed.chmod(0)
    for _ in range(1500):
        for name in ("filled", "deep"):
            (tmp_path / name).mkdir(exist_ok=True)
            (next(one for one in tmp_path.iterdir() if one.name != name)).rename(tmp_path / name / "deep")
    remove(str(tmp_path))
    assert not tmp_path.exists()
