from __future__ import annotations

import logging

import pytest
from traitlets.config import Config

from jupyter_turbopilot.config import Turbopilot
from jupyter_turbopilot.errors import BadRequestError
from jupyter_turbopilot.server.several import LIMITS, for_several


def test_nothing_of_several_people_outlives_the_service(caplog: pytest.LogCaptureFixture) -> None:
    settings = Turbopilot()
    for_several(settings)
    assert (settings.keep_sequences, settings.learning, settings.results_file) == (False, False, "")
    assert not caplog.records, "nobody had asked for it"


def test_what_was_asked_for_in_vain_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    config = Config(Turbopilot={"keep_sequences": True, "results_file": "~/answers.db"})
    settings = Turbopilot(config=config)
    for_several(settings)
    assert (settings.keep_sequences, settings.results_file) == (False, "")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "c.Turbopilot.results_file" in record.getMessage()
    assert "c.Turbopilot.keep_sequences" in record.getMessage()
    assert "answers.db" not in record.getMessage()


@pytest.mark.parametrize(("group", "said"), [("", 1), ("course", 0)])
def test_a_group_without_a_name_is_said(caplog: pytest.LogCaptureFixture, group: str, said: int) -> None:
    for_several(Turbopilot(share="group", share_group=group))
    assert len(caplog.records) == said


def test_each_of_several_people_is_limited_unless_the_settings_say_otherwise() -> None:
    settings = Turbopilot()
    assert all(getattr(settings, name) == 0 for name in LIMITS)
    for_several(settings)
    assert {name: getattr(settings, name) for name in LIMITS} == LIMITS
    chosen = Turbopilot(config=Config(Turbopilot={"requests_per_minute": 0, "running_per_person": 9}))
    for_several(chosen)
    assert (chosen.requests_per_minute, chosen.running_per_person) == (0, 9)
    assert chosen.waiting_per_person == LIMITS["waiting_per_person"]


def test_a_study_log_of_several_people_is_refused_and_its_file_not_named() -> None:
    with pytest.raises(BadRequestError, match=r"c\.Turbopilot\.study_log cannot be used here") as refused:
        for_several(Turbopilot(study_log="~/secret-study.jsonl"))
    assert "secret-study" not in refused.value.message
    assert refused.value.exit_status == 2
