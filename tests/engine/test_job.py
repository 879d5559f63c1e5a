from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.job import as_error
from jupyter_turbopilot.protocol.errors import EngineError, TurbopilotError

from .jobs import FunctionJob, nothing_but_one

if TYPE_CHECKING:
    import pytest


def test_finish_ends_a_job_once() -> None:
    reported: list[TurbopilotError | None] = []
    job = FunctionJob(nothing_but_one, reported.append)
    for _ in range(2):
        job.finish(None)
    assert reported == [None]


class OddError(ValueError):
    """A kind of failure that no other test has logged."""


def test_as_error_reports_only_the_type_of_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    def logged() -> int:
        return sum(record.name == as_error.__module__ for record in caplog.records)  # not those of threads

    ours = EngineError("Ours.")
    assert as_error(ours) is ours
    assert not logged()
    reported = as_error(OddError("a line of the notebook"))
    assert "OddError" in reported.message
    assert "notebook" not in reported.message
    assert logged() == 1
