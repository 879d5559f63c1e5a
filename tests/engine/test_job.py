from __future__ import annotations

import math
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.job import as_error
from jupyter_turbopilot.protocol.errors import EngineError, TurbopilotError

from .jobs import FunctionJob, nothing_but_one

if TYPE_CHECKING:
    import pytest


def test_finish_logs_an_exception_of_end() -> None:
    reported: list[TurbopilotError | None] = []

    def done(error: TurbopilotError | None) -> None:
        reported.append(error)
        raise SystemExit

    FunctionJob(nothing_but_one, done).finish(None)
    assert reported == [None]


def test_finish_ends_a_job_once() -> None:
    reported: list[TurbopilotError | None] = []
    job = FunctionJob(nothing_but_one, reported.append)
    for _ in range(2):
        job.finish(None)
    assert reported == [None]


def test_job_without_a_deadline_is_never_late() -> None:
    endless, hurried = (FunctionJob(nothing_but_one, print, deadline=seconds) for seconds in (0.0, 2.0))
    assert endless.deadline == math.inf
    assert hurried.deadline == hurried.queued_at + 2.0


def test_as_error_reports_only_the_type_of_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    ours = EngineError("Ours.")
    assert as_error(ours) is ours
    assert not caplog.records
    reported = as_error(ValueError("a line of the notebook"))
    assert "ValueError" in reported.message
    assert "notebook" not in reported.message
    assert caplog.records
