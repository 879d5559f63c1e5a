from __future__ import annotations

import re

import pytest
from jsonschema import ValidationError

from jupyter_turbopilot.models.catalog import catalog
from jupyter_turbopilot.request import Feedback
from jupyter_turbopilot.study.events import EVENTS, LOG, MAGIC, schema_id, schema_of
from jupyter_turbopilot.study.lines import line_of
from jupyter_turbopilot.study.log import name_of
from jupyter_turbopilot.study.writer import event_logger

SHOWN = {"t": 1764123456.8, "event": "shown", "id": "AbC3.12", "chars": 34, "score": 0.87}


def test_jupyters_event_system_takes_every_schema() -> None:
    logger = event_logger()
    for event in EVENTS:
        assert schema_id(event) in logger.schemas
        described = schema_of(event)
        assert described["description"]
        assert all(one.get("description") for one in described["properties"].values()), event


@pytest.mark.parametrize(
    "change", [{"path": "a.ipynb"}, {"score": 1.5}, {"chars": -1}, {"id": "homes.1"}, {"text": 3}]
)
def test_what_no_schema_allows_is_refused(change: dict[str, object]) -> None:
    logger = event_logger()
    assert logger.emit(schema_id=schema_id("shown"), data=SHOWN)
    with pytest.raises(ValidationError):
        logger.emit(schema_id=schema_id("shown"), data=SHOWN | change)


def test_every_model_of_the_catalogue_and_no_path_is_a_name_that_the_schema_allows() -> None:
    pattern = EVENTS["session"][1]["model"]["pattern"]
    for name in (*catalog(), name_of("Ada.gguf", {}), name_of("", {})):
        assert re.search(pattern, name), name
    for name in ("", "/home/ada/x.gguf", "owner/model", "C:\\x", "Ada"):
        assert not re.search(pattern, name), name


def test_each_event_of_feedback_has_a_schema() -> None:
    events = Feedback.__annotations__  # the literal's words stand in the source
    assert "event" in events
    assert {"shown", "taken", "dismissed", "typed_over", "retained"} <= EVENTS.keys()


def test_a_session_line_begins_as_a_file_does() -> None:
    assert line_of({"schema": LOG, "t": 1.0}).startswith(MAGIC)
