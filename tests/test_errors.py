from __future__ import annotations

import pytest

from jupyter_turbopilot.errors import (
    BusyError,
    DownloadError,
    NotReadyError,
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
