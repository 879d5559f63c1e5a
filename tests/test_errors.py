from __future__ import annotations

import pytest

from jupyter_turbopilot.errors import (
    BadRequestError,
    BusyError,
    ConfigurationError,
    DownloadError,
    NotReadyError,
    RefusedError,
    TurbopilotError,
)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RefusedError(401), "authentication_error"),
        (RefusedError(403), "permission_error"),
        (RefusedError(404), "not_found_error"),
        (BusyError("later"), "rate_limit_error"),
        (BadRequestError("wrong"), "invalid_request_error"),
        (TurbopilotError("broken"), "server_error"),
        (DownloadError("gone"), "server_error"),
    ],
)
def test_errors_have_the_kinds_that_other_servers_give_their_statuses(
    error: TurbopilotError, kind: str
) -> None:
    assert error.kind == error.body()["error"]["type"] == kind


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (401, "unauthenticated", "key"),
        (405, "method_not_allowed", "method"),
        (418, "error", "The request failed."),
        (503, "error", "The server failed."),
    ],
)
def test_a_refusal_is_worded_by_its_status(status: int, code: str, words: str) -> None:
    error = RefusedError(status)
    assert (error.status, error.code) == (status, code)
    assert words in error.message


def test_a_body_names_the_field_as_the_request_does() -> None:
    error = BadRequestError("Too many.", field="n")
    assert error.body()["error"] == {
        "code": "bad_request",
        "type": "invalid_request_error",
        "field": "n",
        "message": "Too many.",
        "status": 400,
        "retry_after": None,
    }
    assert error.body("n_cmpl")["error"]["field"] == "n_cmpl"


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (BusyError("Later.", after=2.1), 3),
        (NotReadyError("Later."), 1),
        (BusyError("Later.", after=0.0), 1),
        (DownloadError("gone"), None),
    ],
)
def test_a_body_holds_the_status_and_the_seconds_to_wait(error: TurbopilotError, seconds: int | None) -> None:
    body = error.body()["error"]
    assert (body["status"], body["retry_after"]) == (error.status, seconds)


def test_a_model_that_is_not_ready_says_why_by_its_code() -> None:
    assert NotReadyError("wait", code="loading").body()["error"]["code"] == "loading"


def test_a_broken_configuration_is_said_in_one_line() -> None:
    error = ConfigurationError("a.py", ValueError("first\n  second"))
    assert error.message == "a.py has to be corrected. ValueError: first second"
    assert error.exit_status == 2
