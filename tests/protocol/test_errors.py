import pytest

from jupyter_turbopilot.protocol.errors import (
    BadRequestError,
    BusyError,
    DownloadError,
    NotReadyError,
    RefusedError,
    TurbopilotError,
)


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (BusyError("Later.", after=2.1), 3),
        (NotReadyError("Later."), 1),
        (BusyError("Later.", after=0.0), 1),
        (DownloadError("gone"), None),
    ],
)
def test_error_body_and_headers_contain_retry_after(error: TurbopilotError, seconds: int | None) -> None:
    body = error.body()["error"]
    assert (body["status"], body["retry_after"]) == (error.status, seconds)
    assert error.headers.get("Retry-After") == (seconds and str(seconds))


def test_openai_body_has_openais_error_codes() -> None:
    assert RefusedError(401).openai_body()["error"]["code"] == "invalid_api_key"
    assert BusyError("Later.").openai_body()["error"]["code"] == "rate_limit_exceeded"
    assert BadRequestError("No.").openai_body("stop")["error"] == {
        "message": "No.",
        "type": "invalid_request_error",
        "param": "stop",
        "code": "bad_request",
        "status": 400,
        "retry_after": None,
    }
