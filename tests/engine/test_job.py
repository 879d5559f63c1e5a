from __future__ import annotations

import math
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.job import as_error
from jupyter_turbopilot.errors import EngineError, TurbopilotError

from .jobs import FunctionJob, nothing_but_one

if TYPE_CHECKING:
    import pytest


def test_whoever_cannot_take_an_answer_harms_nobody() -> None:
    told: list[TurbopilotError | None] = []

    def done(error: TurbopilotError | None) -> None:
        told.append(error)
        raise SystemExit

    FunctionJob(nothing_but_one, done).finish(None)
    assert told == [None]


def test_a_job_ends_once() -> None:
    told: list[TurbopilotError | None] = []
    job = FunctionJob(nothing_but_one, told.append)
    for _ in range(2):
        job.finish(None)
    assert told == [None]


def test_without_a_deadline_a_job_has_all_the_time_there_is() -> None:
    endless, hurried = (FunctionJob(nothing_but_one, print, deadline=seconds) for seconds in (0.0, 2.0))
    assert endless.deadline == math.inf
    assert hurried.deadline == hurried.queued_at + 2.0


def test_of_a_failure_its_type_is_told_and_nothing_it_says(caplog: pytest.LogCaptureFixture) -> None:
    ours = EngineError("Ours.")
    assert as_error(ours) is ours
    assert not caplog.records
    told = as_error(ValueError("a line of the notebook"))
    assert "ValueError" in told.message
    assert "notebook" not in told.message
    assert caplog.records
