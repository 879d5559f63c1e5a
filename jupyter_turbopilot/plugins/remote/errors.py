"""Errors for remote servers that reject a request, fail, or send an invalid answer.

They never contain the server's own message, because many servers repeat the request in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_turbopilot.engine.load_shedding import OVERLOADED
from jupyter_turbopilot.protocol.errors import (
    MISSING_SCOPE,
    MODEL_LOST,
    BadRequestError,
    BusyError,
    DisabledError,
    EngineError,
    NotReadyError,
    TurbopilotError,
)

if TYPE_CHECKING:
    from jupyter_turbopilot.protocol.errors import EngineGoneError

INVALID, FORBIDDEN, TOO_MANY, UNAVAILABLE, WAIT = 400, 403, 429, 503, frozenset({429, 503})
_REJECTED = "rejected the request. Check c.TurbopilotRemote.model, vocabulary and fim."
_REFUSALS = {
    400: _REJECTED,
    401: "rejected the API key. Set the environment variable TURBOPILOT_ENGINE_KEY (HF_TOKEN for Hugging "
    "Face), or c.TurbopilotRemote.key_file.",
    403: "does not allow this API key to use the model. Ask its operator, or use another key.",
    404: "has no such model or route. Check c.TurbopilotRemote.url and model. A server that offers only "
    "chat cannot complete text.",
    405: "has no such route. Check c.TurbopilotRemote.url.",
    413: "rejected a prompt of this length. Lower c.Turbopilot.prompt_tokens.",
    422: _REJECTED,
    501: "does not support this request with its model. Set c.TurbopilotRemote.fim to another format.",
}

_HUB_REFUSALS = {
    401: "does not know your JupyterHub token: it has expired, or was revoked. Stop your server in the hub's "
    "control panel and start it again.",
    403: "refused the request. Ask your administrator whether a proxy or firewall refuses it.",
}


# By the code of the error.
_SWITCHED_OFF = {
    DisabledError.code: "{host} has the setting c.Turbopilot.enabled or c.Turbopilot.denied_paths.",
    MISSING_SCOPE: "your JupyterHub account may not use {host}. After the administrator has added you, "
    "restart your server.",
}


class InvalidAnswerError(ValueError):
    """A remote server sent an invalid answer. The message describes it without quoting it."""


class ErrorEventError(InvalidAnswerError):
    """An event of a stream is an error."""


class RemoteRefusalError(EngineError):
    """A remote server rejected a request; `answered` is the status."""

    def __init__(self, message: str, answered: int) -> None:
        super().__init__(message)
        self.answered = answered


class DiedError(Exception):
    """The connection ended before the answer was complete. `error` is reported if a retry fails, too."""

    def __init__(self, how: str, error: EngineGoneError | None = None) -> None:
        super().__init__(how)
        self.error = error


class AskedToWaitError(Exception):
    """A remote server asks to retry, after `after` seconds if set; `error` is reported if it is too late.

    `lost_model`: whether the server reports that its model's file is missing or damaged.
    """

    def __init__(self, error: TurbopilotError, after: float | None, *, lost_model: bool = False) -> None:
        super().__init__(error.message)
        self.error = error
        self.after = after
        self.lost_model = lost_model


@dataclass(frozen=True)
class ErrorFields:
    """The fields of an error in an answer; empty if the server does not send them."""

    status: int = 0
    code: str = ""
    after: float | None = None
    option: str = ""  # the option of `Sampling` that it names


def failure(host: str, status: int, error: ErrorFields = ErrorFields(), *, in_hub: bool = False) -> Exception:
    """Return the exception for the HTTP status of a failed request and the error in its body."""
    if status == INVALID and error.option:
        message = f"{host} does not accept this {error.option}. Change or remove it."
        return BadRequestError(message, field=error.option)
    if status == TOO_MANY and error.code == OVERLOADED:
        # A busy server refuses this automatic request only: other requests need not wait.
        return BusyError(
            f"{host} is busy, and you are one of its most active users. Automatic suggestions continue in a "
            "few seconds.",
            code=OVERLOADED,
            after=error.after,
        )
    reported = refused(host, status, in_hub=in_hub, code=error.code)
    if status in WAIT:
        return AskedToWaitError(reported, error.after, lost_model=error.code in MODEL_LOST)
    return reported


def refused(host: str, status: int, *, in_hub: bool = False, code: str = "") -> TurbopilotError:
    """Return the error to report for the HTTP status of a failed request, and the code in its body."""
    if status == TOO_MANY:
        return BusyError(f"{host} has too many requests. Try again in a moment.")
    if status == FORBIDDEN and in_hub and code in _SWITCHED_OFF:
        reason = _SWITCHED_OFF[code].format(host=host)
        return DisabledError(f"Turbopilot is switched off by your administrator: {reason}")
    if status == UNAVAILABLE:
        shared = "the model that the JupyterHub's users share is loading or has stopped"
        reason = shared if in_hub else "its model may be loading"
        return NotReadyError(f"{host} is not ready: {reason}. Try again in a moment.")
    other = f"answered {status}. Check c.TurbopilotRemote.url."
    if 300 <= status < 400:  # noqa: PLR2004
        other = "redirects to another address. Put that address into c.TurbopilotRemote.url."
    if status >= 500:  # noqa: PLR2004
        other = f"failed ({status}). See its log for the reason."
    reason = (in_hub and _HUB_REFUSALS.get(status)) or _REFUSALS.get(status, other)
    return RemoteRefusalError(f"{host} {reason}", status)
