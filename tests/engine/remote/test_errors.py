from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_turbopilot.engine.remote.errors import WAIT, RemoteRefusalError, changed, gone, refused, strange
from jupyter_turbopilot.errors import BusyError, EngineGoneError, NotReadyError


@given(st.integers(100, 999))
def test_every_status_is_told_in_words_with_the_host(status: int) -> None:
    error = refused("host:1", status)
    assert error.message.startswith("host:1 ")
    assert error.message.endswith(".")
    assert isinstance(error, RemoteRefusalError) == (status not in WAIT)


@pytest.mark.parametrize(
    ("status", "words"),
    [(401, "key"), (403, "key"), (404, "only chat"), (400, "vocabulary"), (500, "log"), (302, "redirects")],
)
def test_words_say_what_to_do(status: int, errors: str) -> None:
    assert errors in refused("host", status).message


def test_who_is_busy_or_loading_is_not_at_fault() -> None:
    assert isinstance(refused("host", 429), BusyError)
    assert isinstance(refused("host", 503), NotReadyError)


def test_an_engine_is_gone_where_nothing_answers_or_another_model_does() -> None:
    for error in (gone(["a", "b"], "nothing answers there"), changed("a")):
        assert isinstance(error, EngineGoneError)
    assert "c.TurbopilotRemote.urls" in strange("a", "garbage").message


def test_in_a_jupyterhub_other_statuses_are_told_as_everywhere() -> None:
    assert refused("host", 404, in_hub=True).message == refused("host", 404).message
