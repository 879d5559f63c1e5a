"""The check marks no cell that ends without an error, and finds most planted faults."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from .checked_cells import Shells, is_found, kinds, problem, read

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="each case runs in a forked process")
FAULTY = [kind for kind in kinds() if kind.startswith("faulty")]
RIGHT = [kind for kind in kinds() if kind not in FAULTY]
LEAST_FOUND = 0.75
# The check does not see the user's functions that a figure calls.
MARKED = {"event of a figure", "formatter of a figure that is saved"}


@pytest.fixture(scope="module")
def shells() -> Iterator[Shells]:
    with Shells() as shells:
        yield shells


@pytest.mark.parametrize("kind", RIGHT)
def test_check_marks_no_cell_that_runs(kind: str, shells: Shells) -> None:
    marked = {}
    for case in read(kind):
        result = shells.run(case)
        assert not problem(case, result), (case.name, problem(case, result), result.output)
        if result.findings and case.name not in MARKED:
            marked[case.name] = [message for _, _, message in result.findings]
    assert marked == {}


def test_check_finds_most_planted_faults(shells: Shells) -> None:
    missed = []
    cases = [case for kind in FAULTY for case in read(kind)]
    for case in cases:
        result = shells.run(case)
        assert not problem(case, result), (case.name, problem(case, result), result.output)
        if not is_found(case, result):
            missed.append(f"{case.kind}: {case.name}")
    assert len(missed) <= (1 - LEAST_FOUND) * len(cases), missed
