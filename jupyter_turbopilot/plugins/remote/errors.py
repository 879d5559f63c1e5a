"""Errors for remote servers that reject a request, fail, or send an invalid answer.

They never contain the server's own message, because many servers repeat the request in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jupyter_turbopilot.engine.load_shedding import OVERLOADED
from jupyter_turbopilot.protocol.errors import (
    MISSING_SCOPE,
    MODEL_LOST,
    BadRequestError,
    BusyError,
    DisabledError,
    EngineError,
    EngineGoneError,
    NotReadyError,
    TurbopilotError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

FORBIDDEN, TOO_MANY, UNAVAILABLE, WAIT = 403, 429, 503, frozenset({429, 503})
_REJECTED = "rejected the request. Check c.TurbopilotRemote.model, vocabulary and fim."
_REFUSALS = {
    400: _REJECTED,
    401: "rejected the API key. Set the environment variable TURBOPILOT_ENGINE_KEY (HF_TOKEN for Hugging "
    "Face), or c.TurbopilotRemote.key_file.",
    403: "does not allow this API key to use the model. Ask its operator, or use another key.",
    404: "has no such model or route. Check c.TurbopilotRemote.urls and model. A server that offers only "
    "chat cannot complete text.",
    405: "has no such route. Check c.TurbopilotRemote.urls.",
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
    """An event of a stream is an error; `status` is 0, `after` None and `code` empty if not reported.

    Turbopilot servers send `status` and `retry_after`; llama-server and vLLM send the status as `code`.
    """

    def __init__(self, error: Any) -> None:
        super().__init__("an error instead of the rest of its answer")
        fields = error if isinstance(error, dict) else {}
        statuses = (fields.get("status"), fields.get("code"))
        self.status = next((each for each in statuses if type(each) is int and 400 <= each < 600), 0)  # noqa: PLR2004
        code = fields.get("code")
        self.code = code if isinstance(code, str) else ""
        after = fields.get("retry_after")
        self.after = float(after) if type(after) is int and after >= 0 else None


class RemoteRefusalError(EngineError):
    """A remote server rejected a request; `answered` is the status."""

    def __init__(self, message: str, answered: int) -> None:
        super().__init__(message)
        self.answered = answered


class DiedError(Exception):
    """The connection ended before the answer was complete.

    `error` is reported if no other address answers.
    """

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


def failure(
    host: str, status: int, after: float | None, *, in_hub: bool = False, code: str = ""
) -> Exception:
    """Return the exception for the HTTP status of a failed request, and the code in its body."""
    error = refused(host, status, in_hub=in_hub, code=code)
    return AskedToWaitError(error, after, lost_model=code in MODEL_LOST) if status in WAIT else error


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
    other = f"answered {status}. Check c.TurbopilotRemote.urls."
    if 300 <= status < 400:  # noqa: PLR2004
        other = "redirects to another address. Put that address into c.TurbopilotRemote.urls."
    if status >= 500:  # noqa: PLR2004
        other = f"failed ({status}). See its log for the reason."
    reason = (in_hub and _HUB_REFUSALS.get(status)) or _REFUSALS.get(status, other)
    return RemoteRefusalError(f"{host} {reason}", status)


def overloaded(host: str, after: float | None) -> BusyError:
    """Return the error for an automatic request that a busy server refuses. Other requests need not wait."""
    return BusyError(
        f"{host} is busy, and you are one of its most active users. Automatic suggestions continue in a few "
        "seconds.",
        code=OVERLOADED,
        after=after,
    )


def not_accepted(host: str, option: str) -> BadRequestError:
    """Return the error for an option that a remote server rejected."""
    return BadRequestError(f"{host} does not accept this {option}. Change or remove it.", field=option)


def strange(host: str, what: object) -> EngineError:
    """Return the error for an invalid answer; `what` describes it."""
    return EngineError(f"{host} sent {what}. Check that c.TurbopilotRemote.urls names a completions server.")


def gone(hosts: Iterable[str], how: object, *, in_hub: bool = False) -> EngineGoneError:
    """Return the error if no address answers. In a hub, it has at most the 140 characters of a toast."""
    if in_hub:  # its users can neither check nor change the address
        message = f"Your hub's completion server is unreachable ({how}). Contact its administrator."
    else:
        message = f"{', '.join(hosts)} cannot be reached ({how}). Is the server running?"
    error = EngineGoneError(message)
    error.max_delay = 10.0  # connecting again costs nothing
    return error


def changed(host: str) -> EngineGoneError:
    """Return the error for a remote server that has changed its model."""
    return EngineGoneError(f"{host} has another model now. Connecting again.", code="model_changed")
